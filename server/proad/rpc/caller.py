"""The caller of the current call."""

from contextvars import ContextVar

from proad.auth.service import Caller
from proad.core.actor import act_for

# Set by the authorizer. grpc.aio runs interceptor and servicer in one context.
_caller: ContextVar[Caller] = ContextVar("caller")


def enter(caller: Caller) -> None:
    """Set the caller of the current call."""
    _caller.set(caller)
    act_for(caller.username, caller.user_id)


def current() -> Caller:
    """Return the caller of the current call; raise LookupError in a PUBLIC call."""
    return _caller.get()


def name() -> str | None:
    """Return the caller's user name; None in a PUBLIC call or without a valid token."""
    known = _caller.get(None)
    return None if known is None else known.username

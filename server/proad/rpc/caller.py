"""Who makes the call that is being served."""

from contextvars import ContextVar

from proad.auth.service import Caller
from proad.core.actor import act_for

# Set by the gate. grpc.aio runs interceptor and servicer in one context.
_caller: ContextVar[Caller] = ContextVar("caller")


def enter(caller: Caller) -> None:
    """Note who is calling."""
    _caller.set(caller)
    act_for(caller.username)


def current() -> Caller:
    """Tell who is calling; LookupError in a PUBLIC call."""
    return _caller.get()


def name() -> str | None:
    """Return the name of who is calling; None in a PUBLIC call, and of a stranger."""
    known = _caller.get(None)
    return None if known is None else known.username

"""The caller of the current call."""

from contextvars import ContextVar

from proad.auth.service import Caller
from proad.core.actor import act_for, current_subject
from proad.model import Access, Subject
from proad.model.grant import narrower
from proad.model.scope import Scope

# Set by the authorizer. grpc.aio runs interceptor and servicer in one context.
_caller: ContextVar[Caller] = ContextVar("caller")
# Set by the server of the address.
_address: ContextVar[str] = ContextVar("address", default="")


def enter_address(address: str) -> None:
    """Set the address of the daemon that the current call came in at, as the settings have it."""
    _address.set(address)


def address() -> str:
    """Return the address of the daemon that the current call came in at."""
    return _address.get()


def enter(caller: Caller) -> None:
    """Set the caller of the current call."""
    _caller.set(caller)
    act_for(
        Subject(
            username=caller.username,
            user_id=caller.user_id,
            token_id=caller.claims.token_id,
            access=access_of(caller),
            team_id=caller.user.team_id,
            profile=caller.user.profile,
            limits=caller.user.limits,
        )
    )


def access_of(caller: Caller) -> Access:
    """Return whose resources a caller may see and change."""
    return narrower(caller.user.access, caller.claims.access)


def current() -> Caller:
    """Return the caller of the current call; raise LookupError in a PUBLIC call."""
    return _caller.get()


def subject() -> Subject:
    """Return the subject of the current call; raise LookupError in a PUBLIC call."""
    found = current_subject()
    if found is None:
        raise LookupError("a call without a subject")
    return found


def name() -> str | None:
    """Return the caller's user name; None in a PUBLIC call or without a valid token."""
    known = _caller.get(None)
    return None if known is None else known.username


def reads_all() -> bool:
    """Return whether the caller reads also secrets and what tells of the host."""
    return Scope.ADVANCED in _caller.get().scopes

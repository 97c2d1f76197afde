"""The user on whose behalf the current task works."""

from contextvars import ContextVar

_actor: ContextVar[str] = ContextVar("actor", default="")


def act_for(username: str) -> None:
    """Set the user for the current task and for all tasks that it starts."""
    _actor.set(username)


def current_actor() -> str:
    """Return the name of the user; empty: the daemon itself."""
    return _actor.get()

"""The user on whose behalf the current task works."""

from contextvars import ContextVar

_actor: ContextVar[str] = ContextVar("actor", default="")
_user_id: ContextVar[str] = ContextVar("user_id", default="")


def act_for(username: str, user_id: str = "") -> None:
    """Set the user for the current task and for all tasks that it starts."""
    _actor.set(username)
    _user_id.set(user_id)


def current_actor() -> str:
    """Return the name of the user; empty: the daemon itself."""
    return _actor.get()


def current_user_id() -> str:
    """Return the id of the user, which stays when the name changes; empty: the daemon itself."""
    return _user_id.get()

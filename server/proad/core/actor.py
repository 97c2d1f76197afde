"""On whose behalf something is done."""

from contextvars import ContextVar

_actor: ContextVar[str] = ContextVar("actor", default="")


def act_for(username: str) -> None:
    """Note for this call, and all tasks that it starts, who asked for it."""
    _actor.set(username)


def current_actor() -> str:
    """Tell who asked; empty: the daemon itself."""
    return _actor.get()

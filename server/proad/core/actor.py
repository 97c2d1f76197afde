"""The subject on whose behalf the current task works."""

from contextvars import ContextVar

from proad.model import Subject

_subject: ContextVar[Subject | None] = ContextVar("subject", default=None)


def act_for(subject: Subject) -> None:
    """Set the subject of the current task and of all tasks that it starts."""
    _subject.set(subject)


def current_subject() -> Subject | None:
    """Return the subject; None: the daemon itself, which nothing restricts."""
    return _subject.get()


def current_actor() -> str:
    """Return the name of the user; empty: the daemon itself."""
    subject = _subject.get()
    return subject.username if subject else ""


def current_user_id() -> str:
    """Return the id of the user, which stays when the name changes; empty: the daemon itself."""
    subject = _subject.get()
    return subject.user_id if subject else ""

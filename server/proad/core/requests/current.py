"""The request on whose behalf the current task works."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from proad.model import Intent

Announce = Callable[[Intent], Awaitable[None]]
"""Receives what a request is about to change, before anything is changed.

If it raises, the request ends with that exception, and must have changed nothing.
"""


async def _unheard(intent: Intent) -> None:
    """Ignore an intent: the request has no id."""


_announce: ContextVar[Announce] = ContextVar("announce", default=_unheard)


def announce_to(announce: Announce) -> None:
    """Set who hears the intents of the current task and of all tasks that it starts."""
    _announce.set(announce)


async def announce(intent: Intent) -> None:
    """Announce what the current request is about to change.

    Each change calls this once: after every check that has no effect, and before its first call
    to an engine that changes something. Without a request id nothing is written.

    Raises:
        DatabaseUnreachableError: the intent cannot be kept; the request must change nothing.
        Exception: the request ends here, since it was only to be checked.
    """
    await _announce.get()(intent)

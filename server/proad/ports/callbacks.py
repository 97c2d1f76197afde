"""Functions that the core passes to drivers. Drivers call them on the event loop."""

from collections.abc import Awaitable, Callable

from proad.model import EngineEvent, Footprint

OnStep = Callable[[str, int | None], None]
"""Receives the step that a verb is at, in words for people, and its percentage or None."""

AnnounceFootprint = Callable[[Footprint], Awaitable[None]]
"""Receives from a create what the create will leave on the engine.

A create awaits this once: after every check that has no effect, and before its first change. If
it raises, the create ends with that exception, and has changed nothing.
"""

OnEvent = Callable[[EngineEvent], None]
"""Receives one event of a subscription; must not block."""


def ignore(step: str, percent: int | None = None) -> None:
    """Ignore a step: the default where nobody listens."""


async def unannounced(footprint: Footprint) -> None:
    """Ignore a footprint: the default where nobody listens."""

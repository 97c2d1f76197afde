"""Functions that the core passes to drivers. Drivers call them on the event loop."""

from collections.abc import Callable

from proad.model import EngineEvent

OnStep = Callable[[str, int | None], None]
"""Receives the step that a verb is at, in words for people, and its percentage or None."""

OnMade = Callable[[str], None]
"""Receives from a create, before the resource exists, what the resource will be known by: its
full id, or its `Resource.creation`; never that of a resource that existed before."""

OnEvent = Callable[[EngineEvent], None]
"""Receives one event of a subscription; must not block."""


def ignore(step: str, percent: int | None = None) -> None:
    """Ignore a step or an id: the default where nobody listens."""

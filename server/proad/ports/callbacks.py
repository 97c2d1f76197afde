"""Functions that the core passes to drivers. Drivers call them on the event loop."""

from collections.abc import Awaitable, Callable, Sequence

from proad.errors import Violation
from proad.model import EngineEvent, Footprint, ImageDefaults

OnStep = Callable[[str, int | None], None]
"""Receives the step that a verb is at, in words for people, and its percentage or None."""

AnnounceFootprint = Callable[[Footprint], Awaitable[None]]
"""Receives from a create what the create will leave on the engine.

A create awaits this once: after every check that has no effect, and before its first change. If
it raises, the create ends with that exception, and has changed nothing.
"""

Begin = Callable[[], Awaitable[None]]
"""Is awaited by a delete: once, after every check that has no effect, and before its first change.

If it raises, the delete ends with that exception, and has changed nothing.
"""

JudgeXml = Callable[[str, Sequence[Violation]], Awaitable[None]]
"""Receives the XML that a domain would be made of, before `announce`, and judges the XML.

Proa's own additions, and volumes that are not made yet, are in the XML or come after. The second
argument is what the driver found in the images and their folders, each with the setting that
would allow it. If it raises, the create ends with that exception, and has changed nothing.
"""

JudgeImage = Callable[[ImageDefaults], Awaitable[None]]
"""Receives the image that a container would be made of, before `announce`, and judges the image.

If it raises, the create ends with that exception, and has changed nothing. A container is made of
that image or of none: the name may come to mean another one meanwhile.
"""

OnEvent = Callable[[EngineEvent], None]
"""Receives one event of a subscription; must not block."""


def ignore(step: str, percent: int | None = None) -> None:
    """Ignore a step: the default where nobody listens."""


async def unannounced(footprint: Footprint) -> None:
    """Ignore a footprint: the default where nobody listens."""


async def at_once() -> None:
    """Let a delete begin: the default where nobody waits for that."""


async def unjudged(xml: str, found: Sequence[Violation]) -> None:
    """Allow everything: the default where nobody judges."""


async def any_image(image: ImageDefaults) -> None:
    """Allow every image: the default where nobody judges."""

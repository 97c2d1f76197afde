"""Listeners to the announcements of creates."""

from collections.abc import Awaitable, Callable

from proad.model import Footprint


class Announced:
    """Notes what creates announce.

    Args:
        then: awaited with each footprint, before the create goes on.
    """

    def __init__(self, then: Callable[[], Awaitable[None]] | None = None) -> None:
        self.footprints: list[Footprint] = []
        self._then = then

    async def __call__(self, footprint: Footprint) -> None:
        self.footprints.append(footprint)
        if self._then is not None:
            await self._then()

    @property
    def marks(self) -> list[str]:
        return [footprint.mark for footprint in self.footprints]


class StopHereError(Exception):
    """Ends a create at its announcement."""


async def stop_here(_footprint: Footprint) -> None:
    raise StopHereError

"""Undo of a recreation: the old container is again what it was.

What a recreation leaves can be told by two marks: the new container has the nonce of its create,
and the old one, once it is set aside, a name of the form `aside` gives. The steps are in such an
order that whenever the undo itself is interrupted, a mark is left of what is still to be done.
"""

import re

from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.reader import ContainerReader, path
from proad.model import ACTIVE, Footprint, Resource

_ASIDE = re.compile(r".*_proa-old-[0-9a-f]{8}")


def aside(name: str, token: str) -> str:
    """Return the name of a container that another one takes the place of."""
    return f"{name}_proa-old-{token}"


class PutBack:
    """Puts containers back that were to be replaced."""

    def __init__(self, engine: EngineClient, reader: ContainerReader) -> None:
        self._engine = engine
        self._reader = reader

    async def put_back(
        self, footprint: Footprint, made: tuple[Resource, ...] | None = None
    ) -> None:
        """Start the old container if it ran, remove the new one, and give the old one its name.

        Args:
            footprint: of the recreation.
            made: what the recreation has made; None: look.
        """
        found = await self._reader.created(footprint.mark) if made is None else made
        old = await self._reader.find(footprint.replaces)
        if old is not None and footprint.start and (found or _ASIDE.fullmatch(old.name)):
            await self._stop(found)
            if old.state not in ACTIVE:
                await self._engine.post(path(old.id, "/start"))
        for each in found:
            await self._engine.delete(path(each.id), params={"force": 1, "v": 1})
        if old is not None and _ASIDE.fullmatch(old.name):
            # Somebody may have taken the name: then it keeps the other one.
            params = {"name": footprint.former}
            await self._engine.post(path(old.id, "/rename"), params=params)

    async def _stop(self, made: tuple[Resource, ...]) -> None:
        """End what may hold the ports of the old one."""
        for each in made:
            await self._engine.post(path(each.id, "/kill"))

    async def finish(self, footprint: Footprint) -> None:
        """Remove the old container, since the new one is in its place."""
        await self._engine.delete(path(footprint.replaces), params={"force": 1, "v": 0})

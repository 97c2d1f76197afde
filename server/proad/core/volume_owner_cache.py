"""The owners of volumes in memory, as they are stored."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from proad.core.engine_connection import EngineConnection
from proad.ports.records import EngineIdentity, VolumeOwner, VolumeOwners

_CONTAINERS = "container volume "


def id_of_container_volume(name: str) -> str:
    """Return the id of a volume of containers, which is known by its name alone."""
    return f"{_CONTAINERS}{name}"


def is_of_containers(id: str) -> bool:
    """Return whether an id is that of a volume of containers; others are of storage pools."""
    return id.startswith(_CONTAINERS)


class VolumeOwnerCache:
    """The owners of the volumes of each engine, by ids; each change is stored first.

    Args:
        owners: where they outlive the process.
    """

    def __init__(self, owners: VolumeOwners) -> None:
        self._owners = owners
        self._engines: dict[EngineIdentity, dict[str, VolumeOwner]] = {}
        self._loading = asyncio.Lock()
        # Held while owners change: none is forgotten that is put at the same time.
        self._changing = asyncio.Lock()
        # Of creates under way, whose volumes may not be there yet.
        self._kept = Counter[str]()

    def __iter__(self) -> Iterator[VolumeOwner]:
        return (row for known in self._engines.values() for row in known.values())

    @contextmanager
    def keeping(self, ids: Collection[str]) -> Iterator[None]:
        """Forget none of these volumes within the block."""
        self._kept.update(ids)
        try:
            yield
        finally:
            self._kept -= Counter(ids)

    async def load(
        self, connection: EngineConnection
    ) -> tuple[EngineIdentity, Mapping[str, VolumeOwner]]:
        """Return the owners of the engine that answers now."""
        identity = await connection.read(connection.driver.identity)
        return identity, await self._of(identity)

    async def put(self, connection: EngineConnection, rows: Sequence[VolumeOwner]) -> None:
        """Store owners, in place of those with the same ids."""
        identity = await connection.read(connection.driver.identity)
        known = await self._of(identity)
        async with self._changing:
            await self._owners.put(identity, rows)
            known.update({row.id: row for row in rows})

    async def forget(
        self, engine: EngineIdentity, before: Mapping[str, VolumeOwner], ids: Collection[str]
    ) -> None:
        """Forget owners, but not those that are kept, or were put since `before` was read."""
        known = await self._of(engine)
        async with self._changing:
            gone = [id for id in ids if known.get(id) is before[id] and not self._kept[id]]
            if gone:
                await self._owners.remove(engine, gone)
                for id in gone:
                    del known[id]

    def kept(self) -> frozenset[str]:
        """Return the ids that are kept now."""
        return frozenset(self._kept)

    async def _of(self, engine: EngineIdentity) -> dict[str, VolumeOwner]:
        async with self._loading:
            if engine not in self._engines:
                self._engines[engine] = {each.id: each for each in await self._owners.list(engine)}
        return self._engines[engine]

"""Volume records whose database can be switched off and on."""

from proad.drivers.records import LocalVolumeRecords
from proad.errors import DatabaseUnreachableError
from proad.ports.records import VolumeRecord


class SwitchableRecords(LocalVolumeRecords):
    """Records in memory; reads fail while `reachable` is false."""

    reachable = True

    async def all(self) -> list[VolumeRecord]:
        """Return the records of all engines."""
        return [record for engine in self.engines for record in await self.list(engine)]

    async def list(self, engine: str) -> list[VolumeRecord]:
        if not self.reachable:
            raise DatabaseUnreachableError
        return await super().list(engine)

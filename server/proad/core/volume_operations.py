"""Volumes in storage pools."""

from collections.abc import Collection
from dataclasses import replace

from proad.core import ports
from proad.core.hosts import Hosts
from proad.core.operations import Operations
from proad.model import Volume, VolumeSpec


class VolumeOperations:
    """What VolumeService does; the errors are those of the port."""

    def __init__(self, hosts: Hosts, operations: Operations) -> None:
        self._hosts = hosts
        self._operations = operations

    async def list(self, pool: str, *, host: str) -> list[Volume]:
        """Give the volumes of a host, by pool and name."""
        connection, driver = self._hosts.offering(ports.Volumes, host)
        volumes = await connection.read(lambda: driver.list_volumes(pool))
        volumes.sort(key=lambda volume: (volume.pool, volume.name))
        return [replace(volume, host=connection.host) for volume in volumes]

    async def create(self, spec: VolumeSpec, *, host: str) -> Volume:
        """Create a volume on a host."""
        connection, driver = self._hosts.offering(ports.Volumes, host)
        volume = await self._operations.run(
            lambda: connection.verb(lambda: driver.create_volume(spec))
        )
        return replace(volume, host=connection.host)

    async def delete(
        self, pool: str, name: str, *, host: str, ignore_unreadable: Collection[str] = ()
    ) -> None:
        """Delete a volume of a host."""
        connection, driver = self._hosts.offering(ports.Volumes, host)

        async def delete() -> None:
            await driver.delete_volume(pool, name, ignore_unreadable=ignore_unreadable)

        await self._operations.run(lambda: connection.verb(delete))

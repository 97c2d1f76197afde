"""Forgets the owners of volumes that are no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from proad.core.engine_connection import EngineConnection
from proad.core.hosts import Hosts
from proad.core.volume_owner_cache import (
    VolumeOwnerCache,
    id_of_container_volume,
    is_of_containers,
)
from proad.errors import ProaError
from proad.ports import ContainerAttachments, Volumes
from proad.ports.records import EngineIdentity

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class VolumeTiming:
    """Durations of the owners of volumes.

    Attributes:
        interval: seconds between two looks for volumes that are no more.
    """

    interval: float = 60.0


class VolumeOwnerReconciler:
    """Compares the owners of volumes with the volumes that engines have.

    Args:
        owners: the owners.
        timing: when to compare.
    """

    def __init__(self, owners: VolumeOwnerCache, timing: VolumeTiming = VolumeTiming()) -> None:
        self._owners = owners
        self._interval = timing.interval
        # Volumes of containers that were not there at the last look.
        self._missing: dict[EngineIdentity, frozenset[str]] = {}

    @asynccontextmanager
    async def following(self, hosts: Hosts) -> AsyncIterator[None]:
        """Forget the owners of volumes that are no more, within the block."""
        task = asyncio.create_task(self._follow(hosts))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self, hosts: Hosts) -> None:
        while True:
            for connection in hosts.connections:
                if not connection.lost:
                    try:
                        if isinstance(connection.driver, Volumes):
                            await self._reconcile(connection, connection.driver)
                        if isinstance(connection.driver, ContainerAttachments):
                            await self._reconcile_containers(connection, connection.driver)
                    except ProaError as error:
                        engine = str(connection.ref)
                        _log.info("volumes not compared", engine=engine, cause=error.message)
            await asyncio.sleep(self._interval)

    async def _reconcile(self, connection: EngineConnection, driver: Volumes) -> None:
        """Forget the owners of volumes of storage pools."""
        identity, known = await self._owners.load(connection)
        before = {id: row for id, row in known.items() if not is_of_containers(id)}
        kept = self._owners.kept()
        there = await connection.read(driver.recorded_volumes)
        await self._owners.forget(identity, before, before.keys() - there - kept)

    async def _reconcile_containers(
        self, connection: EngineConnection, driver: ContainerAttachments
    ) -> None:
        """Forget the owners of volumes of containers that were not there twice in a row.

        An engine may make a volume a while after the create was given up.
        """
        identity, known = await self._owners.load(connection)
        before = {id: row for id, row in known.items() if is_of_containers(id)}
        there = {
            id_of_container_volume(each.name)
            for each in await connection.read(driver.container_volumes)
        }
        missing = before.keys() - there
        gone = missing & self._missing.get(identity, frozenset())
        self._missing[identity] = frozenset(missing)
        await self._owners.forget(identity, before, gone)

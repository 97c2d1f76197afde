"""The port Volumes: calls about volumes in storage pools."""

from collections.abc import Collection
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import libvirt

from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.rollback import Rollback, all_or_nothing
from proad.drivers.libvirt.storage.storage import Storage
from proad.drivers.libvirt.storage.volume_view import view_of
from proad.drivers.threads import from_thread
from proad.drivers.under_way import CreatesUnderWay
from proad.model import Footprint, Volume, VolumeRef, VolumeSpec
from proad.ports import AnnounceFootprint, Begin


class VolumeCalls:
    """Lists, creates and deletes volumes; see `ports.Volumes`.

    Args:
        connection: to libvirt.
        storage: the volumes.
        under_way: gets the creates that are under way.
    """

    def __init__(
        self, connection: Connection, storage: Storage, under_way: CreatesUnderWay
    ) -> None:
        self._connection = connection
        self._storage = storage
        self._under_way = under_way

    async def list(self, pool: str) -> list[Volume]:
        """Return the volumes of a pool; empty: of all active pools."""
        return await self._connection.call(
            lambda c: self._storage.list(c, pool), bulkhead=Bulkhead.READ
        )

    async def create(self, spec: VolumeSpec, announce: AnnounceFootprint) -> Volume:
        """Create a volume."""

        def make(connection: libvirt.virConnect, rollback: Rollback) -> Volume:
            with ExitStack() as reserved:
                if spec.base is not None:
                    reserved.enter_context(self._storage.reserved(connection, spec.base))
                prepared = self._storage.prepare(connection, spec, id=str(uuid4()))
                planned = prepared.planned(self._storage.find)
                rollback.begin(Footprint(create_time=datetime.now(UTC), volumes=(planned,)))
                volume = self._storage.create(connection, prepared, rollback)
                return view_of(volume, planned.pool, spec.format, planned.id)

        return await all_or_nothing(
            self._connection, make, announce=announce, under_way=self._under_way
        )

    async def record(self, ref: VolumeRef, ours: Collection[str] | None) -> Volume:
        """Return a volume that is to have an owner; record it if Proa did not make it."""
        record = partial(self._storage.recorder.record, ref=ref, ours=ours)
        return await self._connection.call(
            record, timeout=self._connection.timing.long_call_timeout
        )

    async def recorded(self) -> set[str]:
        """Return the ids of the records of all volumes."""
        return await self._connection.call(self._storage.recorded, bulkhead=Bulkhead.READ)

    async def delete(self, ref: VolumeRef, ignore: Collection[str], begin: Begin) -> None:
        """Delete a volume that is not in use; `ignore` names users with unreadable references."""
        delete = partial(
            self._storage.deleter.delete, ref=ref, ignore=ignore, begin=from_thread(begin)
        )
        await self._connection.call(delete, timeout=self._connection.timing.long_call_timeout)

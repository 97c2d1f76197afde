"""What became of creates that were interrupted by a crash of this daemon, or of libvirtd."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import libvirt
import structlog

from proad.drivers.libvirt import snapshots
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.connections.queries import lookup
from proad.drivers.libvirt.delete import DomainDeleter
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.storage.catalog import VolumeCatalog, created_record
from proad.drivers.libvirt.storage.files import is_born_after
from proad.drivers.libvirt.storage.storage import Storage
from proad.drivers.libvirt.storage.volume_view import view_of
from proad.drivers.libvirt.xml import metadata
from proad.drivers.tolerant import Omissions
from proad.drivers.under_way import CreatesUnderWay
from proad.errors import (
    InUseError,
    ResourceNotFoundError,
    SnapshotNotFoundError,
    VolumeNotFoundError,
)
from proad.model import (
    ACTIVE,
    DeleteOptions,
    Footprint,
    Found,
    PlannedVolume,
    Resource,
    Snapshot,
    StateReason,
    Volume,
    VolumeRef,
)
from proad.ports import at_once
from proad.ports.records import RecordState, VolumeRecord

_log = structlog.get_logger(__name__)


class DomainRecovery:
    """Finds and removes what creates of domains, snapshots and volumes have made.

    Args:
        connection: to libvirt.
        reader: reads domains.
        storage: finds and deletes volumes.
        catalog: the records of the volumes that Proa created.
        deleter: deletes domains.
        omissions: notes what is unreadable.
        under_way: has the creates that are under way.
    """

    def __init__(
        self,
        connection: Connection,
        reader: DomainReader,
        storage: Storage,
        catalog: VolumeCatalog,
        deleter: DomainDeleter,
        omissions: Omissions,
        under_way: CreatesUnderWay,
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._storage = storage
        self._catalog = catalog
        self._deleter = deleter
        self._omissions = omissions
        self._under_way = under_way

    async def find(self, footprint: Footprint) -> Found | None:
        """Return what a create has made; see `ports.Recovery`."""
        self._under_way.check(footprint)

        def look(connection: libvirt.virConnect) -> Found | None:
            if not footprint.mark:
                (planned,) = footprint.volumes
                volume = self._volume(connection, planned, footprint.create_time)
                return None if volume is None else Found(made=volume, complete=True)
            if footprint.snapshot:
                snapshot = self._snapshot(connection, footprint)
                return None if snapshot is None else Found(made=snapshot, complete=True)
            domain = self._domain(connection, footprint)
            if domain is None:
                return None
            return Found(made=domain, complete=_is_complete(domain, footprint))

        return await self._connection.call(look)

    async def undo(self, footprint: Footprint, *, force: bool) -> tuple[str, ...]:
        """Remove what a create has left; see `ports.Recovery`."""
        self._under_way.check(footprint)
        if footprint.snapshot:
            return await self._connection.call(lambda c: self._undo_snapshot(c, footprint))
        if footprint.mark:
            domain = await self._connection.call(lambda c: self._domain(c, footprint))
            if domain is not None:
                if domain.state in ACTIVE and not force:
                    return ()
                with suppress(ResourceNotFoundError):
                    await self._deleter.delete(domain.id, DeleteOptions(force=force), at_once)
        return await self._connection.call(
            lambda c: tuple(
                left
                for planned in footprint.volumes
                if (left := self._undo_volume(c, planned, footprint.create_time))
            ),
            timeout=self._connection.timing.long_call_timeout,
        )

    def _domain(self, connection: libvirt.virConnect, footprint: Footprint) -> Resource | None:
        """Return the domain of a create, unless somebody else has defined it."""
        try:
            domain = lookup(connection, footprint.mark)
        except ResourceNotFoundError:
            return None
        if metadata.read(domain).create_time != footprint.create_time:
            return None
        return self._reader.full(domain, ask_guest=False)

    def _snapshot(self, connection: libvirt.virConnect, footprint: Footprint) -> Snapshot | None:
        try:
            domain = lookup(connection, footprint.mark)
            found = snapshots.get(domain, footprint.snapshot, self._omissions)
        except (ResourceNotFoundError, SnapshotNotFoundError):
            return None
        # libvirt counts whole seconds.
        earliest = footprint.create_time.replace(microsecond=0)
        if found.create_time is None or found.create_time < earliest:
            return None
        return found

    def _undo_snapshot(
        self, connection: libvirt.virConnect, footprint: Footprint
    ) -> tuple[str, ...]:
        if self._snapshot(connection, footprint) is None:
            return ()
        if footprint.named_by_caller:
            return (f"snapshot {footprint.snapshot}",)
        with suppress(SnapshotNotFoundError):
            domain = lookup(connection, footprint.mark)
            snapshots.find(domain, footprint.snapshot).delete()
        return ()

    def _volume(
        self, connection: libvirt.virConnect, planned: PlannedVolume, since: datetime
    ) -> Volume | None:
        """Return the volume that a create has made, and complete the record of the volume.

        The name was free: a volume like the wanted one that is not older, and that no other
        create has recorded, is taken for the create's, which was interrupted before it could
        record the file.
        """
        volume = self._found(connection, planned)
        if volume is None:
            return None
        recorded = self._catalog.of_volume(connection, volume)
        if recorded is not None and recorded.id != planned.id:
            return None
        if recorded is None:
            view = view_of(volume, planned.pool)
            record = created_record(connection, self._plan(connection, planned), volume)
            alike = (view.format, view.capacity_bytes) == (planned.format, planned.capacity_bytes)
            if not alike or not is_born_after(record.file, since):
                return None
            self._catalog.put(connection, record)
        return view_of(volume, planned.pool, planned.format)

    def _undo_volume(
        self, connection: libvirt.virConnect, planned: PlannedVolume, since: datetime
    ) -> str:
        """Delete a volume that is provably the create's; return the volume's name if it is left."""
        left = ""
        volume = self._found(connection, planned)
        plan = self._plan(connection, planned)
        if volume is not None:
            recorded = self._catalog.of_volume(connection, volume)
            if recorded is not None:
                ours = recorded.id == planned.id
            else:
                file = created_record(connection, plan, volume).file
                ours = not planned.named_by_caller and is_born_after(file, since)
            if not (ours and self._delete(connection, planned)):
                left = f"volume {planned.pool}/{planned.name}"
                _log.warning("libvirt.left_behind", what=left)
        self._catalog.end(connection, [plan])
        return left

    def _delete(self, connection: libvirt.virConnect, planned: PlannedVolume) -> bool:
        """Delete a volume unless something needs it; return whether it is gone."""
        try:
            self._storage.deleter.delete(
                connection, VolumeRef(pool=planned.pool, name=planned.name)
            )
        except VolumeNotFoundError:
            return True
        except InUseError:
            return False
        return True

    def _found(
        self, connection: libvirt.virConnect, planned: PlannedVolume
    ) -> libvirt.virStorageVol | None:
        try:
            return self._storage.find.volume(
                connection, VolumeRef(pool=planned.pool, name=planned.name)
            )
        except VolumeNotFoundError:
            return None

    def _plan(self, connection: libvirt.virConnect, planned: PlannedVolume) -> VolumeRecord:
        """Return the plan of a volume, or a new one if there is no record of it."""
        for record in self._catalog.load(connection):
            if record.id == planned.id:
                return replace(record, owner="")
        return VolumeRecord(
            id=planned.id or str(uuid4()),
            state=RecordState.PLANNED,
            pool=planned.pool,
            name=planned.name,
            format=planned.format,
            create_time=datetime.now(UTC),
        )


def _is_complete(domain: Resource, footprint: Footprint) -> bool:
    if domain.state in ACTIVE:
        return True
    if footprint.start:
        # Of a domain that has run, libvirt knows how the run ended.
        return domain.state_detail.reason not in {None, StateReason.NEVER_STARTED}
    return domain.domain is not None and domain.domain.autostart is footprint.autostart

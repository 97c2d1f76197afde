"""The records of the volumes that Proa created, for use on the driver's threads.

The records live behind a port on the event loop. The catalog has a copy of them for views, and
decides whether a volume under a recorded name is still the recorded one.
"""

import asyncio
import os
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import CancelledError
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

import libvirt
import structlog

from proad.drivers.libvirt.host.host import LibvirtHost
from proad.drivers.libvirt.host.virt import is_local
from proad.drivers.libvirt.storage.files import identity_of
from proad.drivers.libvirt.timing import CatalogTiming
from proad.errors import DatabaseUnreachableError, ProaError
from proad.model import DiskFormat
from proad.ports.records import FileIdentity, Layer, RecordState, VolumeRecord, VolumeRecords

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class VolumeCatalog:
    """The records of the volumes of one libvirtd.

    Args:
        records: the port.
        host: identifies the libvirtd.
        timing: limits of queries.
    """

    def __init__(
        self,
        records: VolumeRecords,
        host: LibvirtHost,
        timing: CatalogTiming = CatalogTiming(),
    ) -> None:
        self._timing = timing
        self._records = records
        self._host = host
        self._loop: asyncio.AbstractEventLoop | None = None
        # One query at a time, so that the copy is never older than a record that was put.
        self._query_lock = threading.RLock()
        self._lock = threading.Lock()
        self._engine = ""
        self._known: dict[str, VolumeRecord] = {}
        self._unreachable_until = 0.0

    def start(self) -> None:
        """Use the running event loop for the records."""
        self._loop = asyncio.get_running_loop()

    def plan(
        self,
        connection: libvirt.virConnect,
        *,
        pool: str,
        name: str,
        format: DiskFormat,
        base_chain: tuple[Layer, ...] = (),
        owner: str = "",
        id: str = "",
    ) -> VolumeRecord:
        """Record a volume before its creation.

        Args:
            connection: to libvirt.
            pool: its pool.
            name: its name.
            format: its format.
            base_chain: its backing chain, the nearest image first.
            owner: UUID of the domain that it goes with; empty: none.
            id: a UUID of the record; empty: a new one.

        Raises:
            DatabaseUnreachableError: the volume must not be created.
        """
        record = VolumeRecord(
            id=id or str(uuid.uuid4()),
            state=RecordState.PLANNED,
            owner=owner,
            pool=pool,
            name=name,
            format=format,
            base_chain=base_chain,
            create_time=datetime.now(UTC),
        )
        self.put(connection, record)
        return record

    def put(self, connection: libvirt.virConnect, record: VolumeRecord) -> None:
        """Store a record; replace the one with its id.

        Raises:
            DatabaseUnreachableError: nothing was stored.
        """
        engine = self._host.identity(connection)
        with self._query_lock:
            self._query(lambda: self._records.put(engine, record))
            with self._lock:
                if self._engine == engine:
                    self._known[record.id] = record

    def end(self, connection: libvirt.virConnect, records: Iterable[VolumeRecord]) -> None:
        """Remove the records of volumes that do not exist any more; if that fails, the next
        reconciliation does it.
        """
        ids = [record.id for record in records]
        if not ids:
            return
        engine = self._host.identity(connection)
        with self._query_lock:
            try:
                self._query(lambda: self._records.remove(engine, ids))
            except ProaError as error:
                _log.warning("libvirt.records_kept", records=ids, error=error.message)
                return
            with self._lock:
                for id in ids:
                    self._known.pop(id, None)

    def release(self, connection: libvirt.virConnect, records: Iterable[VolumeRecord]) -> None:
        """Make volumes ordinary, without an owner; if that fails, the next reconciliation does it."""
        try:
            for record in records:
                self.put(connection, replace(record, state=RecordState.ORDINARY, owner=""))
        except ProaError as error:
            _log.warning("libvirt.records_kept", error=error.message)

    def made_for(self, connection: libvirt.virConnect, domain: str) -> list[VolumeRecord]:
        """Return the records of the volumes that go with a domain, read from the port.

        Raises:
            DatabaseUnreachableError: they are unknown; nothing must be deleted.
        """
        self.load(connection)
        with self._lock:
            return [
                record
                for record in self._known.values()
                if record.state is RecordState.OWNED and record.owner == domain
            ]

    def of_volume(
        self, connection: libvirt.virConnect, volume: libvirt.virStorageVol
    ) -> VolumeRecord | None:
        """Return the record of a volume; None: Proa did not create the present one.

        A file is recognised under any path and in any pool.

        Raises:
            DatabaseUnreachableError: the records are unreadable.
        """
        self._loaded(connection)
        key = volume.key()
        with self._lock:
            records = [*self._known.values()]
        for record in records:
            if record.key == key and self.is_same(connection, record, volume):
                return record
        if (
            not is_local(connection)
            or (found := identity_of(os.path.realpath(volume.path()))) is None
        ):
            return None
        alike = (each for each in records if each.file and each.file.inode == found.inode)
        return next((each for each in alike if _is_of(each, found)), None)

    def made(self, connection: libvirt.virConnect) -> list[VolumeRecord]:
        """Return the records of all volumes that were created, existing or not.

        Raises:
            DatabaseUnreachableError: the records are unreadable.
        """
        self._loaded(connection)
        with self._lock:
            return [record for record in self._known.values() if record.path]

    def files(self, connection: libvirt.virConnect) -> list[VolumeRecord]:
        """Return the records of all volumes that exist and are still the recorded ones.

        Raises:
            DatabaseUnreachableError: the records are unreadable.
        """
        records = self.made(connection)
        if not is_local(connection):
            return records
        return [
            record
            for record in records
            if record.file is None
            or ((found := identity_of(record.path)) and found.is_same(record.file))
        ]

    def owns(
        self, connection: libvirt.virConnect, domain: str, volume: libvirt.virStorageVol
    ) -> bool:
        """Return, for views, whether a volume goes with a domain; false if unknown."""
        if time.monotonic() < self._unreachable_until:
            return False  # else each disk of a list would wait for the database
        try:
            record = self.of_volume(connection, volume)
        except DatabaseUnreachableError:
            self._unreachable_until = time.monotonic() + self._timing.retry_delay.total_seconds()
            return False
        return record is not None and (record.state, record.owner) == (RecordState.OWNED, domain)

    def is_same(
        self, connection: libvirt.virConnect, record: VolumeRecord, volume: libvirt.virStorageVol
    ) -> bool:
        """Return whether a volume is the recorded one, not another one of its name."""
        if not record.key or volume.key() != record.key:
            return False
        if record.file is None or not is_local(connection):
            return True
        found = identity_of(volume.path())
        return found is not None and found.is_same(record.file)

    def load(self, connection: libvirt.virConnect) -> list[VolumeRecord]:
        """Read all records of this libvirtd from the port.

        Raises:
            DatabaseUnreachableError: the records are unreadable.
        """
        engine = self._host.identity(connection)
        with self._query_lock:
            records = self._query(lambda: self._records.list(engine))
            with self._lock:
                self._engine = engine
                self._known = {record.id: record for record in records}
            self._unreachable_until = 0.0
        return records

    def _loaded(self, connection: libvirt.virConnect) -> None:
        if self._engine != self._host.identity(connection):
            self.load(connection)

    def _query(self, query: Callable[[], Awaitable[T]]) -> T:
        """Run a query on the event loop, and wait for its result."""
        if self._loop is None:
            raise RuntimeError("the driver was not entered")

        async def answer() -> T:
            async with asyncio.timeout(self._timing.query_timeout.total_seconds()):
                return await query()

        pending_query = answer()
        try:
            pending = asyncio.run_coroutine_threadsafe(pending_query, self._loop)
        except RuntimeError:  # the loop is closed
            pending_query.close()
            raise DatabaseUnreachableError from None
        try:
            return pending.result(2 * self._timing.query_timeout.total_seconds())
        except (TimeoutError, CancelledError):  # too slow, or the daemon stops
            pending.cancel()
            raise DatabaseUnreachableError from None


def _is_of(record: VolumeRecord, file: FileIdentity) -> bool:
    """Return whether a file, under any path, is the recorded one."""
    if record.file is None or not record.file.is_same(file):
        return False
    # Without a time of birth, it may be a later file with the same inode.
    return file.birth_time_ns is not None or identity_of(record.path) == file


def created_record(
    connection: libvirt.virConnect, planned: VolumeRecord, volume: libvirt.virStorageVol
) -> VolumeRecord:
    """Return the record of a planned volume that exists."""
    path = volume.path()
    return replace(
        planned,
        state=RecordState.OWNED if planned.owner else RecordState.ORDINARY,
        path=path,
        key=volume.key(),
        file=identity_of(path) if is_local(connection) else None,
    )

"""What Proa knows of the volumes that it made: asked and told on the driver's threads.

The records themselves are the port's; this keeps a copy for what is read all the time,
and tells whether a volume that is found under a recorded name is still the recorded one.
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
    """The records of one libvirtd's volumes.

    Args:
        records: where they are kept.
        host: tells which engine this is.
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
        # One question at a time, so that what is known is never older than what was put.
        self._asking = threading.RLock()
        self._lock = threading.Lock()
        self._engine = ""
        self._known: dict[str, VolumeRecord] = {}
        self._unreachable_until = 0.0

    def start(self) -> None:
        """Take the running event loop for the one that the records live on."""
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
    ) -> VolumeRecord:
        """Record a volume before libvirt is asked for it.

        Args:
            connection: to libvirt.
            pool: where it will be.
            name: its name there.
            format: what it will be made in.
            base_chain: the images below it, the nearest first.
            owner: UUID of the domain that it is for; empty: for none.

        Raises:
            DatabaseUnreachableError: nothing may be done.
        """
        record = VolumeRecord(
            id=str(uuid.uuid4()),
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
        """Keep a record, in place of the one with its id.

        Raises:
            DatabaseUnreachableError: it is as it was.
        """
        engine = self._host.identity(connection)
        with self._asking:
            self._ask(lambda: self._records.put(engine, record))
            with self._lock:
                if self._engine == engine:
                    self._known[record.id] = record

    def end(self, connection: libvirt.virConnect, records: Iterable[VolumeRecord]) -> None:
        """Forget volumes that are no more. If that fails, the next comparison does it."""
        ids = [record.id for record in records]
        if not ids:
            return
        engine = self._host.identity(connection)
        with self._asking:
            try:
                self._ask(lambda: self._records.remove(engine, ids))
            except ProaError as error:
                _log.warning("libvirt.records_kept", records=ids, error=error.message)
                return
            with self._lock:
                for id in ids:
                    self._known.pop(id, None)

    def release(self, connection: libvirt.virConnect, records: Iterable[VolumeRecord]) -> None:
        """Have volumes go with no domain any more. If that fails, the next comparison does it."""
        try:
            for record in records:
                self.put(connection, replace(record, state=RecordState.ORDINARY, owner=""))
        except ProaError as error:
            _log.warning("libvirt.records_kept", error=error.message)

    def made_for(self, connection: libvirt.virConnect, domain: str) -> list[VolumeRecord]:
        """Give the records of the volumes that go with a domain, read anew.

        Raises:
            DatabaseUnreachableError: nobody can tell; nothing may be deleted.
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
        """Give the record of a volume; None: Proa did not make what is there now.

        A file is the recorded one by whatever path or pool it is reached.

        Raises:
            DatabaseUnreachableError: nobody can tell.
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
        """Give the records of all volumes that were made, whether they are there or not.

        Raises:
            DatabaseUnreachableError: nobody can tell.
        """
        self._loaded(connection)
        with self._lock:
            return [record for record in self._known.values() if record.path]

    def files(self, connection: libvirt.virConnect) -> list[VolumeRecord]:
        """Give the records of all volumes that are there, and are still the recorded ones.

        Raises:
            DatabaseUnreachableError: nobody can tell.
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
        """Tell, for a view, whether a volume goes with a domain as far as is known."""
        if time.monotonic() < self._unreachable_until:
            return False  # or each disk of a list would wait for the database in turn
        try:
            record = self.of_volume(connection, volume)
        except DatabaseUnreachableError:
            self._unreachable_until = time.monotonic() + self._timing.retry_delay.total_seconds()
            return False
        return record is not None and (record.state, record.owner) == (RecordState.OWNED, domain)

    def is_same(
        self, connection: libvirt.virConnect, record: VolumeRecord, volume: libvirt.virStorageVol
    ) -> bool:
        """Tell whether a volume is the recorded one, and not another one of its name."""
        if not record.key or volume.key() != record.key:
            return False
        if record.file is None or not is_local(connection):
            return True
        found = identity_of(volume.path())
        return found is not None and found.is_same(record.file)

    def load(self, connection: libvirt.virConnect) -> list[VolumeRecord]:
        """Read all records of this engine anew.

        Raises:
            DatabaseUnreachableError: they cannot be read.
        """
        engine = self._host.identity(connection)
        with self._asking:
            records = self._ask(lambda: self._records.list(engine))
            with self._lock:
                self._engine = engine
                self._known = {record.id: record for record in records}
            self._unreachable_until = 0.0
        return records

    def _loaded(self, connection: libvirt.virConnect) -> None:
        if self._engine != self._host.identity(connection):
            self.load(connection)

    def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Have the event loop ask the records, and wait for it."""
        if self._loop is None:
            raise RuntimeError("the driver was not entered")

        async def answer() -> T:
            async with asyncio.timeout(self._timing.query_timeout.total_seconds()):
                return await question()

        asked = answer()
        try:
            pending = asyncio.run_coroutine_threadsafe(asked, self._loop)
        except RuntimeError:  # the loop is closed
            asked.close()
            raise DatabaseUnreachableError from None
        try:
            return pending.result(2 * self._timing.query_timeout.total_seconds())
        except (TimeoutError, CancelledError):  # it takes too long, or the daemon stops
            pending.cancel()
            raise DatabaseUnreachableError from None


def _is_of(record: VolumeRecord, file: FileIdentity) -> bool:
    """Tell whether a file, found at whatever path, is the recorded one."""
    if record.file is None or not record.file.is_same(file):
        return False
    # Without a time of birth it may be a later file with the same inode.
    return file.birth_time_ns is not None or identity_of(record.path) == file


def described(
    connection: libvirt.virConnect, planned: VolumeRecord, volume: libvirt.virStorageVol
) -> VolumeRecord:
    """Give the record of a planned volume that is there."""
    path = volume.path()
    return replace(
        planned,
        state=RecordState.OWNED if planned.owner else RecordState.ORDINARY,
        path=path,
        key=volume.key(),
        file=identity_of(path) if is_local(connection) else None,
    )

"""Reconciliation of the records of volumes with the volumes of libvirt."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import libvirt
import structlog

from proad.drivers.libvirt import serial_log
from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.errors import code_of, seek
from proad.drivers.libvirt.storage.catalog import VolumeCatalog, created_record
from proad.drivers.libvirt.storage.files import is_born_after
from proad.drivers.libvirt.storage.pools import NO_POOL
from proad.drivers.libvirt.timing import CatalogTiming
from proad.errors import ProaError
from proad.ports.records import RecordState, VolumeRecord

_log = structlog.get_logger(__name__)


class Reconciler:
    """Reconciles the records with the volumes at intervals.

    Args:
        connection: to libvirt.
        catalog: the records.
        timing: of the comparisons.
    """

    def __init__(
        self, connection: Connection, catalog: VolumeCatalog, timing: CatalogTiming
    ) -> None:
        self._connection = connection
        self._catalog = catalog
        self._timing = timing

    async def run(self) -> None:
        """Reconcile again and again; a comparison that fails is made at the next interval."""
        while True:
            settled = datetime.now(UTC) - self._timing.settle_time
            compare = partial(reconcile, catalog=self._catalog, older_than=settled)
            try:
                await self._connection.call(compare, bulkhead=Bulkhead.SAMPLE)
            except ProaError as error:  # the engine or the database is lost
                _log.info("libvirt.records_not_reconciled", error=error.message)
            except Exception:  # noqa: BLE001 - one odd volume must not end all comparisons
                _log.exception("libvirt.records_not_reconciled")
            await asyncio.sleep(self._timing.reconcile_interval.total_seconds())


def reconcile(
    connection: libvirt.virConnect, catalog: VolumeCatalog, *, older_than: datetime | None = None
) -> None:
    """Update the records after changes by others; change nothing on the host but for logs.

    Remove the record of a volume that does not exist any more, unless its domain exists; also
    after a crash between the delete of the volume and that of the record. Make a volume ordinary
    whose domain was removed by others, and delete the log of that domain, which nobody has deleted
    if no daemon was there.

    Args:
        connection: to libvirt.
        catalog: the records.
        older_than: take a create whose records are younger for one that is under way.

    Raises:
        DatabaseUnreachableError: the records are unreadable.
    """
    records = catalog.load(connection)
    domains = {domain.UUIDString() for domain in connection.listAllDomains()}
    for record in records:
        under_way = older_than is not None and record.create_time >= older_than
        _reconcile(connection, catalog, record, domains, under_way=under_way)


def _reconcile(
    connection: libvirt.virConnect,
    catalog: VolumeCatalog,
    record: VolumeRecord,
    domains: Collection[str],
    *,
    under_way: bool,
) -> None:
    if record.owner in domains and record.state is RecordState.OWNED:
        return
    if record.state is RecordState.PLANNED and under_way:  # the volume may be about to come
        return
    try:
        volume = _volume(connection, record)
    except libvirt.libvirtError as error:
        if code_of(error) not in NO_POOL:
            raise
        return  # unknown without the pool
    if record.state is RecordState.PLANNED:
        _settle(connection, catalog, record, volume, domains)
    elif volume is None or not catalog.is_same(connection, record, volume):
        catalog.end(connection, [record])
        if record.state is RecordState.OWNED and not under_way:
            serial_log.delete(record.owner)
    elif record.state is RecordState.OWNED and not under_way:
        catalog.release(connection, [record])
        serial_log.delete(record.owner)


def _settle(
    connection: libvirt.virConnect,
    catalog: VolumeCatalog,
    planned: VolumeRecord,
    volume: libvirt.virStorageVol | None,
    domains: Collection[str],
) -> None:
    """Complete or remove the record of a volume whose create was interrupted by a crash."""
    if volume is None:
        catalog.end(connection, [planned])
        return
    owner = planned.owner if planned.owner in domains else ""
    record = created_record(connection, replace(planned, owner=owner), volume)
    if planned.is_named_after_itself and is_born_after(record.file, planned.create_time):
        catalog.put(connection, record)
        return
    # Somebody else may have made a volume of that name, before the create or after the crash.
    _log.warning("libvirt.left_behind", what=f"volume {planned.name}", pool=planned.pool)
    catalog.end(connection, [planned])


def _volume(connection: libvirt.virConnect, record: VolumeRecord) -> libvirt.virStorageVol | None:
    """Return libvirt's volume of the recorded name; None if there is none."""
    pool = seek(connection.storagePoolLookupByName, record.pool)
    try:
        return seek(pool.storageVolLookupByName, record.name)
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_VOL:
            raise
    return None

"""A catalog without a driver: its records live on an event loop of its own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import libvirt

from proad.drivers.libvirt.host.host import LibvirtHost
from proad.drivers.libvirt.host.virt import HostFacts
from proad.drivers.libvirt.storage.catalog import VolumeCatalog, created_record
from proad.drivers.records import LocalVolumeRecords
from proad.drivers.tolerant import Omissions
from proad.model import DiskFormat, VirtType
from proad.ports.records import VolumeRecord

HOST = HostFacts(virt_type=VirtType.TEST, architecture="x86_64")


def record_of(
    catalog: VolumeCatalog, connection: libvirt.virConnect, pool: str, name: str, *, owner: str = ""
) -> VolumeRecord:
    """Record a volume that is there as one that Proa has made."""
    volume = connection.storagePoolLookupByName(pool).storageVolLookupByName(name)
    planned = catalog.plan(connection, pool=pool, name=name, format=DiskFormat.RAW, owner=owner)
    record = created_record(connection, planned, volume)
    catalog.put(connection, record)
    return record


@contextmanager
def local_catalog(records: LocalVolumeRecords | None = None) -> Iterator[VolumeCatalog]:
    """Return a catalog that may be asked on this thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    catalog = VolumeCatalog(
        records or LocalVolumeRecords(),
        LibvirtHost("qemu", "test:///default", Omissions("libvirt")),
    )

    async def start() -> None:
        catalog.start()

    try:
        asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        yield catalog
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

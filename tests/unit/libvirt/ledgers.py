"""A ledger without a driver: its records live on an event loop of its own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import libvirt

from proad.core.records import VolumeRecord
from proad.drivers.libvirt.host import Host
from proad.drivers.libvirt.ledger import Ledger, described
from proad.drivers.records import LoneRecords
from proad.drivers.tolerant import Omissions
from proad.model import DiskFormat


def record_of(
    ledger: Ledger, connection: libvirt.virConnect, pool: str, name: str, *, owner: str = ""
) -> VolumeRecord:
    """Record a volume that is there as one that Proa has made."""
    volume = connection.storagePoolLookupByName(pool).storageVolLookupByName(name)
    planned = ledger.plan(connection, pool=pool, name=name, format=DiskFormat.RAW, owner=owner)
    record = described(connection, planned, volume)
    ledger.put(connection, record)
    return record


@contextmanager
def lone_ledger(records: LoneRecords | None = None) -> Iterator[Ledger]:
    """Give a ledger that may be asked on this thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    ledger = Ledger(records or LoneRecords(), Host("qemu", "test:///default", Omissions("libvirt")))

    async def start() -> None:
        ledger.start()

    try:
        asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        yield ledger
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

"""Deletions of a volume that race a new use of it."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import libvirt
import pytest

from integration.libvirt.guests import MIB, Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import ProaError
from proad.model import DiskFormat, DiskSpec, NewDisk, VolumeRef, VolumeSpec

pytestmark = pytest.mark.libvirt

Use = Callable[[LibvirtDriver, Guests, VolumeRef], Awaitable[object]]


async def clone(driver: LibvirtDriver, guests: Guests, base: VolumeRef) -> object:
    return await driver.create_volume(VolumeSpec(name=f"{guests.prefix}-clone", base=base))


async def attach(driver: LibvirtDriver, guests: Guests, volume: VolumeRef) -> object:
    return await driver.create_domain(guests.blank(disks=(DiskSpec(volume=volume),)))


async def attach_clone(driver: LibvirtDriver, guests: Guests, base: VolumeRef) -> object:
    disk = DiskSpec(new_volume=NewDisk(base=base))
    return await driver.create_domain(guests.blank(disks=(disk,)))


@pytest.mark.parametrize("use", [clone, attach, attach_clone])
async def test_delete_volume_racing_new_use_loses_nothing(
    driver: LibvirtDriver, guests: Guests, monkeypatch: pytest.MonkeyPatch, use: Use
):
    volume = await driver.create_volume(
        VolumeSpec(name=f"{guests.prefix}-base", capacity_bytes=MIB, format=DiskFormat.QCOW2)
    )
    ref = VolumeRef(pool=volume.pool, name=volume.name)
    looked, used = threading.Event(), threading.Event()
    remove = libvirt.virStorageVol.delete

    def wait_and_remove(volume: libvirt.virStorageVol, flags: int = 0) -> int:
        looked.set()
        used.wait(3)
        return int(remove(volume, flags))

    monkeypatch.setattr(libvirt.virStorageVol, "delete", wait_and_remove)
    delete = asyncio.create_task(driver.delete_volume(ref.pool, ref.name))
    assert await asyncio.to_thread(looked.wait, 60)
    create = asyncio.ensure_future(use(driver, guests, ref))
    create.add_done_callback(lambda _: used.set())
    results = await asyncio.gather(delete, create, return_exceptions=True)
    assert sum(isinstance(each, ProaError) for each in results) == 1, results
    assert Path(volume.path).exists() is not isinstance(results[1], Exception)

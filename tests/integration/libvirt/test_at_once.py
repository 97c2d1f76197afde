"""A volume that goes while somebody comes to use it."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from integration.libvirt.guests import MIB, Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.storage import storage
from proad.drivers.libvirt.storage.usage import Users
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
async def test_a_volume_that_comes_into_use_during_its_delete_is_never_lost(
    driver: LibvirtDriver, guests: Guests, monkeypatch: pytest.MonkeyPatch, use: Use
):
    volume = await driver.create_volume(
        VolumeSpec(name=f"{guests.prefix}-base", capacity_bytes=MIB, format=DiskFormat.QCOW2)
    )
    ref = VolumeRef(pool=volume.pool, name=volume.name)
    looked, used = threading.Event(), threading.Event()
    refuse = storage._refuse

    def looked_and_waits(name: str, users: Users) -> None:
        refuse(name, users)
        looked.set()
        used.wait(3)

    monkeypatch.setattr(storage, "_refuse", looked_and_waits)
    delete = asyncio.create_task(driver.delete_volume(ref.pool, ref.name))
    assert await asyncio.to_thread(looked.wait, 60)
    create = asyncio.ensure_future(use(driver, guests, ref))
    create.add_done_callback(lambda _: used.set())
    results = await asyncio.gather(delete, create, return_exceptions=True)
    assert sum(isinstance(each, ProaError) for each in results) == 1, results
    assert Path(volume.path).exists() is not isinstance(results[1], Exception)

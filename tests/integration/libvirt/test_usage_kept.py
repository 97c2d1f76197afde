"""What is deleted with a domain, and what stays because others need it."""

import os
from dataclasses import replace
from pathlib import Path

import libvirt
import pytest

from integration.libvirt.guests import MIB, Guests
from integration.libvirt.usage import define, disk, outside_folder, overlay, pool, run
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import AlreadyExistsError, InUseError
from proad.model import (
    DeleteOptions,
    DiskFormat,
    DiskSpec,
    Firmware,
    Lifetime,
    NewDisk,
    StopMode,
    StopOptions,
    VolumeRef,
    VolumeSpec,
)

__all__ = ["outside_folder", "pool"]  # fixtures
pytestmark = pytest.mark.libvirt


async def test_delete_keeps_base_of_external_overlay(
    outside_folder: Path,
    driver: LibvirtDriver,
    guests: Guests,
):
    made = await driver.create_domain(guests.blank())
    assert made.domain is not None
    path = Path(made.domain.disks[0].path)
    other = overlay(path.with_name(f"{guests.prefix}-overlay.qcow2"), path)
    await driver.delete(made.id)
    assert path.exists()
    other.unlink()


@pytest.mark.parametrize("active", [False, True], ids=["stopped", "running"])
async def test_delete_with_disk_only_snapshots_keeps_files(
    outside_folder: Path,
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    *,
    active: bool,
):
    made = await driver.create_domain(guests.blank(), start=active)
    assert made.domain is not None
    path = Path(made.domain.disks[0].path)
    domain = raw.lookupByUUIDString(made.id)
    for number in range(2):
        domain.snapshotCreateXML(
            f"<domainsnapshot><name>s{number}</name><disks><disk name='vda' snapshot='external'>"
            f"<source file='{outside_folder}/{number}.qcow2'/></disk></disks></domainsnapshot>",
            libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY,
        )
    if active:
        await driver.stop(made.id, StopOptions(mode=StopMode.FORCE))
    await driver.delete(made.id, DeleteOptions(delete_snapshots=True))
    assert await guests.domains() == set()
    assert {each.name for each in outside_folder.iterdir()} == {"0.qcow2", "1.qcow2"}
    assert path.exists()  # the base of these files


async def test_verbs_keep_everything_made_externally(
    pool: libvirt.virStoragePool,
    outside_folder: Path,
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    folder: Path,
):
    await driver.create_volume(VolumeSpec(name=f"{guests.prefix}-any", capacity_bytes=MIB))
    place = Path("/var/tmp") / pool.name()
    base, clone, beside = place / "base", place / "clone", folder / f"{guests.prefix}-1-vdb.qcow2"
    run("qemu-img", "create", "-f", "qcow2", base, MIB)
    overlay(clone, base)
    overlay(outside_folder / "overlay", clone)
    overlay(beside, base)
    (place / os.fsdecode(b"odd-\xff")).write_bytes(b"odd")
    define(raw, guests, disk(outside_folder / "overlay")).create()
    pool.refresh()
    watched = [*place.iterdir(), *outside_folder.iterdir(), beside]
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in watched}

    made = await driver.create_domain(guests.blank(firmware=Firmware.UEFI), start=True)
    new = NewDisk(capacity_bytes=MIB)
    disks = (
        DiskSpec(new_volume=new),
        DiskSpec(new_volume=replace(new, volume_name=beside.name)),
    )
    with pytest.raises(AlreadyExistsError):
        await driver.create_domain(guests.blank(disks=disks, name=f"{guests.prefix}-1"))
    with pytest.raises(AlreadyExistsError):
        await driver.create_volume(VolumeSpec(name=beside.name, capacity_bytes=MIB))
    on_theirs = DiskSpec(
        new_volume=NewDisk(base=VolumeRef(pool=pool.name(), name="clone", format=DiskFormat.QCOW2))
    )
    second = await driver.create_domain(guests.blank(disks=(on_theirs,)), start=True)
    theirs = VolumeRef(pool=pool.name(), name="clone", format=DiskFormat.QCOW2)
    third = await driver.create_domain(guests.blank(disks=(DiskSpec(volume=theirs),)))
    transient = await driver.create_domain(
        guests.blank(lifetime=Lifetime.TRANSIENT, disks=(on_theirs,))
    )
    await driver.stop(transient.id, StopOptions(mode=StopMode.FORCE))
    for each in (made, second, third):
        await driver.delete(each.id, DeleteOptions(force=True))
    for name in ("base", "clone"):
        with pytest.raises(InUseError):
            await driver.delete_volume(pool.name(), name)
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in watched} == before
    assert await guests.volumes() == {f"{guests.prefix}-any"}
    beside.unlink()

"""The default boot order: a new machine boots its medium, an installed one its disk."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from guest.media import medium
from integration.libvirt.guests import Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.model import (
    BootDevice,
    CdromSpec,
    DiskBus,
    DiskDevice,
    DiskFormat,
    DiskSpec,
    Firmware,
    NewDisk,
    VolumeRef,
)
from resource_details import domain_spec_of

pytestmark = pytest.mark.libvirt

# A boot sector for a BIOS: writes what follows it to the first serial port, again and again.
SECTOR = bytes.fromhex(
    "fa31c08ed8"  # no interrupts; the data segment is 0
    "be1b7c"  # from the text on
    "bafd03eca82074fb"  # wait until the port takes a byte
    "ac84c074f0"  # the next one; at the end, from the start
    "baf803eeebed"  # send it
)
SATA_DISK = (DiskSpec(new_volume=NewDisk(capacity_bytes=2**20), bus=DiskBus.SATA),)
TEXT = b"INSTALLED\r\n\0"
DISK_FIRST = (BootDevice.DISK, BootDevice.CDROM)


@pytest.fixture
def installed(raw: libvirt.virConnect, folder: Path, guests: Guests) -> Iterator[Path]:
    """Yield the path of a volume that something was installed on."""
    path = folder / f"{guests.prefix}-installed.raw"
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def drivers(folder: Path, guests: Guests) -> Iterator[Path]:
    """Yield the path of a second medium, which nothing boots from."""
    path = folder / f"{guests.prefix}-drivers.iso"
    path.write_bytes(bytes(2**20))
    path.chmod(0o644)
    yield path
    path.unlink(missing_ok=True)


def on_volume(raw: libvirt.virConnect, path: Path) -> DiskSpec:
    path.chmod(0o644)
    raw.storagePoolLookupByName(path.parent.name).refresh()
    return DiskSpec(volume=VolumeRef(name=path.name, format=DiskFormat.RAW))


async def test_bios_with_empty_disk_boots_medium(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    assert domain_spec_of(guest).boot_order == DISK_FIRST


async def test_bios_with_more_drives_boots_the_first_with_a_medium(
    driver: LibvirtDriver, guests: Guests, folder: Path, drivers: Path
):
    installer = CdromSpec(path=str(folder / "guest.iso"))
    media = (CdromSpec(), installer, CdromSpec(path=str(drivers)))
    guest = await guests.boot(cdroms=media, disks=SATA_DISK)
    assert guest.domain is not None
    drives = [disk for disk in guest.domain.disks if disk.device is DiskDevice.CDROM]
    assert [(disk.target, disk.path) for disk in drives] == [
        ("sdb", ""),
        ("sdc", str(folder / "guest.iso")),
        ("sdd", str(drivers)),
    ]


async def test_bios_with_installed_disk_leaves_medium(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, installed: Path
):
    await driver.create_domain(guests.blank())  # makes the pool
    installed.write_bytes((SECTOR + TEXT).ljust(510, b"\0") + b"\x55\xaa" + bytes(2**20))
    made = await driver.create_domain(guests.spec(disks=(on_volume(raw, installed),)), start=True)
    await guests.hear(made.id, rb"INSTALLED\r\nINSTALLED")


async def test_uefi_with_empty_disk_tries_medium(driver: LibvirtDriver, guests: Guests):
    """Check the firmware's own output: the test medium is not bootable by UEFI."""
    spec = guests.spec(firmware=Firmware.UEFI, machine="q35")
    made = await driver.create_domain(spec, start=True)
    await guests.hear(made.id, rb"(?s)Misc Device.*DVD-ROM")


async def test_uefi_with_installed_disk_leaves_medium(
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    installed: Path,
    tmp_path: Path,
):
    await driver.create_domain(guests.blank())
    system = tmp_path / "EFI/BOOT/BOOTX64.EFI"
    system.parent.mkdir(parents=True)
    system.write_bytes(medium("vmlinuz").read_bytes())
    make = ("qemu-img", "convert", "-q", "-O", "raw", f"fat:{tmp_path}", str(installed))
    assert await (await asyncio.create_subprocess_exec(*make)).wait() == 0
    spec = guests.spec(firmware=Firmware.UEFI, machine="q35", disks=(on_volume(raw, installed),))
    made = await driver.create_domain(spec, start=True)
    # With enrolled keys, the firmware refuses the unsigned loader.
    await guests.hear(made.id, rb"loading Boot\d+ .UEFI Misc Device")

"""A volume in use cannot be deleted."""

import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import libvirt
import pytest

from integration.libvirt.guests import MIB, Guests
from integration.libvirt.usage import (
    define,
    disk,
    outside_folder,
    overlay,
    pool,
    refused,
    run,
    volume,
)
from proad.drivers.libvirt import LibvirtDriver
from proad.model import (
    DiskFormat,
    DiskSpec,
    NewDisk,
    Volume,
    VolumeRef,
    VolumeSpec,
)

__all__ = ["outside_folder", "pool", "volume"]  # fixtures
pytestmark = pytest.mark.libvirt


@pytest.mark.parametrize("active", [False, True], ids=["stopped", "running"])
@pytest.mark.parametrize("depth", [1, 3])
async def test_delete_volume_below_a_disk_only_snapshot_outside_every_pool_is_refused(
    outside_folder: Path,
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    volume: Volume,
    *,
    active: bool,
    depth: int,
):
    domain = define(raw, guests, disk(volume.path))
    if active:
        domain.create()
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    for number in range(depth):
        domain.snapshotCreateXML(
            f"<domainsnapshot><name>s{number}</name><disks><disk name='vda' snapshot='external'>"
            f"<source file='{outside_folder}/{number}.qcow2'/></disk></disks></domainsnapshot>",
            flags,
        )
        if number + 1 < depth:  # the chain stays, but libvirt forgets it
            snapshot = domain.snapshotLookupByName(f"s{number}")
            snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
    domain.snapshotCurrent().delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
    error = await refused(driver, volume)
    assert error.metadata["used_by"] == f"domain {domain.name()}"


async def test_delete_volume_used_by_snapshot_alone_is_refused(
    outside_folder: Path,
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    volume: Volume,
):
    domain = define(raw, guests, disk(volume.path))
    domain.snapshotCreateXML(
        "<domainsnapshot><disks><disk name='vda' snapshot='external'>"
        f"<source file='{outside_folder}/0.qcow2'/></disk></disks></domainsnapshot>",
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY,
    )
    xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    raw.defineXML(
        xml.replace(f"{outside_folder}/0.qcow2", f"{outside_folder}/none.raw").replace(
            "qcow2", "raw"
        )
    )
    assert (await refused(driver, volume)).metadata["used_by"] == f"domain {domain.name()}"


@pytest.mark.parametrize("way", ["symlink", "hard link", "bind mount"])
async def test_delete_volume_used_by_another_path_is_refused(
    outside_folder: Path,
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    volume: Volume,
    way: str,
):
    other = outside_folder / "other"
    if way == "symlink":
        other.symlink_to(volume.path)
    elif way == "hard link":
        other.hardlink_to(volume.path)
    else:
        if os.geteuid() != 0:
            pytest.skip("only root can mount")
        other.touch()
        run("mount", "--bind", volume.path, other)
    try:
        domain = define(raw, guests, disk(other))
        assert (await refused(driver, volume)).metadata["used_by"] == f"domain {domain.name()}"
    finally:
        if way == "bind mount":
            run("umount", other)


@pytest.mark.parametrize(
    "os",
    [
        "<kernel>{path}</kernel>",
        "<kernel>/k</kernel><initrd>{path}</initrd>",
        "<loader readonly='yes' type='pflash'>{path}</loader><nvram>/n</nvram>",
        "<loader readonly='yes' type='pflash'>/l</loader><nvram>{path}</nvram>",
        "<loader readonly='yes' type='pflash'>/l</loader><nvram template='{path}'>/n</nvram>",
    ],
    ids=["kernel", "initrd", "loader", "nvram", "template"],
)
async def test_delete_volume_used_for_boot_is_refused(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, volume: Volume, os: str
):
    domain = define(raw, guests, "", os.format(path=volume.path))
    assert (await refused(driver, volume)).metadata["used_by"] == f"domain {domain.name()}"


@pytest.mark.parametrize("device", ["cdrom", "floppy"])
async def test_delete_volume_in_a_drive_is_refused(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, volume: Volume, device: str
):
    target = "fda" if device == "floppy" else "sda"
    domain = define(
        raw,
        guests,
        f"<disk type='file' device='{device}'><source file='{volume.path}'/>"
        f"<target dev='{target}'/></disk>",
    )
    assert (await refused(driver, volume)).metadata["used_by"] == f"domain {domain.name()}"


@pytest.fixture
def loop(volume: Volume) -> Iterator[str]:
    """A loop device on the volume."""
    if os.geteuid() != 0:
        pytest.skip("only root can make loop devices")
    words = ["losetup", "--find", "--show", volume.path]
    made = subprocess.run(words, check=False, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"this host has no loop devices: {made.stderr}")
    yield made.stdout.strip()
    run("losetup", "--detach", made.stdout.strip())


async def test_delete_volume_behind_a_loop_device_is_refused(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, volume: Volume, loop: str
):
    device = disk(loop).replace("type='file'", "type='block'").replace("file=", "dev=")
    domain = define(raw, guests, device)
    assert (await refused(driver, volume)).metadata["used_by"] == f"domain {domain.name()}"


@pytest.mark.parametrize(
    "word", ["{path}", "file={path},if=none", '{{"driver":"file","filename":"{path}"}}']
)
async def test_delete_volume_in_qemu_command_line_is_refused(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, volume: Volume, word: str
):
    said = escape(word.format(path=volume.path), {'"': "&quot;"})
    domain = raw.defineXML(
        "<domain type='qemu' xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>"
        f"<name>{guests.prefix}-words</name><memory unit='MiB'>32</memory>"
        "<os><type>hvm</type></os>"
        f'<q:commandline><q:arg value="-drive"/><q:arg value="{said}"/></q:commandline></domain>'
    )
    assert (await refused(driver, volume)).metadata["used_by"] == f"domain {domain.name()}"


async def test_delete_volume_of_a_disk_by_pool_and_name_is_refused(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, volume: Volume
):
    spec = VolumeSpec(name=f"{guests.prefix}-child.qcow2", base=VolumeRef(name=volume.name))
    child = await driver.create_volume(spec)
    domain = define(
        raw,
        guests,
        f"<disk type='volume'><driver name='qemu' type='qcow2'/><source pool='{child.pool}' "
        f"volume='{child.name}'/><target dev='vda'/></disk>",
    )
    assert (await refused(driver, child)).metadata["used_by"] == f"domain {domain.name()}"
    error = await refused(driver, volume)
    assert error.metadata["used_by"].split(",") == [
        f"domain {domain.name()}",
        f"volume {child.pool}/{child.name}",
    ]


async def test_delete_volume_below_unlisted_image_is_refused(
    driver: LibvirtDriver, folder: Path, guests: Guests, volume: Volume
):
    name = f"{guests.prefix}-dropped.qcow2"
    dropped = overlay(folder / name, volume.name)
    assert (await refused(driver, volume)).metadata["used_by"] == f"volume {volume.pool}/{name}"
    dropped.unlink()


@pytest.mark.parametrize("format", ["qed", "vmdk", "vmdk descriptor"])
async def test_delete_volume_below_an_image_of_another_format_is_refused(
    driver: LibvirtDriver, guests: Guests, folder: Path, format: str
):
    spec = VolumeSpec(name=f"{guests.prefix}-base", capacity_bytes=MIB, format=DiskFormat.RAW)
    base = await driver.create_volume(spec)
    top = folder / f"{guests.prefix}-top"
    if format == "qed":
        run("qemu-img", "create", "-f", "qed", "-b", base.path, "-F", "raw", top)
    else:
        text = f'# Disk DescriptorFile\nversion=1\nparentFileNameHint="{base.name}"\n'.encode()
        if format == "vmdk":
            start = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, 2048, 128, 1, 20)
            text = start.ljust(512, b"\0") + text
        top.write_bytes(text.ljust(MIB, b"\0"))
    by = f"volume {folder.name}/{top.name}"
    assert (await refused(driver, base)).metadata["used_by"] == by
    top.unlink()
    await driver.delete_volume(base.pool, base.name)


async def test_delete_volume_named_in_description_is_not_refused(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, volume: Volume
):
    domain = define(raw, guests, "")
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, volume.path, None, None, 0)
    await driver.delete_volume(volume.pool, volume.name)


# Backing chains that cannot be read.


def break_at(folder: Path, how: str) -> Path:
    """Create an image in a folder whose backing file cannot be determined."""
    path = folder / "broken.qcow2"
    base = folder / "base.qcow2"
    run("qemu-img", "create", "-f", "qcow2", base, MIB)
    names = {"json": 'json:{"driver":"qcow2"}', "remote": "nbd://host/export"}
    overlay(path, base)
    if how == "torn":
        path.write_bytes(path.read_bytes()[:40])
    elif how == "gone":
        base.unlink()
    elif how == "loop":
        run("qemu-img", "rebase", "-u", "-b", path, "-F", "qcow2", path)
    else:
        name = names[how].encode() if how in names else b"\xff\xfe"
        content = bytearray(path.read_bytes())
        content[512 : 512 + len(name)] = name
        content[8:20] = (512).to_bytes(8, "big") + len(name).to_bytes(4, "big")
        path.write_bytes(content)
    base.unlink(missing_ok=True)
    return path


@pytest.mark.parametrize("how", ["torn", "gone", "loop", "json", "remote", "odd"])
@pytest.mark.parametrize("by", ["volume", "domain"])
async def test_delete_volume_with_broken_chain_is_refused_in_its_pool(
    pool: libvirt.virStoragePool,
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    volume: Volume,
    how: str,
    by: str,
):
    folder = Path("/var/tmp") / pool.name()
    spec = VolumeSpec(pool=pool.name(), name="wanted", capacity_bytes=MIB)
    wanted = await driver.create_volume(spec)
    broken = break_at(folder, how)
    culprits = [f"volume {pool.name()}/{broken.name}"]
    if by == "domain":
        culprits.insert(0, f"domain {define(raw, guests, disk(broken)).name()}")
    error = await refused(driver, wanted)
    assert error.metadata["used_by"] == ""
    assert error.metadata["unreadable"].split(",") == culprits
    assert all(each in error.message for each in culprits)
    await driver.delete_volume(volume.pool, volume.name)  # in another pool
    await driver.delete_volume(wanted.pool, wanted.name, ignore_unreadable=culprits)


async def test_delete_volume_named_inside_raw_disk_is_not_refused(
    driver: LibvirtDriver, guests: Guests, volume: Volume
):
    made = await driver.create_domain(
        guests.blank(
            disks=(DiskSpec(new_volume=NewDisk(capacity_bytes=MIB, format=DiskFormat.RAW)),)
        )
    )
    assert made.domain is not None
    raw_disk = Path(made.domain.disks[0].path)
    fake = raw_disk.with_name(f"{guests.prefix}-fake.qcow2")
    overlay(fake, volume.path)
    raw_disk.write_bytes(fake.read_bytes())
    fake.unlink()
    await driver.delete_volume(volume.pool, volume.name)
    raw_disk.write_bytes(b"QFI\xfb torn")
    await driver.delete(made.id)
    assert not raw_disk.exists()

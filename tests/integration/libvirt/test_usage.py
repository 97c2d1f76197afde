"""Whatever needs a volume keeps it from being deleted."""

import os
import secrets
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import libvirt
import pytest

from integration.libvirt.guests import MIB, Guests
from proad.drivers.libvirt import LibvirtDriver, pools
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
    Volume,
    VolumeRef,
    VolumeSpec,
)

pytestmark = pytest.mark.libvirt


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder outside of every pool, where QEMU's user may read."""
    folder = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.fixture
async def volume(driver: LibvirtDriver, guests: Guests) -> Volume:
    spec = VolumeSpec(name=f"{guests.prefix}-base.qcow2", capacity_bytes=MIB)
    return await driver.create_volume(spec)


def define(
    raw: libvirt.virConnect, guests: Guests, devices: str, os: str = ""
) -> libvirt.virDomain:
    return raw.defineXML(
        f"<domain type='qemu'><name>{guests.prefix}-{secrets.token_hex(4)}</name>"
        f"<memory unit='MiB'>32</memory><os><type>hvm</type>{os}</os>"
        f"<features><acpi/></features><devices>{devices}</devices></domain>"
    )


def disk(path: Path | str, format: str = "qcow2") -> str:
    return (
        f"<disk type='file'><driver name='qemu' type='{format}'/><source file='{path}'/>"
        "<target dev='vda'/></disk>"
    )


def run(*words: object) -> None:
    subprocess.run([*map(str, words)], check=True, stdout=subprocess.DEVNULL)


def overlay(path: Path, base: Path | str) -> Path:
    run("qemu-img", "create", "-f", "qcow2", "-b", base, "-F", "qcow2", path)
    return path


async def refused(driver: LibvirtDriver, volume: Volume) -> InUseError:
    with pytest.raises(InUseError) as caught:
        await driver.delete_volume(volume.pool, volume.name)
    assert Path(volume.path).exists()
    return caught.value


@pytest.mark.parametrize("active", [False, True], ids=["stopped", "running"])
@pytest.mark.parametrize("depth", [1, 3])
async def test_delete_volume_below_a_disk_only_snapshot_outside_every_pool_is_refused(
    outside: Path,
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
            f"<source file='{outside}/{number}.qcow2'/></disk></disks></domainsnapshot>",
            flags,
        )
        if number + 1 < depth:  # the chain stays, what libvirt knows of it goes
            snapshot = domain.snapshotLookupByName(f"s{number}")
            snapshot.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
    domain.snapshotCurrent().delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)
    error = await refused(driver, volume)
    assert error.metadata["used_by"] == f"domain {domain.name()}"


async def test_delete_volume_that_a_snapshot_alone_remembers_is_refused(
    outside: Path,
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    volume: Volume,
):
    domain = define(raw, guests, disk(volume.path))
    domain.snapshotCreateXML(
        "<domainsnapshot><disks><disk name='vda' snapshot='external'>"
        f"<source file='{outside}/0.qcow2'/></disk></disks></domainsnapshot>",
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY,
    )
    xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    raw.defineXML(xml.replace(f"{outside}/0.qcow2", f"{outside}/none.raw").replace("qcow2", "raw"))
    assert (await refused(driver, volume)).metadata["used_by"] == f"domain {domain.name()}"


@pytest.mark.parametrize("way", ["symlink", "hard link", "bind mount"])
async def test_delete_volume_that_a_domain_reaches_by_another_path_is_refused(
    outside: Path,
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    volume: Volume,
    way: str,
):
    other = outside / "other"
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
async def test_delete_volume_that_a_domain_boots_from_is_refused(
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
async def test_delete_volume_in_words_for_qemu_is_refused(
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


async def test_delete_volume_below_an_image_that_libvirt_does_not_know_yet_is_refused(
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


async def test_delete_volume_of_which_prose_tells_is_not_refused(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, volume: Volume
):
    domain = define(raw, guests, "")
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, volume.path, None, None, 0)
    await driver.delete_volume(volume.pool, volume.name)


# Chains that cannot be followed.


@pytest.fixture
def pool(raw: libvirt.virConnect) -> Iterator[libvirt.virStoragePool]:
    """Another pool than that of the guests."""
    folder = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    pool = raw.storagePoolCreateXML(
        f"<pool type='dir'><name>{folder.name}</name><target><path>{folder}</path></target></pool>"
    )
    yield pool
    pool.destroy()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def break_at(folder: Path, how: str) -> Path:
    """Make an image in a folder of which it cannot be told what it is based on."""
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
async def test_a_chain_that_cannot_be_followed_refuses_deletes_in_its_pool_alone(
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


async def test_what_a_guest_writes_into_a_raw_disk_says_nothing_of_bases(
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


# Domains with what was made for them.


async def test_delete_leaves_what_an_overlay_outside_of_it_needs(
    outside: Path,
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
async def test_delete_with_disk_only_snapshots_goes_and_leaves_their_files(
    outside: Path, driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, *, active: bool
):
    made = await driver.create_domain(guests.blank(), start=active)
    assert made.domain is not None
    path = Path(made.domain.disks[0].path)
    domain = raw.lookupByUUIDString(made.id)
    for number in range(2):
        domain.snapshotCreateXML(
            f"<domainsnapshot><name>s{number}</name><disks><disk name='vda' snapshot='external'>"
            f"<source file='{outside}/{number}.qcow2'/></disk></disks></domainsnapshot>",
            libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY,
        )
    if active:
        await driver.stop(made.id, StopOptions(mode=StopMode.FORCE))
    await driver.delete(made.id, DeleteOptions(delete_snapshots=True))
    assert await guests.domains() == set()
    assert {each.name for each in outside.iterdir()} == {"0.qcow2", "1.qcow2"}
    assert path.exists()  # which they are based on


async def test_whatever_is_done_all_that_others_made_stays_as_it_is(
    pool: libvirt.virStoragePool,
    outside: Path,
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
    overlay(outside / "overlay", clone)
    overlay(beside, base)
    (place / os.fsdecode(b"odd-\xff")).write_bytes(b"odd")
    define(raw, guests, disk(outside / "overlay")).create()
    pool.refresh()
    watched = [*place.iterdir(), *outside.iterdir(), beside]
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in watched}

    made = await driver.create_domain(guests.blank(firmware=Firmware.UEFI), start=True)
    disks = (DiskSpec(new_volume=NewDisk(capacity_bytes=MIB)),) * 2
    with pytest.raises(AlreadyExistsError):  # undone, with the disk before the one in the way
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


# What can be told when the files of libvirt are not here: paths alone.


async def refused_from_afar(
    driver: LibvirtDriver, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> InUseError:
    with monkeypatch.context() as patch:
        patch.setattr(pools, "is_local", lambda _: False)
        return await refused(driver, volume)


async def test_delete_volume_from_afar_below_what_runs_outside_every_pool_is_refused(
    outside: Path,
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    volume: Volume,
    monkeypatch: pytest.MonkeyPatch,
):
    domain = define(raw, guests, disk(overlay(outside / "overlay", volume.path)))
    domain.create()
    assert volume.path not in domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    error = await refused_from_afar(driver, volume, monkeypatch)
    assert error.metadata["used_by"] == f"domain {domain.name()}"


async def test_delete_volume_from_afar_below_another_volume_is_refused(
    driver: LibvirtDriver, guests: Guests, volume: Volume, monkeypatch: pytest.MonkeyPatch
):
    spec = VolumeSpec(name=f"{guests.prefix}-child", base=VolumeRef(name=volume.name))
    child = await driver.create_volume(spec)
    error = await refused_from_afar(driver, volume, monkeypatch)
    assert error.metadata["used_by"] == f"volume {child.pool}/{child.name}"


async def test_delete_volume_from_afar_by_a_path_that_is_spelled_otherwise_is_refused(
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    folder: Path,
    volume: Volume,
    monkeypatch: pytest.MonkeyPatch,
):
    domain = define(raw, guests, disk(f"{folder}/../{folder.name}//{volume.name}"))
    error = await refused_from_afar(driver, volume, monkeypatch)
    assert error.metadata["used_by"] == f"domain {domain.name()}"

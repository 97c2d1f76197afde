"""Odd files in storage pools, and reads that change nothing."""

import secrets
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest
from structlog.testing import capture_logs

from integration.libvirt.guests import MIB, Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import (
    AlreadyExistsError,
    EngineConflictError,
    InUseError,
    InvalidArgumentError,
    VolumeNotFoundError,
)
from proad.model import (
    CdromSpec,
    DeleteOptions,
    DiskFormat,
    DiskSpec,
    NewDisk,
    VolumeRef,
    VolumeSpec,
)
from resource_details import domain_of

pytestmark = pytest.mark.libvirt

# A qcow2 image that is being copied: libvirt stops a pool whose refresh meets it.
TORN = b"QFI\xfb\0\0\0\3".ljust(72, b"\0")
ODD = b"odd-\xff.img"


@pytest.fixture
def pool_folder() -> Iterator[Path]:
    folder = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.fixture
def pool(raw: libvirt.virConnect, pool_folder: Path) -> Iterator[libvirt.virStoragePool]:
    pool = raw.storagePoolDefineXML(
        f"<pool type='dir'><name>{pool_folder.name}</name><target><path>{pool_folder}</path></target></pool>"
    )
    pool.create()
    yield pool
    if pool.isActive():
        pool.destroy()
    pool.undefine()


def odd_file(pool_folder: Path, content: bytes = b"") -> Path:
    path = pool_folder / ODD.decode(errors="surrogateescape")
    path.write_bytes(content)
    return path


async def test_list_volumes_omits_non_utf8_name_and_logs_once(
    driver: LibvirtDriver, pool: libvirt.virStoragePool, pool_folder: Path
):
    odd_file(pool_folder)
    (pool_folder / "good.img").write_bytes(b"")
    pool.refresh()
    with capture_logs() as logs:
        for _ in range(3):
            assert [each.name for each in await driver.list_volumes(pool.name())] == ["good.img"]
            assert "good.img" in [each.name for each in await driver.list_volumes()]
    told = [each["pool"] for each in logs if each["event"] == "libvirt.volume_left_out"]
    assert told.count(pool.name()) == 1


async def test_delete_volume_beside_non_utf8_name_works(
    driver: LibvirtDriver, guests: Guests, pool: libvirt.virStoragePool, pool_folder: Path
):
    odd_file(pool_folder)
    pool.refresh()
    for where in (pool.name(), ""):
        spec = VolumeSpec(pool=where, name=f"{guests.prefix}-x", capacity_bytes=MIB)
        made = await driver.create_volume(spec)
        await driver.delete_volume(made.pool, made.name)


@pytest.mark.parametrize("base", [b"/\xff\xfe", "/\uffff".encode(), "/\ufffe".encode()])
async def test_list_volumes_shows_image_with_odd_base_name(
    driver: LibvirtDriver, pool: libvirt.virStoragePool, pool_folder: Path, base: bytes
):
    header = bytearray(TORN.ljust(4096, b"\0"))
    size = len(base).to_bytes(4, "big")
    header[8:24] = (512).to_bytes(8, "big") + size + (16).to_bytes(4, "big")
    header[100:104] = (104).to_bytes(4, "big")
    header[512 : 512 + len(base)] = base
    (pool_folder / "odd.qcow2").write_bytes(header)
    pool.refresh()
    (found,) = await driver.list_volumes(pool.name())
    assert (found.name, found.path) == ("odd.qcow2", str(pool_folder / "odd.qcow2"))
    assert found.allocation_bytes == 4096
    await driver.delete_volume(pool.name(), "odd.qcow2")


async def test_list_volumes_shows_name_invalid_in_xml(
    driver: LibvirtDriver, pool: libvirt.virStoragePool, pool_folder: Path
):
    odd = pool_folder / "odd-\uffff.img"
    odd.write_bytes(b"0123")
    pool.refresh()
    (found,) = await driver.list_volumes(pool.name())
    assert (found.name, found.path, found.capacity_bytes) == (odd.name, str(odd), 4)
    made = await driver.create_volume(VolumeSpec(pool=pool.name(), name="x", capacity_bytes=MIB))
    await driver.delete_volume(made.pool, made.name)


async def test_create_from_odd_named_file_of_others_boots_and_keeps_it(
    driver: LibvirtDriver,
    guests: Guests,
    pool: libvirt.virStoragePool,
    pool_folder: Path,
    folder: Path,
):
    iso = pool_folder / "Win 11 (x64) [v2] Größe.iso"
    shutil.copy(folder / "guest.iso", iso)
    cdrom = CdromSpec(volume=VolumeRef(pool=pool.name(), name=iso.name))
    made = await driver.create_domain(guests.spec(cdroms=(cdrom,)), start=True)
    await guests.ready(made.id)
    with pytest.raises(InUseError):
        await driver.delete_volume(pool.name(), iso.name)
    await driver.delete(made.id, DeleteOptions(force=True))
    await driver.delete_volume(pool.name(), iso.name)
    assert not iso.exists()


async def test_create_with_volume_name_invalid_in_xml_names_field(
    driver: LibvirtDriver, guests: Guests, pool: libvirt.virStoragePool, pool_folder: Path
):
    odd = pool_folder / "odd-\uffff.img"
    odd.write_bytes(b"0" * 512)
    pool.refresh()
    ref = VolumeRef(pool=pool.name(), name=odd.name, format=DiskFormat.RAW)
    for disk in (DiskSpec(volume=ref), DiskSpec(new_volume=NewDisk(base=ref))):
        with pytest.raises(InvalidArgumentError, match="rename that file"):
            await driver.create_domain(guests.blank(disks=(disk,)))
    await driver.delete_volume(pool.name(), odd.name)
    assert not odd.exists()


async def test_inactive_pool_is_told_with_how_to_start_it(
    driver: LibvirtDriver, guests: Guests, pool: libvirt.virStoragePool
):
    name = pool.name()
    disk = DiskSpec(new_volume=NewDisk(pool=name, capacity_bytes=MIB))
    made = await driver.create_domain(guests.blank(disks=(disk,)))
    pool.destroy()
    advice = f"virsh pool-start {name}"
    for call in (
        driver.list_volumes(name),
        driver.create_volume(VolumeSpec(pool=name, name="x", capacity_bytes=MIB)),
        driver.delete_volume(name, "x"),
        driver.create_domain(guests.blank(disks=(disk,))),
    ):
        with pytest.raises(EngineConflictError, match=advice):
            await call
    with pytest.raises(EngineConflictError, match=f"{advice}.*keep_volumes"):
        await driver.delete(made.id)
    assert made.name in await guests.domains()
    pool.create()
    await driver.delete(made.id)
    assert await driver.list_volumes(name) == []


@pytest.mark.parametrize("base", [b"/base", b"/etc/passwd"], ids=["missing", "there"])
async def test_list_volumes_shows_volume_with_unknown_base_format(
    driver: LibvirtDriver, pool: libvirt.virStoragePool, base: bytes
):
    made = await driver.create_volume(
        VolumeSpec(pool=pool.name(), name="raw", capacity_bytes=MIB, format=DiskFormat.RAW)
    )
    # A guest may write this into its disk; libvirt has no name for the format of the base.
    header = struct.pack("<4sIIIQQQQQII", b"QED", 65536, 4, 1, 1, 0, 0, 65536, MIB, 72, len(base))
    Path(made.path).write_bytes((header.ljust(72, b"\0") + base).ljust(MIB, b"\0"))
    pool.refresh()
    (found,) = await driver.list_volumes(pool.name())
    assert (found.name, found.path, found.format) == (made.name, made.path, DiskFormat.RAW)
    assert found in await driver.list_volumes()


async def test_delete_volume_beside_torn_image_keeps_pool_active(
    driver: LibvirtDriver, pool: libvirt.virStoragePool, pool_folder: Path
):
    made = await driver.create_volume(
        VolumeSpec(pool=pool.name(), name="known", capacity_bytes=MIB)
    )
    (pool_folder / "torn.qcow2").write_bytes(TORN)
    (pool_folder / "dropped.img").write_bytes(b"")
    with pytest.raises(VolumeNotFoundError, match=r"torn.qcow2 ends within its qcow2 header"):
        await driver.delete_volume(pool.name(), "dropped.img")
    with pytest.raises(VolumeNotFoundError):
        await driver.delete_volume(pool.name(), "none")
    with pytest.raises(AlreadyExistsError):
        await driver.create_volume(
            VolumeSpec(pool=pool.name(), name="dropped.img", capacity_bytes=MIB)
        )
    assert pool.isActive()
    assert made in await driver.list_volumes(pool.name())
    (pool_folder / "torn.qcow2").unlink()
    await driver.delete_volume(pool.name(), "dropped.img")


async def test_delete_volume_when_refresh_stops_pool_restarts_it(
    driver: LibvirtDriver,
    pool: libvirt.virStoragePool,
    pool_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    (pool_folder / "dropped.img").write_bytes(b"")
    refresh = libvirt.virStoragePool.refresh

    def unlucky(pool: libvirt.virStoragePool) -> None:
        torn = pool_folder / "torn.qcow2"
        torn.write_bytes(TORN)
        try:
            refresh(pool)
        finally:
            assert not pool.isActive()
            torn.unlink()  # the copy has ended

    monkeypatch.setattr(libvirt.virStoragePool, "refresh", unlucky)
    await driver.delete_volume(pool.name(), "dropped.img")
    assert pool.isActive()


async def test_delete_volume_with_removed_file_raises_not_found(
    driver: LibvirtDriver, pool: libvirt.virStoragePool, pool_folder: Path
):
    for name in ("gone", "other"):
        await driver.create_volume(VolumeSpec(pool=pool.name(), name=name, capacity_bytes=MIB))
    (pool_folder / "gone").unlink()
    assert pool.storageVolLookupByName("gone")  # libvirt still lists it
    with pytest.raises(VolumeNotFoundError):
        await driver.delete_volume(pool.name(), "gone")
    assert [each.name for each in await driver.list_volumes(pool.name())] == ["other"]


async def test_create_volume_named_as_removed_file_succeeds(
    driver: LibvirtDriver, guests: Guests, pool: libvirt.virStoragePool, pool_folder: Path
):
    spec = VolumeSpec(pool=pool.name(), name="again", capacity_bytes=MIB)
    await driver.create_volume(spec)
    (pool_folder / "again").unlink()
    await driver.create_volume(spec)
    disks = (DiskSpec(new_volume=NewDisk(pool=pool.name(), capacity_bytes=MIB)),)
    for _ in range(2):
        made = await driver.create_domain(guests.blank(name=guests.prefix, disks=disks))
        (disk,) = domain_of(made).disks
        Path(disk.path).unlink()
        await driver.delete(made.id)
    listed = [each.name for each in await driver.list_volumes(pool.name())]
    assert listed == ["again"]


async def test_reads_of_pool_change_nothing(
    driver: LibvirtDriver,
    guests: Guests,
    pool: libvirt.virStoragePool,
    pool_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    def unwanted(*_: object) -> None:
        raise AssertionError

    volume = await driver.create_volume(
        VolumeSpec(pool=pool.name(), name="disk", capacity_bytes=MIB)
    )
    disk = DiskSpec(volume=VolumeRef(pool=volume.pool, name=volume.name))
    made = await driver.create_domain(guests.blank(disks=(disk,)))
    (pool_folder / "dropped.img").write_bytes(b"")
    for change in ("refresh", "create", "createXML", "build"):
        monkeypatch.setattr(libvirt.virStoragePool, change, unwanted)
    for active in (True, False):
        if not active:
            pool.destroy()
        await driver.get_resource(made.id)
        await driver.list_resources()
        await driver.list_volumes()
        assert bool(pool.isActive()) is active
    with pytest.raises(EngineConflictError, match="not active"):
        await driver.list_volumes(pool.name())
    with pytest.raises(EngineConflictError, match="not active"):
        await driver.delete_volume(pool.name(), "dropped.img")
    assert not pool.isActive()

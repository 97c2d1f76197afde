"""Media named by a path: which are accepted, and that their owner and mode stay."""

import asyncio
import os
import pwd
import secrets
import shutil
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import libvirt
import pytest
from lxml import etree

from eventually import eventually
from integration.libvirt.conftest import URI
from integration.libvirt.guests import Guests, hanging
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import InvalidArgumentError
from proad.model import (
    CdromSpec,
    DeleteOptions,
    ResourceState,
    StopMode,
    StopOptions,
    VolumeRef,
    VolumeSpec,
)

pytestmark = pytest.mark.libvirt
FORCE = StopOptions(mode=StopMode.FORCE)


@pytest.fixture
def shelf(folder: Path) -> Iterator[Path]:
    """A media folder outside of every pool, with a medium that QEMU may read."""
    shelf = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}"
    shelf.mkdir(mode=0o755)
    shutil.copy(folder / "guest.iso", shelf / "guest.iso")
    (shelf / "guest.iso").chmod(0o644)
    yield shelf
    shutil.rmtree(shelf)


@pytest.fixture
async def driver(
    raw: libvirt.virConnect, folder: Path, shelf: Path
) -> AsyncIterator[LibvirtDriver]:
    async with LibvirtDriver(
        URI,
        virt_type="qemu",
        default_pool=folder.name,
        default_pool_path=str(folder),
        media_dirs=(str(shelf),),
    ) as driver:
        yield driver


def owner_of(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, status.st_mode


async def refusal(driver: LibvirtDriver, guests: Guests, path: Path) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        await driver.create_domain(guests.spec(cdroms=(CdromSpec(path=str(path)),)), start=True)
    (violation,) = caught.value.violations
    assert violation.field == "spec.cdroms[0].path"
    assert await guests.domains() == set()
    assert await guests.volumes() == set()
    return violation.description


async def test_medium_by_path_boots_and_keeps_owner(
    driver: LibvirtDriver, guests: Guests, shelf: Path
):
    medium = shelf / "guest.iso"
    os.chown(medium, 12345, 23456)
    before = owner_of(medium)
    made = await guests.boot(cdroms=(CdromSpec(path=str(medium)),))
    assert owner_of(medium) == before
    await driver.stop(made.id, FORCE)
    assert owner_of(medium) == before
    await driver.start(made.id)
    await driver.stop(made.id, FORCE)
    await driver.delete(made.id)
    assert owner_of(medium) == before


async def test_medium_by_link_is_resolved_once(driver: LibvirtDriver, guests: Guests, shelf: Path):
    link = shelf / "link.iso"
    link.symlink_to(shelf / "guest.iso")
    made = await driver.create_domain(guests.spec(cdroms=(CdromSpec(path=str(link)),)))
    root = etree.fromstring(await driver.get_domain_xml(made.id))
    (source,) = root.findall("devices/disk[@device='cdrom']/source")
    assert source.get("file") == str(shelf / "guest.iso")
    link.unlink()
    link.symlink_to("/etc/shadow")
    started = await driver.start(made.id)
    assert started.state is ResourceState.RUNNING


async def test_full_views_of_a_medium_in_no_pool_whose_qemu_hangs_take_a_moment(
    driver: LibvirtDriver, guests: Guests, shelf: Path
):
    """libvirt asks QEMU for the size of such a medium."""
    path = shelf / "guest.iso"
    spec = guests.spec(cdroms=(CdromSpec(path=str(path)),))
    id = (await driver.create_domain(spec, start=True)).id

    async def size() -> int:
        details = (await driver.get_resource(id)).domain
        assert details is not None
        (medium,) = (disk for disk in details.disks if disk.path == str(path))
        return medium.capacity_bytes

    async def is_known() -> bool:
        return await size() == path.stat().st_size

    await eventually(is_known)
    with hanging(await driver.get_resource(id)):
        begin = time.monotonic()
        # More calls than threads.
        assert set(await asyncio.gather(*(size() for _ in range(12)))) == {0}
        await driver.probe()
        assert time.monotonic() - begin < 15  # a waiting call takes a minute
    await eventually(is_known)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/hostname",
        "/proc/version",
        "/dev/null",
        "/no/such/file",
        "{shelf}-other/guest.iso",
        "{shelf}/outside.iso",
        "{shelf}/../../../etc/hostname",
    ],
)
async def test_medium_outside_allowed_folders_is_refused(
    driver: LibvirtDriver, guests: Guests, shelf: Path, path: str
):
    (shelf / "outside.iso").symlink_to("/etc/hostname")
    described = await refusal(driver, guests, Path(path.format(shelf=shelf)))
    assert "is in no folder for media" in described
    assert str(shelf) in described
    assert "media_dirs" in described


def fifo(path: Path) -> None:
    os.mkfifo(path, 0o666)


def device(path: Path) -> None:
    os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(path))


def circle(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (Path.mkdir, "a folder"),
        (fifo, "a FIFO"),
        (device, "a device"),
        (bound, "a socket"),
        (circle, "a link that leads in circles"),
    ],
)
async def test_medium_not_a_regular_file_is_refused(
    driver: LibvirtDriver,
    guests: Guests,
    shelf: Path,
    make: Callable[[Path], None],
    kind: str,
):
    make(shelf / "odd")
    assert f"is {kind}, not a regular file" in await refusal(driver, guests, shelf / "odd")


@pytest.mark.parametrize("name", [b"odd-\xff.iso", "odd-\uffff.iso".encode(), b"odd-\n.iso"])
async def test_medium_link_to_unencodable_path_is_refused(
    driver: LibvirtDriver, guests: Guests, shelf: Path, name: bytes
):
    odd, link = shelf / os.fsdecode(name), shelf / "link.iso"
    odd.write_bytes(b"")
    link.symlink_to(odd)
    assert "rename that file" in await refusal(driver, guests, link)


async def test_medium_missing_names_field(driver: LibvirtDriver, guests: Guests, shelf: Path):
    assert "No such file" in await refusal(driver, guests, shelf / "none.iso")


@pytest.mark.parametrize(
    ("mode", "folder_mode", "told"),
    [
        (0o600, 0o755, "chmod o+r"),
        (0o640, 0o755, "chmod o+r"),
        (0o644, 0o700, "chmod o+x"),
        (0o644, 0o754, "chmod o+x"),
    ],
)
async def test_medium_unreadable_for_qemu_names_remedy(
    driver: LibvirtDriver, guests: Guests, shelf: Path, mode: int, folder_mode: int, told: str
):
    (shelf / "guest.iso").chmod(mode)
    shelf.chmod(folder_mode)
    described = await refusal(driver, guests, shelf / "guest.iso")
    assert "libvirt-qemu" in described
    assert told in described
    if told == "chmod o+r":
        (shelf / "guest.iso").chmod(mode | 0o004)
    else:
        shelf.chmod(folder_mode | 0o001)
    made = await driver.create_domain(
        guests.spec(cdroms=(CdromSpec(path=str(shelf / "guest.iso")),)), start=True
    )
    assert made.state is ResourceState.RUNNING


@pytest.mark.parametrize(("permission", "taken"), [("r", True), ("-", False)])
async def test_medium_readability_honors_acl(
    driver: LibvirtDriver, guests: Guests, shelf: Path, permission: str, *, taken: bool
):
    medium = shelf / "guest.iso"
    medium.chmod(0o600 if taken else 0o604)
    acl(medium, permission)
    spec = guests.spec(cdroms=(CdromSpec(path=str(medium)),))
    if not taken:
        assert "chmod" in await refusal(driver, guests, medium)
        return
    made = await driver.create_domain(spec, start=True)
    assert made.state is ResourceState.RUNNING


async def test_medium_path_of_pool_volume_is_accepted(
    driver: LibvirtDriver, guests: Guests, folder: Path, raw: libvirt.virConnect
):
    pool_path = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}"
    pool_path.mkdir(mode=0o755)
    shutil.copy(folder / "guest.iso", pool_path / "x.iso")
    pool = raw.storagePoolCreateXML(
        f"<pool type='dir'><name>{pool_path.name}</name>"
        f"<target><path>{pool_path}</path></target></pool>"
    )
    try:
        made = await driver.create_domain(
            guests.spec(cdroms=(CdromSpec(path=str(pool_path / "x.iso")),))
        )
        assert made.state is ResourceState.STOPPED
    finally:
        pool.destroy()
        shutil.rmtree(pool_path)


async def test_medium_over_remote_connection_must_be_volume(
    guests: Guests, shelf: Path, folder: Path, tmp_path: Path
):
    # The first create makes the default pool, here and not through the tunnel.
    first = VolumeSpec(name=f"{guests.prefix}-first", capacity_bytes=2**20)
    volume = await guests.driver.create_volume(first)
    await guests.driver.delete_volume(volume.pool, volume.name)
    tunnel = tmp_path / "tunnel"
    tunnel.write_text("#!/bin/sh\nexec virt-ssh-helper qemu:///system\n")
    tunnel.chmod(0o755)
    async with LibvirtDriver(
        f"qemu+ext://elsewhere.example/system?command={tunnel}",
        virt_type="qemu",
        default_pool=folder.name,
        default_pool_path=str(folder),
        media_dirs=(str(shelf), str(folder)),
    ) as far:
        assert "name a volume of a pool" in await refusal(far, guests, shelf / "guest.iso")
        spec = guests.spec(cdroms=(CdromSpec(volume=VolumeRef(name="guest.iso")),))
        made = await far.create_domain(spec, start=True)
        assert made.state is ResourceState.RUNNING
        # The file is on another host, so that only its name can be checked.
        await far.delete(made.id, DeleteOptions(force=True))
    assert await guests.volumes() == set()


def acl(path: Path, permission: str) -> None:
    """Allow QEMU's user to read a file, or forbid it, as `setfacl -m u:libvirt-qemu:…` does."""
    uid = pwd.getpwnam("libvirt-qemu").pw_uid
    bits = 4 if permission == "r" else 0
    others = path.stat().st_mode & 7
    nobody = 2**32 - 1
    entries = [
        (0x01, 6, nobody),
        (0x02, bits, uid),
        (0x04, 0, nobody),
        (0x10, 4, nobody),
        (0x20, others, nobody),
    ]
    packed = b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + packed)

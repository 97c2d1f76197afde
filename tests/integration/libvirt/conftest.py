import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import libvirt
import pytest

from guest.media import build_guest, medium
from integration.libvirt.guests import ISOS, Guests
from lacking import refuse
from proad.drivers.libvirt import LibvirtDriver, resize

URI = "qemu:///system"


@pytest.fixture(scope="session")
def raw() -> Iterator[libvirt.virConnect]:
    """libvirt without our driver: what the world outside sees and does."""
    try:
        connection = libvirt.open(URI)
    except libvirt.libvirtError as error:
        refuse(f"no libvirtd at {URI}: {error}")
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def folder(raw: libvirt.virConnect) -> Iterator[Path]:
    """The folder of a storage pool and of the guests, where QEMU's user may read."""
    build_guest()
    folder = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    for name in (*ISOS, "vmlinuz", "initrd"):
        shutil.copy(medium(name), folder / name)
        (folder / name).chmod(0o644)
    yield folder
    try:
        pool = raw.storagePoolLookupByName(folder.name)
    except libvirt.libvirtError as error:
        assert error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_POOL  # noqa: PT017 - no test used it
    else:
        pool.destroy()
        pool.undefine()
    shutil.rmtree(folder)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the driver wait longer for guests that follow: they are slow on a slow machine."""
    monkeypatch.setattr(resize, "_PATIENCE", 30.0)


@pytest.fixture
async def driver(raw: libvirt.virConnect, folder: Path) -> AsyncIterator[LibvirtDriver]:
    """A driver whose default pool, which it makes by itself, is the tests' own."""
    async with LibvirtDriver(
        URI,
        virt_type="qemu",
        default_pool=folder.name,
        default_pool_path=str(folder),
        poll_interval=timedelta(seconds=1),
    ) as driver:
        yield driver


@pytest.fixture
async def guests(
    driver: LibvirtDriver, raw: libvirt.virConnect, folder: Path
) -> AsyncIterator[Guests]:
    guests = Guests(driver, raw, folder)
    yield guests
    await guests.remove_all()

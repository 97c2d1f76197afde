import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import libvirt
import pytest

from guest.media import build_guest, medium
from integration.libvirt.guests import ISOS, Guests
from integration.libvirt.records import SwitchableRecords
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.timing import LibvirtTiming, ResizeTiming
from requirements import skip_or_fail

URI = "qemu:///system"
TIMING = LibvirtTiming(poll_interval=timedelta(seconds=1))
# Guests need time to obey on a slow machine.
PATIENT = pytest.mark.parametrize(
    "timing",
    [replace(TIMING, resize=ResizeTiming(balloon_timeout=timedelta(seconds=30)))],
    ids=["patient"],
)


@pytest.fixture(scope="session")
def raw() -> Iterator[libvirt.virConnect]:
    """A libvirt connection beside the driver, for external changes and checks."""
    try:
        connection = libvirt.open(URI)
    except libvirt.libvirtError as error:
        skip_or_fail(f"no libvirtd at {URI}: {error}")
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
def timing() -> LibvirtTiming:
    """The durations of the driver; a test parametrizes this fixture for others."""
    return TIMING


@pytest.fixture
def records() -> SwitchableRecords:
    """Return the records of the driver's volumes."""
    return SwitchableRecords()


@pytest.fixture
async def driver(
    raw: libvirt.virConnect, folder: Path, timing: LibvirtTiming, records: SwitchableRecords
) -> AsyncIterator[LibvirtDriver]:
    """A driver that creates its default pool in the tests' folder."""
    async with LibvirtDriver(
        URI,
        virt_type="qemu",
        default_pool=folder.name,
        default_pool_path=str(folder),
        records=records,
        timing=timing,
    ) as driver:
        yield driver


@pytest.fixture
async def guests(
    driver: LibvirtDriver, raw: libvirt.virConnect, folder: Path
) -> AsyncIterator[Guests]:
    guests = Guests(driver, raw, folder)
    yield guests
    await guests.remove_all()

"""Snapshots are offered where libvirt supports them, and refused with a remedy elsewhere."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from integration.libvirt.guests import Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import CapabilityMissingError
from proad.model import (
    ResourceState,
    ResourceView,
    SnapshotSpec,
    StopMode,
    StopOptions,
    Verb,
    verbs_of,
)

pytestmark = pytest.mark.libvirt

FORCE = StopOptions(mode=StopMode.FORCE)
DISK = (
    "<disk type='file' device='disk'{more}><driver name='qemu' type='{form}'/>"
    "<source file='{path}'/><target dev='{target}' bus='virtio'/>{inside}</disk>"
)
CDROM = (
    "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{path}'/>"
    "<target dev='sda' bus='sata'/><readonly/></disk>"
)


def disk(folder: Path, form: str, target: str, *, more: str = "", inside: str = "") -> str:
    path = folder / f"{target}.{form}"
    subprocess.run(["qemu-img", "create", "-q", "-f", form, path, "1M"], check=True)
    return DISK.format(path=path, form=form, target=target, more=more, inside=inside)


def devices(folder: Path) -> dict[str, str]:
    return {
        "nothing": "",
        "raw": disk(folder, "raw", "vda"),
        "qcow2": disk(folder, "qcow2", "vda"),
        "mixed": disk(folder, "qcow2", "vda") + disk(folder, "raw", "vdb"),
        "base": disk(folder, "qcow2", "vda") + disk(folder, "raw", "vdb", inside="<readonly/>"),
        "medium": CDROM.format(path=folder / "vda.raw"),
        "installed": disk(folder, "qcow2", "vda") + CDROM.format(path=folder / "vda.raw"),
        "left out": disk(folder, "qcow2", "vda", more=" snapshot='no'"),
        "uefi": disk(folder, "qcow2", "vda"),
    }


CASES = (
    "nothing", "raw", "qcow2", "mixed", "base", "medium", "installed", "left out", "uefi",
)  # fmt: skip


@pytest.fixture
def images(folder: Path, guests: Guests) -> Iterator[Path]:
    inside = folder / f"{guests.prefix}-images"
    inside.mkdir()
    inside.chmod(0o755)
    yield inside
    for path in inside.iterdir():
        path.unlink()
    inside.rmdir()


def takes(domain: libvirt.virDomain) -> bool:
    """Return whether libvirt takes a snapshot, and delete it again."""
    try:
        taken = domain.snapshotCreateXML("<domainsnapshot><name>theirs</name></domainsnapshot>")
    except libvirt.libvirtError:
        return False
    taken.delete()
    return True


async def offered(driver: LibvirtDriver, id: str) -> bool:
    """Return whether the views allow a snapshot: all of them, also those of a new driver."""
    async with LibvirtDriver(driver.endpoint, virt_type="qemu") as fresh:
        views = [
            next(each for each in await fresh.list_resources() if each.id == id),
            next(each for each in await driver.list_resources() if each.id == id),
            await driver.get_resource(id, ResourceView.SUMMARY),
            await driver.get_resource(id),
        ]
    told = {Verb.CREATE_SNAPSHOT in verbs_of(each) for each in views}
    assert len(told) == 1
    return told.pop()


@pytest.mark.parametrize("case", CASES)
async def test_snapshot_capability_matches_libvirt_support(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, images: Path, case: str
):
    firmware = " firmware='efi'" if case == "uefi" else ""
    domain = raw.defineXML(
        f"<domain type='qemu'><name>{guests.prefix}-x</name><memory unit='MiB'>64</memory>"
        f"<os{firmware}><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/>"
        f"</features><devices>{devices(images)[case]}</devices></domain>"
    )
    id = domain.UUIDString()
    for state in (ResourceState.STOPPED, ResourceState.RUNNING):
        if state is ResourceState.RUNNING:
            await driver.start(id)
        possible = takes(domain)
        assert await offered(driver, id) is possible, state
        if possible:
            await driver.create_snapshot(id, SnapshotSpec(name="ours"))
            await driver.delete_snapshot(id, "ours")
        else:
            with pytest.raises(CapabilityMissingError) as caught:
                await driver.create_snapshot(id)
            assert "unsupported configuration" not in caught.value.message
            assert await driver.list_snapshots(id) == []
    await driver.stop(id, FORCE)
    assert await offered(driver, id) is takes(domain)


async def test_snapshot_capability_for_external_snapshot_is_absent(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, images: Path
):
    """libvirt creates one of a stopped domain, but cannot revert to it."""
    outside = disk(images, "qcow2", "vda", more=" snapshot='external'")
    domain = raw.defineXML(
        f"<domain type='qemu'><name>{guests.prefix}-x</name><memory unit='MiB'>64</memory>"
        f"<os><type arch='x86_64'>hvm</type></os><devices>{outside}</devices></domain>"
    )
    assert not await offered(driver, domain.UUIDString())
    with pytest.raises(CapabilityMissingError, match="snapshot='external'"):
        await driver.create_snapshot(domain.UUIDString())

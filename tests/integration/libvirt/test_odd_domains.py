"""Externally made domains with values that once broke the views, in a private libvirtd."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import libvirt
import pytest
from structlog.testing import capture_logs

from integration.libvirt.guests import Guests
from integration.libvirt.private_libvirtd import PrivateLibvirtd, private_libvirtd
from integration.libvirt.test_loss import answering
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import EngineConflictError, InUseError, ResourceNotFoundError
from proad.model import (
    DeleteOptions,
    ResourceState,
    ResourceView,
    StopMode,
    StopOptions,
    Volume,
    VolumeSpec,
)
from requirements import skip_or_fail
from resource_details import domain_of
from updating import domain_update

pytestmark = pytest.mark.libvirt

THEN_FORCE = StopOptions(mode=StopMode.GRACEFUL_THEN_FORCE, grace_period=timedelta(seconds=1))
NO_UTF8 = b"proa-test-\xff"
XML = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
</domain>
"""


@pytest.fixture(scope="module")
def libvirtd() -> Iterator[PrivateLibvirtd]:
    if shutil.which("virsh") is None:
        skip_or_fail("the program virsh is not there")
    with private_libvirtd() as libvirtd:
        yield libvirtd


@pytest.fixture
async def private(libvirtd: PrivateLibvirtd) -> AsyncIterator[LibvirtDriver]:
    async with LibvirtDriver(libvirtd.uri, virt_type="qemu") as driver:
        await answering(driver, libvirtd)
        yield driver


@pytest.fixture
def world(private: LibvirtDriver, libvirtd: PrivateLibvirtd) -> Iterator[libvirt.virConnect]:
    connection = libvirt.open(libvirtd.uri)
    yield connection
    for domain in connection.listAllDomains():
        if domain.isActive():
            domain.destroy()
        domain.undefineFlags(
            libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        )
    connection.close()


async def virsh(libvirtd: PrivateLibvirtd, *words: str | bytes) -> None:
    """Pass libvirt bytes that are not UTF-8, which the Python bindings cannot."""
    command = ["virsh", "--quiet", "--connect", libvirtd.uri, *words]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    assert await process.wait() == 0


def defined(world: libvirt.virConnect, name: str) -> str:
    return str(world.defineXML(XML.format(name=name)).UUIDString())


@pytest.mark.parametrize("what", ["name", "title", "description"])
async def test_reads_with_non_utf8_domain_text_succeed(
    private: LibvirtDriver, libvirtd: PrivateLibvirtd, world: libvirt.virConnect, what: str
):
    healthy, odd = defined(world, "proa-test-healthy"), defined(world, "proa-test-odd")
    match what:
        case "name":
            await virsh(libvirtd, "domrename", odd, NO_UTF8)
        case "title":
            await private.start(odd)
            await virsh(libvirtd, "desc", odd, "--title", NO_UTF8)
        case _:
            await private.start(odd)
            await virsh(libvirtd, "desc", odd, NO_UTF8)
    with capture_logs() as logs:
        for _ in range(3):
            for view in ResourceView:
                found = {each.id: each for each in await private.list_resources(view)}
                assert found.keys() == {healthy, odd}
                assert found[healthy].name == "proa-test-healthy"
            shown = await private.get_resource(odd)
    assert shown.name == ("" if what == "name" else "proa-test-odd")
    assert domain_of(shown).memory_bytes == 32 * 2**20
    told = [line["part"] for line in logs if line["event"] == "answer unreadable"]
    assert len(told) == len(set(told)) > 0

    if what == "name":
        # libvirt cannot start a domain of that name, nor report the error.
        with pytest.raises(EngineConflictError):
            await private.start(odd)
    else:
        assert (await private.pause(odd)).state is ResourceState.PAUSED
        assert (await private.resume(odd)).state is ResourceState.RUNNING
        assert (await private.stats([odd, healthy])).keys() == {odd}
        stopped = await private.stop(odd, THEN_FORCE)
        assert stopped.state is ResourceState.STOPPED
    await private.delete(odd)
    with pytest.raises(ResourceNotFoundError):
        await private.get_resource(odd)


@pytest.fixture
async def volume(
    private: LibvirtDriver, tmp_path: Path, world: libvirt.virConnect
) -> AsyncIterator[Volume]:
    """An unused volume."""
    root = f"<pool type='dir'><name>odd</name><target><path>{tmp_path}</path></target></pool>"
    pool = world.storagePoolCreateXML(root)
    spec = VolumeSpec(pool="odd", name="x", capacity_bytes=2**20)
    yield await private.create_volume(spec)
    pool.destroy()


async def test_delete_volume_beside_unparsable_domain_names_it(
    private: LibvirtDriver, world: libvirt.virConnect, volume: Volume
):
    odd = defined(world, "proa-test-odd")
    kind, flags = libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, libvirt.VIR_DOMAIN_AFFECT_CONFIG
    world.lookupByUUIDString(odd).setMetadata(kind, "a\uffff", None, None, flags)
    for view in ResourceView:
        assert [each.id for each in await private.list_resources(view)] == [odd]
    with pytest.raises(EngineConflictError, match="no XML"):
        await private.update(odd, domain_update(name="proa-test-other"))
    await refuses(private, volume, "domain proa-test-odd")
    await private.delete(odd)


async def test_delete_volume_beside_domain_with_non_utf8_name_names_its_id(
    private: LibvirtDriver, world: libvirt.virConnect, libvirtd: PrivateLibvirtd, volume: Volume
):
    odd = defined(world, "proa-test-odd")
    await virsh(libvirtd, "domrename", odd, NO_UTF8)
    await refuses(private, volume, f"domain {odd}")
    await private.delete(odd)


async def test_delete_volume_beside_torn_saved_state_names_the_domain(
    private: LibvirtDriver, world: libvirt.virConnect, libvirtd: PrivateLibvirtd, volume: Volume
):
    odd = defined(world, "proa-test-odd")
    await private.start(odd)
    await private.stop(odd, StopOptions(mode=StopMode.SAVE))
    libvirtd.saved("proa-test-odd").write_bytes(b"LibvirtQemudPart")
    await refuses(private, volume, "domain proa-test-odd")
    await private.delete(odd, DeleteOptions(delete_saved_state=True))


async def refuses(driver: LibvirtDriver, volume: Volume, culprit: str) -> None:
    """Check that a volume delete names an unreadable domain, and can ignore it by name."""
    with pytest.raises(InUseError) as caught:
        await driver.delete_volume(volume.pool, volume.name)
    assert caught.value.metadata["unreadable"] == culprit
    await driver.delete_volume(volume.pool, volume.name, ignore_unreadable=[culprit])


async def test_reads_of_odd_domains_change_nothing_on_host(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, folder: Path
):
    """Neither the live nor the persistent domain changes, nor a file of its pool."""
    guest = await guests.boot("guest-noagent.iso")
    domain = raw.lookupByUUIDString(guest.id)

    def host() -> tuple[object, ...]:
        flags = (0, libvirt.VIR_DOMAIN_XML_INACTIVE)
        files = {
            path.name: (path.stat().st_size, path.stat().st_mtime_ns, path.stat().st_uid)
            for path in folder.iterdir()
        }
        pools = [pool.XMLDesc() for pool in raw.listAllStoragePools() if pool.name() == folder.name]
        return [domain.XMLDesc(flag) for flag in flags], files, len(pools)

    before = host()
    for view in ResourceView:
        await driver.list_resources(view)
        await driver.get_resource(guest.id, view)
    await driver.stats([guest.id])
    await driver.list_snapshots(guest.id)
    await driver.get_domain_xml(guest.id)
    await driver.find_id(guest.name)
    await driver.probe()
    assert host() == before

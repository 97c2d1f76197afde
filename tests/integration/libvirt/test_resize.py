"""Memory and processors of domains: the guest has what an update answers."""

from dataclasses import replace

import libvirt
import pytest

from eventually import eventually
from integration.libvirt.conftest import PATIENT
from integration.libvirt.guests import MIB, Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.xml.domain_view import domain_of
from proad.errors import CapabilityMissingError, InvalidArgumentError
from proad.model import (
    DeleteOptions,
    Domain,
    DomainXml,
    Lifetime,
    Resource,
    ResourceState,
    StopMode,
    StopOptions,
    Updated,
)
from resource_details import domain_spec_of
from updating import domain_update

pytestmark = pytest.mark.libvirt

FORCE = StopOptions(mode=StopMode.FORCE)
NOTHING = Domain(memory_bytes=0, max_memory_bytes=0, vcpus=0)
MEMORY, VCPUS = "memory_bytes", "vcpus"


async def change(driver: LibvirtDriver, id: str, **fields: object) -> Updated:
    return await driver.update(id, domain_update(**fields))


def size(resource: Resource) -> tuple[int, int]:
    assert resource.domain is not None
    return resource.domain.memory_bytes // MIB, resource.domain.vcpus


async def sized(driver: LibvirtDriver, id: str) -> tuple[int, int]:
    return size(await driver.get_resource(id))


async def roomy(guests: Guests, driver: LibvirtDriver, *, transient: bool = False) -> Resource:
    """Boot a guest with one processor and room for a second."""
    made = await driver.create_domain(guests.spec())
    xml = await driver.get_domain_xml(made.id, inactive=True)
    await driver.delete(made.id, DeleteOptions(keep_volumes=True))
    xml = xml.replace("<vcpu placement='static'>1<", "<vcpu placement='static' current='1'>2<")
    assert domain_of(xml).vcpus == 1
    source = DomainXml(xml=xml, lifetime=Lifetime.TRANSIENT if transient else Lifetime.PERSISTENT)
    guest = await driver.create_domain_from_xml(source, start=True)
    await guests.ready(guest.id)
    return guest


@PATIENT
async def test_update_of_a_running_guest_takes_effect_at_once(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    guest = await roomy(guests, driver)
    updated = await change(driver, guest.id, memory_bytes=120 * MIB, vcpus=2)
    assert updated.restart_required == ()
    assert size(updated.resource) == (120, 2)
    # Ask QEMU itself rather than libvirt's records.
    domain = raw.lookupByUUIDString(guest.id)
    assert domain.memoryStats()["actual"] == 120 * 1024
    assert len(domain.vcpus()[0]) == 2
    await driver.stop(guest.id, FORCE)
    assert await sized(driver, guest.id) == (120, 2)
    await driver.start(guest.id)
    await guests.ready(guest.id)

    async def as_before() -> bool:
        return await sized(driver, guest.id) == (120, 2)

    await eventually(as_before)
    updated = await change(driver, guest.id, memory_bytes=160 * MIB)
    assert (updated.restart_required, size(updated.resource)) == ((), (160, 2))


async def test_update_beyond_a_running_guest_takes_effect_at_the_next_start(
    driver: LibvirtDriver, guests: Guests
):
    guest = await roomy(guests, driver)
    for vcpus in (3, 1):
        before = await sized(driver, guest.id)
        updated = await change(driver, guest.id, vcpus=vcpus, title=f"{vcpus}")
        late = () if vcpus == 1 else (VCPUS,)
        assert updated.restart_required == late
        assert size(updated.resource) == before
        assert domain_spec_of(updated.resource).title == f"{vcpus}"
    assert (await change(driver, guest.id, vcpus=2)).restart_required == ()
    # One fewer: a guest may refuse to unplug a processor.
    updated = await change(driver, guest.id, vcpus=1)
    assert (updated.restart_required, size(updated.resource)) == ((VCPUS,), (160, 2))
    await driver.stop(guest.id, FORCE)
    assert await sized(driver, guest.id) == (160, 1)
    await driver.start(guest.id)
    assert await sized(driver, guest.id) == (160, 1)


async def steady(driver: LibvirtDriver, id: str) -> Resource:
    """Return a FULL view of now: without what the next start will use, and without the disks,
    whose allocation changes by itself.
    """
    full = await driver.get_resource(id)
    assert full.domain is not None
    return replace(full, domain=replace(full.domain, disks=(), spec=None, spec_omits=()))


async def test_update_without_a_following_balloon_takes_effect_at_the_next_start(
    driver: LibvirtDriver, guests: Guests
):
    """Without a running system or a balloon, memory cannot change at once."""
    blank = await driver.create_domain(guests.blank(), start=True)
    paused = await driver.create_domain(guests.blank(), start=True)
    await driver.pause(paused.id)
    made = await driver.create_domain(guests.blank())
    xml = await driver.get_domain_xml(made.id, inactive=True)
    await driver.delete(made.id, DeleteOptions(keep_volumes=True))
    assert "<memballoon model='virtio'" in xml
    xml = xml.replace("<memballoon model='virtio'", "<memballoon model='none'")
    bare = await driver.create_domain_from_xml(DomainXml(xml=xml), start=True)
    for each in (blank, paused, bare):
        before = await steady(driver, each.id)
        updated = await change(driver, each.id, memory_bytes=24 * MIB)
        assert updated.restart_required == (MEMORY,)
        assert domain_spec_of(updated.resource).memory_bytes == 24 * MIB
        assert await steady(driver, each.id) == before
        await driver.stop(each.id, FORCE)
        assert await sized(driver, each.id) == (24, 1)
        await driver.start(each.id)
        assert await sized(driver, each.id) == (24, 1)


async def test_update_of_a_transient_guest_without_live_effect_is_refused(
    driver: LibvirtDriver, guests: Guests
):
    guest = await roomy(guests, driver, transient=True)
    updated = await change(driver, guest.id, memory_bytes=120 * MIB, vcpus=2, title="Now")
    assert (updated.restart_required, size(updated.resource)) == ((), (120, 2))
    assert domain_spec_of(updated.resource).title == "Now"
    before = await steady(driver, guest.id)
    wishes: tuple[dict[str, object], ...] = ({"vcpus": 3}, {"vcpus": 1}, {"autostart": True})
    for wish in wishes:
        with pytest.raises(CapabilityMissingError):
            await change(driver, guest.id, title="Never", **wish)
        assert await steady(driver, guest.id) == before
    await driver.pause(guest.id)
    with pytest.raises(CapabilityMissingError):
        await change(driver, guest.id, title="Never", memory_bytes=100 * MIB)
    await driver.resume(guest.id)
    assert await steady(driver, guest.id) == before


async def test_update_beyond_the_maximum_raises_it_at_next_start(
    driver: LibvirtDriver, guests: Guests
):
    blank = await driver.create_domain(guests.blank(), start=True)
    had = size(blank)
    updated = await change(driver, blank.id, memory_bytes=48 * MIB, title="Soon")
    assert updated.restart_required == (MEMORY,)
    assert size(updated.resource) == had
    await driver.stop(blank.id, FORCE)
    await driver.start(blank.id)
    assert await sized(driver, blank.id) == (48, 1)


async def test_update_to_fewer_processors_keeps_the_maximum(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    made = await driver.create_domain(guests.blank(vcpus=4))
    domain = raw.lookupByUUIDString(made.id)
    most = libvirt.VIR_DOMAIN_VCPU_MAXIMUM | libvirt.VIR_DOMAIN_AFFECT_CONFIG
    for vcpus, room in ((2, 4), (4, 4), (6, 6), (1, 6)):
        updated = await change(driver, made.id, vcpus=vcpus)
        assert (updated.restart_required, size(updated.resource)) == ((), (32, vcpus))
        assert domain.vcpusFlags(most) == room
    await driver.start(made.id)
    assert (await change(driver, made.id, vcpus=6)).restart_required == ()


@pytest.mark.parametrize("runs", [False, True])
async def test_update_beyond_the_topology_is_refused(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, *, runs: bool
):
    domain = raw.defineXML(
        f"<domain type='qemu'><name>{guests.prefix}-x</name><memory unit='MiB'>64</memory>"
        "<vcpu current='2'>4</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os>"
        "<cpu><topology sockets='2' dies='1' cores='2' threads='1'/></cpu></domain>"
    )
    id = domain.UUIDString()
    if runs:
        await driver.start(id)
    with pytest.raises(InvalidArgumentError) as caught:
        await change(driver, id, vcpus=6, title="Never")
    assert [each.field for each in caught.value.violations] == [f"domain.{VCPUS}"]
    assert "at most 4" in caught.value.message
    now = await driver.get_resource(id)
    assert now.domain is not None
    assert (now.domain.vcpus, domain_spec_of(now).title) == (2, "")
    await change(driver, id, vcpus=3)
    updated = await change(driver, id, vcpus=4)
    assert (updated.restart_required, size(updated.resource)[1]) == ((), 4)
    xml = domain_of(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    assert xml.vcpus == 4
    if not runs:
        await change(driver, id, vcpus=1)
        assert (await driver.start(id)).domain == replace(
            NOTHING, memory_bytes=64 * MIB, max_memory_bytes=64 * MIB, vcpus=1
        )


async def test_update_of_a_stopped_guest_takes_effect_at_its_start(
    driver: LibvirtDriver, guests: Guests
):
    made = await driver.create_domain(guests.blank())
    update = domain_update(labels={"a": "1"}, memory_bytes=48 * MIB, vcpus=3)
    updated = await driver.update(made.id, update)
    assert (updated.restart_required, size(updated.resource)) == ((), (48, 3))
    started = await driver.start(made.id)
    assert (size(started), started.labels) == ((48, 3), {"a": "1"})
    assert started.state is ResourceState.RUNNING

"""SUMMARYs of domains are equal from a list, a get and a verb, and do not change at rest."""

from dataclasses import replace

import libvirt
import pytest

from integration.libvirt.conftest import PATIENT
from integration.libvirt.guests import MIB, Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.summary_view import Size
from proad.model import (
    Lifetime,
    Resource,
    ResourceState,
    ResourceView,
    RestartMode,
    RestartOptions,
    SnapshotSpec,
    StopMode,
    StopOptions,
)
from updating import domain_update

pytestmark = pytest.mark.libvirt

SAVE = StopOptions(mode=StopMode.SAVE)
FORCE = StopOptions(mode=StopMode.FORCE)


async def listed(driver: LibvirtDriver, id: str) -> Resource:
    (found,) = [each for each in await driver.list_resources() if each.id == id]
    return found


async def agree(driver: LibvirtDriver, given: Resource) -> None:
    """Check that a verb's answer equals every read, also by a new driver."""
    async with LibvirtDriver(driver.endpoint, virt_type="qemu") as fresh:
        for reader in (driver, fresh):
            assert await listed(reader, given.id) == given
            assert await reader.get_resource(given.id, ResourceView.SUMMARY) == given
    full = await driver.get_resource(given.id)
    assert full.domain is not None
    assert given.domain is not None
    assert replace(full, domain=given.domain) == given
    shown = full.domain
    assert (shown.memory_bytes, shown.max_memory_bytes, shown.vcpus, shown.autostart) == (
        given.domain.memory_bytes,
        given.domain.max_memory_bytes,
        given.domain.vcpus,
        given.domain.autostart,
    )


async def test_summary_in_each_state_is_the_same_from_list_and_verb(
    driver: LibvirtDriver, guests: Guests
):
    labels = {"b": "2", "a": "<1>"}
    made = await driver.create_domain(guests.blank(labels=labels, autostart=True))
    started = await driver.start(made.id)
    assert (started.labels, started.state) == (labels, ResourceState.RUNNING)
    await agree(driver, started)
    paused = await driver.pause(made.id)
    await agree(driver, paused)
    await agree(driver, await driver.resume(made.id))
    reset = RestartOptions(mode=RestartMode.FORCE)
    await agree(driver, await driver.restart(made.id, reset))
    saved = await driver.stop(made.id, SAVE)
    assert saved.state is ResourceState.SAVED
    await agree(driver, saved)
    await agree(driver, await driver.start(made.id))
    stopped = await driver.stop(made.id, FORCE)
    assert stopped.state is ResourceState.STOPPED
    await agree(driver, stopped)
    assert started.domain == paused.domain == saved.domain == stopped.domain
    await driver.create_snapshot(made.id, SnapshotSpec(name="one"))
    await agree(driver, await listed(driver, made.id))
    await driver.revert_snapshot(made.id, "one")
    await agree(driver, await listed(driver, made.id))


async def test_summary_of_a_transient_domain_is_the_same_from_list_and_verb(
    driver: LibvirtDriver, guests: Guests
):
    spec = guests.blank(lifetime=Lifetime.TRANSIENT, labels={"a": "1"})
    made = await driver.create_domain(spec, start=True)
    await agree(driver, await driver.pause(made.id))
    running = await driver.resume(made.id)
    await agree(driver, running)
    stopped = await driver.stop(made.id, FORCE)
    assert replace(stopped, state=running.state, state_detail=running.state_detail) == running


@PATIENT
async def test_summary_after_ballooning_is_the_same_from_list_and_verb(
    driver: LibvirtDriver, guests: Guests
):
    guest = await guests.boot()
    updated = await driver.update(guest.id, domain_update(memory_bytes=120 * MIB))
    assert updated.restart_required == ()
    now = await listed(driver, guest.id)
    assert now.domain is not None
    assert now.domain.memory_bytes == 120 * MIB
    await agree(driver, now)
    await agree(driver, await driver.pause(guest.id))


async def test_summary_without_a_balloon_is_the_same_from_list_and_verb(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    """libvirt reports the memory of a stopped domain without a balloon in two ways."""
    domain = raw.defineXML(
        f"<domain type='qemu'><name>{guests.prefix}-x</name><memory unit='MiB'>64</memory>"
        "<currentMemory unit='MiB'>48</currentMemory><vcpu current='1'>2</vcpu>"
        "<os><type arch='x86_64'>hvm</type></os>"
        "<devices><memballoon model='none'/></devices></domain>"
    )
    id = domain.UUIDString()
    alone = await driver.get_resource(id, ResourceView.SUMMARY)
    assert alone.domain is not None
    assert alone.domain.memory_bytes == 64 * MIB  # as the guest has it, whatever the XML says
    await agree(driver, alone)
    started = await driver.start(id)
    await agree(driver, started)
    stopped = await driver.stop(id, FORCE)
    await agree(driver, stopped)
    assert stopped.domain == started.domain == alone.domain


async def test_full_view_with_new_vcpus_matches_summary(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    domain = raw.defineXML(
        f"<domain type='qemu'><name>{guests.prefix}-x</name><memory unit='MiB'>64</memory>"
        "<vcpu current='1'>2</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
    )
    id = domain.UUIDString()
    await driver.start(id)
    before = await listed(driver, id)
    domain.setVcpusFlags(2, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    full = await driver.get_resource(id)
    assert full.domain is not None
    assert before.domain is not None
    assert (before.domain.vcpus, full.domain.vcpus) == (1, 2)
    await agree(driver, await listed(driver, id))


async def test_read_size_of_vanishing_domain_raises_not_found(
    guests: Guests, raw: libvirt.virConnect
):
    """libvirt omits such a domain from its statistics without an error."""
    domain = raw.defineXML(
        f"<domain type='qemu'><name>{guests.prefix}-x</name><memory unit='MiB'>64</memory>"
        "<os><type arch='x86_64'>hvm</type></os></domain>"
    )
    is_active = domain.isActive

    def vanish() -> int:
        active: int = is_active()
        domain.undefine()
        return active

    domain.isActive = vanish
    with pytest.raises(libvirt.libvirtError) as caught:
        Size.read(domain)
    assert caught.value.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN


async def test_summary_of_a_guest_at_rest_does_not_change(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    first = await listed(driver, guest.id)
    for _ in range(10):
        await guests.tick(guest.id)  # the guest works
        assert await listed(driver, guest.id) == first
        assert await driver.get_resource(guest.id, ResourceView.SUMMARY) == first

"""Stops and restarts of guests that obey the agent, the power button, both or neither."""

import asyncio
from datetime import timedelta

import libvirt
import pytest

from eventually import eventually
from integration.libvirt.guests import Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import CapabilityMissingError, ResourceNotRunningError, StopTimedOutError
from proad.model import (
    Lifetime,
    Resource,
    ResourceState,
    RestartMode,
    RestartOptions,
    StateReason,
    StopMode,
    StopOptions,
)

pytestmark = pytest.mark.libvirt

GRACE = timedelta(seconds=60)
POLITELY = StopOptions(mode=StopMode.GRACEFUL, grace_period=GRACE)
FORCE = StopOptions(mode=StopMode.FORCE)


def seconds() -> float:
    return asyncio.get_running_loop().time()


async def asked(driver: LibvirtDriver, id: str) -> asyncio.Task[Resource]:
    """Begin a graceful stop, and wait until the power button was pressed."""
    steps: list[str] = []
    stop = asyncio.create_task(
        driver.stop(id, POLITELY, on_step=lambda step, _percent: steps.append(step))
    )

    async def pressed() -> bool:
        return any("pressed" in step for step in steps)

    await eventually(pressed)
    return stop


async def test_restart_and_stop_by_agent_alone_work(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot_kernel("proa.agent=on proa.acpi=off")
    assert guest.domain is not None
    assert guest.domain.guest_agent_connected
    ticks = await guests.tick(guest.id)
    restarted = await driver.restart(guest.id, RestartOptions(grace_period=GRACE))
    assert restarted.state is ResourceState.RUNNING
    await guests.ready(guest.id)
    assert await guests.tick(guest.id) <= ticks + 1
    stopped = await driver.stop(guest.id, POLITELY)
    assert stopped.state is ResourceState.STOPPED
    assert stopped.state_detail.reason is StateReason.COMPLETED


async def test_restart_and_stop_by_power_button_work(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot("guest-noagent.iso")
    assert guest.domain is not None
    assert not guest.domain.guest_agent_connected
    restart = RestartOptions(mode=RestartMode.GRACEFUL_THEN_FORCE, grace_period=GRACE)
    begin = seconds()
    assert (await driver.restart(guest.id, restart)).state is ResourceState.RUNNING
    assert seconds() - begin < 45  # by the request, not by force after the grace period
    await guests.ready(guest.id)
    await driver.pause(guest.id)
    stopped = await driver.stop(guest.id, POLITELY)  # a paused guest receives no request
    assert stopped.state is ResourceState.STOPPED
    assert stopped.state_detail.reason is StateReason.COMPLETED


async def test_stop_with_a_dead_agent_falls_back_to_the_button(
    driver: LibvirtDriver, guests: Guests
):
    guest = await guests.boot("guest-deadagent.iso")
    assert guest.domain is not None
    assert guest.domain.guest_agent_connected
    begin = seconds()
    assert (await driver.stop(guest.id, POLITELY)).state is ResourceState.STOPPED
    assert seconds() - begin < 28  # less than half of the grace


async def test_stop_of_a_booting_guest_presses_again(driver: LibvirtDriver, guests: Guests):
    made = await driver.create_domain(guests.spec("guest-noagent.iso"), start=True)
    stopped = await driver.stop(made.id, POLITELY)
    assert stopped.state_detail.reason is StateReason.COMPLETED


async def test_stop_of_a_deaf_guest_times_out_and_force_ends_the_wait(
    driver: LibvirtDriver, guests: Guests
):
    guest = await guests.boot("guest-deaf.iso")
    briefly = timedelta(seconds=1)
    with pytest.raises(StopTimedOutError) as caught:
        await driver.stop(guest.id, StopOptions(mode=StopMode.GRACEFUL, grace_period=briefly))
    assert "ACPI power button" in caught.value.message
    with pytest.raises(StopTimedOutError):
        await driver.restart(guest.id, RestartOptions(grace_period=briefly))
    await guests.tick(guest.id)  # the guest is alive
    reset = RestartOptions(mode=RestartMode.GRACEFUL_THEN_FORCE, grace_period=briefly)
    assert (await driver.restart(guest.id, reset)).state is ResourceState.RUNNING
    await guests.ready(guest.id)
    graceful = await asked(driver, guest.id)
    assert not graceful.done()
    begin = seconds()
    forced = await driver.stop(guest.id, FORCE)
    assert forced.state_detail.reason is StateReason.KILLED
    assert (await graceful).state is ResourceState.STOPPED
    assert seconds() - begin < 30


async def test_stop_by_force_during_a_restart_wins(driver: LibvirtDriver, guests: Guests):
    made = await driver.create_domain(guests.blank(), start=True)
    asked = asyncio.Event()
    options = RestartOptions(grace_period=GRACE)
    restart = asyncio.create_task(driver.restart(made.id, options, on_step=lambda *_: asked.set()))
    await asked.wait()
    await driver.stop(made.id, FORCE)
    with pytest.raises(ResourceNotRunningError):
        await restart
    assert (await driver.get_resource(made.id)).state is ResourceState.STOPPED


async def test_stop_then_force_of_a_deaf_guest_kills(driver: LibvirtDriver, guests: Guests):
    made = await driver.create_domain(guests.blank(), start=True)
    mode = StopMode.GRACEFUL_THEN_FORCE
    options = StopOptions(mode=mode, grace_period=timedelta(seconds=0.5))
    stopped = await driver.stop(made.id, options)
    assert stopped.state_detail.reason is StateReason.KILLED


async def test_stop_cancelled_leaves_the_request_standing(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot("guest-noagent.iso")
    stop = await asked(driver, guest.id)
    stop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stop

    async def down() -> bool:
        return (await driver.get_resource(guest.id)).state is ResourceState.STOPPED

    await eventually(down, within=60)


async def test_stop_of_a_transient_guest_deletes_its_volumes(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot("guest-noagent.iso", lifetime=Lifetime.TRANSIENT)
    assert len(await guests.volumes()) == 1
    assert guest.domain is not None
    assert [disk.owned for disk in guest.domain.disks] == [True, False]
    stopped = await driver.stop(guest.id, POLITELY)
    assert (stopped.state, stopped.id) == (ResourceState.STOPPED, guest.id)
    assert await guests.volumes() == set()
    assert await guests.domains() == set()


async def test_stop_with_on_poweroff_restart_reports_reboot(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    made = await driver.create_domain(guests.spec("guest-noagent.iso"))
    xml = await driver.get_domain_xml(made.id)
    raw.defineXML(xml.replace("<on_poweroff>destroy<", "<on_poweroff>restart<"))
    await driver.start(made.id)
    await guests.ready(made.id)
    begin = seconds()
    with pytest.raises(CapabilityMissingError, match=r"rebooted.*GRACEFUL_THEN_FORCE"):
        await driver.stop(made.id, POLITELY)
    assert seconds() - begin < GRACE.total_seconds()
    assert (await driver.get_resource(made.id)).state is ResourceState.RUNNING
    await guests.ready(made.id)
    begin = seconds()
    ended = await driver.stop(
        made.id, StopOptions(mode=StopMode.GRACEFUL_THEN_FORCE, grace_period=GRACE)
    )
    assert seconds() - begin < GRACE.total_seconds()  # at the moment when it had shut down
    assert ended.state_detail.reason is StateReason.KILLED


async def test_restart_with_on_reboot_destroy_starts_the_domain(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    made = await driver.create_domain(guests.spec("guest-noagent.iso"))
    xml = await driver.get_domain_xml(made.id)
    raw.defineXML(xml.replace("<on_reboot>restart<", "<on_reboot>destroy<"))
    await driver.start(made.id)
    await guests.ready(made.id)
    restarted = await driver.restart(made.id, RestartOptions(grace_period=GRACE))
    assert restarted.state is ResourceState.RUNNING
    await guests.ready(made.id)

"""A domain with a hung QEMU, beside others."""

import asyncio
import os
import time
from datetime import timedelta

import libvirt
import pytest

from eventually import eventually
from integration.libvirt.guests import Guests, hanging, pid_of
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.stop import _start_anew
from proad.errors import StopTimedOutError
from proad.model import (
    Resource,
    ResourceState,
    ResourceView,
    RestartMode,
    RestartOptions,
    StopMode,
    StopOptions,
)

pytestmark = pytest.mark.libvirt

SUMMARY = ResourceView.SUMMARY


def then_force(grace: timedelta) -> StopOptions:
    return StopOptions(mode=StopMode.GRACEFUL_THEN_FORCE, grace_period=grace)


async def waits_for_qemu(guests: Guests, resource: Resource) -> None:
    """Wait until a call waits for the QEMU of a domain."""
    domain = guests.raw.lookupByUUIDString(resource.id)

    async def waits() -> bool:
        return bool(domain.controlInfo()[0] != libvirt.VIR_DOMAIN_CONTROL_OK)

    await eventually(waits)


async def test_calls_while_another_qemu_hangs_are_not_delayed(
    driver: LibvirtDriver, guests: Guests
):
    hung = await driver.create_domain(guests.blank(), start=True)
    other = await driver.create_domain(guests.blank(), start=True)
    assert set(await driver.stats([hung.id, other.id])) == {hung.id, other.id}
    with hanging(hung):
        # More calls than threads.
        waiting = [asyncio.create_task(driver.pause(hung.id)) for _ in range(12)]
        await waits_for_qemu(guests, hung)
        for _ in range(5):
            begin = time.monotonic()
            assert {hung.id, other.id} <= {each.id for each in await driver.list_resources()}
            for view in ResourceView:
                shown = await driver.get_resource(hung.id, view)
                assert shown.state is ResourceState.RUNNING
            assert (await driver.pause(other.id)).state is ResourceState.PAUSED
            assert (await driver.resume(other.id)).state is ResourceState.RUNNING
            await driver.probe()
            assert time.monotonic() - begin < 15  # a waiting call takes a minute
            begin = time.monotonic()
            # The hung domain is shown in its last known state.
            assert set(await driver.stats([hung.id, other.id])) == {hung.id, other.id}
            assert time.monotonic() - begin < 10
        assert not any(task.done() for task in waiting)
        begin = time.monotonic()
        ended, _ = await asyncio.gather(
            driver.stop(hung.id, StopOptions(mode=StopMode.FORCE)),
            # libvirt takes ten seconds to kill a hung QEMU; other stops do not wait for that.
            driver.stop(other.id, StopOptions(mode=StopMode.FORCE)),
        )
        assert isinstance(ended, Resource)
        assert ended.state is ResourceState.STOPPED
        await asyncio.wait(waiting, timeout=30)
        assert all(task.done() and task.exception() is not None for task in waiting)
    await driver.start(hung.id)
    assert (await driver.pause(hung.id)).state is ResourceState.PAUSED


async def test_stop_then_force_of_a_hung_qemu_kills(driver: LibvirtDriver, guests: Guests):
    hung = await driver.create_domain(guests.blank(), start=True)
    steps: list[str] = []
    options = StopOptions(mode=StopMode.GRACEFUL_THEN_FORCE, grace_period=timedelta(seconds=1))
    with hanging(hung):
        stopped = await driver.stop(
            hung.id, options, on_step=lambda step, _percent: steps.append(step)
        )
    assert stopped.state is ResourceState.STOPPED
    assert steps[-1] == "ending it by force"


async def test_stop_while_an_earlier_call_waits_for_the_qemu_keeps_its_mode(
    driver: LibvirtDriver, guests: Guests
):
    """libvirt refuses calls that have waited for a hung one for half a minute."""
    made = [await driver.create_domain(guests.blank(), start=True) for _ in range(2)]
    to_end, to_ask = made
    grace = timedelta(seconds=33)
    with hanging(to_end), hanging(to_ask):
        before = [asyncio.create_task(driver.pause(each.id)) for each in made]
        for each in made:
            await waits_for_qemu(guests, each)
        begin = time.monotonic()
        ended, refused = await asyncio.gather(
            driver.stop(to_end.id, then_force(grace)),
            driver.stop(to_ask.id, StopOptions(mode=StopMode.GRACEFUL, grace_period=grace)),
            return_exceptions=True,
        )
        assert time.monotonic() - begin < 33 + 30
        assert isinstance(refused, StopTimedOutError)
        assert isinstance(ended, Resource)
        assert ended.state is ResourceState.STOPPED
        os.kill(pid_of(to_ask), 0)  # it is there
        for task in before:
            task.cancel()
        await asyncio.wait(before)


async def test_stop_then_force_of_a_paused_hung_qemu_kills(driver: LibvirtDriver, guests: Guests):
    hung = await driver.create_domain(guests.blank(), start=True)
    await driver.pause(hung.id)
    with hanging(hung):
        begin = time.monotonic()
        stopped = await driver.stop(hung.id, then_force(timedelta(seconds=2)))
        assert time.monotonic() - begin < 2 + 30
    assert stopped.state is ResourceState.STOPPED


@pytest.mark.parametrize("mode", [RestartMode.GRACEFUL_THEN_FORCE, RestartMode.FORCE])
async def test_restart_by_force_of_a_hung_qemu_starts_another_one(
    driver: LibvirtDriver, guests: Guests, mode: RestartMode
):
    hung = await driver.create_domain(guests.blank(), start=True)
    with hanging(hung):
        pid = pid_of(hung)
        options = RestartOptions(mode=mode, grace_period=timedelta(seconds=1))
        assert (await driver.restart(hung.id, options)).state is ResourceState.RUNNING
        assert pid_of(hung) != pid


async def test_restart_by_force_of_a_qemu_that_has_died_meanwhile_starts_another_one(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    made = await driver.create_domain(guests.blank())
    _start_anew(raw.lookupByUUIDString(made.id))
    assert (await driver.get_resource(made.id)).state is ResourceState.RUNNING


async def test_graceful_restart_of_a_hung_qemu_kills_nothing(driver: LibvirtDriver, guests: Guests):
    hung = await driver.create_domain(guests.blank(), start=True)
    with hanging(hung):
        pid = pid_of(hung)
        with pytest.raises(StopTimedOutError):
            await driver.restart(hung.id, RestartOptions(grace_period=timedelta(seconds=1)))
        assert pid_of(hung) == pid


async def test_stats_after_a_qemu_began_to_hang_take_a_moment(
    driver: LibvirtDriver, guests: Guests
):
    hung = await driver.create_domain(guests.blank(), start=True)
    other = await driver.create_domain(guests.blank(), start=True)
    with hanging(hung):
        begin = time.monotonic()
        # There is no earlier sample of the domain to show.
        assert set(await driver.stats([hung.id, other.id])) == {other.id}
        assert time.monotonic() - begin < 10
        await driver.stop(hung.id, StopOptions(mode=StopMode.FORCE))

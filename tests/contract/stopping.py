"""Obligations of `Driver`: the ladder of graceful and forced stops and restarts."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from contract.yard import FORCE, Yard, eventually
from proad.errors import (
    CapabilityMissingError,
    HasSavedStateError,
    ResourceNotFoundError,
    StopTimedOutError,
)
from proad.model import (
    DeleteOptions,
    Lifetime,
    Resource,
    ResourceKind,
    ResourceState,
    ResourceView,
    RestartMode,
    RestartOptions,
    StartOptions,
    StateReason,
    StopMode,
    StopOptions,
)

STOPPED, RUNNING, SAVED = ResourceState.STOPPED, ResourceState.RUNNING, ResourceState.SAVED
SUMMARY = ResourceView.SUMMARY
LONG = timedelta(seconds=60)


class Steps:
    """Notes what is told of a stop, for those who wait until the workload was asked."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int | None]] = []
        self._begun = asyncio.Event()

    def __call__(self, step: str, percent: int | None = None) -> None:
        self.told.append((step, percent))
        self._begun.set()

    async def begun(self) -> None:
        async with asyncio.timeout(30):
            await self._begun.wait()


async def asked(
    yard: Yard, id: str, options: StopOptions, number: int = 1
) -> list[asyncio.Task[Resource]]:
    """Begin as many stops, and wait until each has asked the workload."""
    steps = [Steps() for _ in range(number)]
    stops = [asyncio.create_task(yard.driver.stop(id, options, on_step=each)) for each in steps]
    for each in steps:
        await each.begun()
    return stops


class StoppingContract:
    """With workloads that follow."""

    @pytest.mark.parametrize("mode", [StopMode.GRACEFUL, StopMode.GRACEFUL_THEN_FORCE])
    async def test_graceful(self, yard: Yard, mode: StopMode):
        resource = await yard.running()
        options = StopOptions(mode=mode, grace_period=yard.grace)
        stopped = await yard.driver.stop(resource.id, options)
        assert stopped.state is STOPPED
        assert stopped.state_detail.reason is StateReason.COMPLETED
        await yard.check(stopped, SUMMARY)

    async def test_the_usual_stop_of_a_paused_one(self, yard: Yard):
        resource = await yard.running()
        await yard.driver.pause(resource.id)
        stopped = await yard.driver.stop(resource.id, StopOptions(grace_period=yard.grace))
        assert stopped.state is STOPPED
        assert stopped.state_detail.reason is StateReason.COMPLETED  # it heard, and followed

    async def test_graceful_of_a_transient_one(self, yard: Yard):
        resource = await yard.ready(await yard.make(start=True, lifetime=Lifetime.TRANSIENT))
        options = StopOptions(mode=StopMode.GRACEFUL, grace_period=yard.grace)
        assert (await yard.driver.stop(resource.id, options)).state is STOPPED
        assert await yard.is_gone(resource.id)

    async def test_graceful_restart(self, yard: Yard):
        resource = await yard.running()
        options = RestartOptions(mode=RestartMode.GRACEFUL, grace_period=yard.grace)
        restarted = await yard.driver.restart(resource.id, options)
        assert restarted.state is RUNNING
        await yard.check(restarted, SUMMARY)
        if yard.kind is ResourceKind.CONTAINER:
            now = await yard.driver.get_resource(resource.id)
            before, after = resource.state_detail.start_time, now.state_detail.start_time
            assert before is not None
            assert after is not None
            assert after > before


class SavingContract:
    """Where SAVE is known."""

    async def test_save_and_go_on(self, yard: Yard):
        resource = await yard.bring_to(SAVED)
        assert resource.domain is not None
        assert resource.domain.has_saved_state
        with pytest.raises(HasSavedStateError):
            await yard.driver.delete(resource.id)
        assert (await yard.driver.get_resource(resource.id)).state is SAVED
        assert (await yard.driver.start(resource.id)).state is RUNNING
        started = await yard.driver.get_resource(resource.id)
        assert started.domain is not None
        assert not started.domain.has_saved_state

    async def test_save_and_start_anew(self, yard: Yard):
        resource = await yard.bring_to(SAVED)
        started = await yard.driver.start(resource.id, StartOptions(discard_saved_state=True))
        assert started.state is RUNNING
        stopped = await yard.driver.stop(resource.id, FORCE)
        assert stopped.state is STOPPED  # and not SAVED: the image is gone

    async def test_save_transient_is_missing_capability(self, yard: Yard):
        resource = await yard.make(start=True, lifetime=Lifetime.TRANSIENT)
        with pytest.raises(CapabilityMissingError):
            await yard.driver.stop(resource.id, StopOptions(mode=StopMode.SAVE))
        assert (await yard.driver.get_resource(resource.id)).state is RUNNING


class NoSavingContract:
    """Where it is not."""

    async def test_save_is_refused(self, yard: Yard):
        resource = await yard.make(start=True)
        with pytest.raises(CapabilityMissingError):
            await yard.driver.stop(resource.id, StopOptions(mode=StopMode.SAVE))
        assert (await yard.driver.get_resource(resource.id)).state is RUNNING

    async def test_start_options_that_are_missing(self, yard: Yard):
        resource = await yard.make()
        for options in (StartOptions(from_snapshot="x"), StartOptions(discard_saved_state=True)):
            with pytest.raises(CapabilityMissingError):
                await yard.driver.start(resource.id, options)
        assert (await yard.driver.get_resource(resource.id)).state is STOPPED


class DeafnessContract:
    """With workloads that ignore every graceful request, or take their time.

    One that has just been started is as deaf as one that is ready, and the proofs below
    need not all wait for a guest to boot.
    """

    async def test_graceful_kills_nothing(self, yard: Yard):
        resource = await yard.running(deaf=True)
        loop = asyncio.get_running_loop()
        before = loop.time()
        options = StopOptions(mode=StopMode.GRACEFUL, grace_period=yard.patience)
        with pytest.raises(StopTimedOutError) as caught:
            await yard.driver.stop(resource.id, options)
        assert yard.patience.total_seconds() * 0.9 <= loop.time() - before < 10
        assert caught.value.metadata == {
            "name": resource.name,
            "grace_seconds": f"{yard.patience.total_seconds():g}",
        }
        after = await yard.driver.get_resource(resource.id)
        assert after.state is RUNNING
        assert after.state_detail.start_time == resource.state_detail.start_time

    async def test_graceful_with_no_grace(self, yard: Yard):
        resource = await yard.make(start=True, deaf=True)
        options = StopOptions(mode=StopMode.GRACEFUL, grace_period=timedelta())
        with pytest.raises(StopTimedOutError):
            await yard.driver.stop(resource.id, options)
        assert (await yard.driver.get_resource(resource.id)).state is RUNNING

    async def test_graceful_then_force(self, yard: Yard):
        resource = await yard.make(start=True, deaf=True)
        loop = asyncio.get_running_loop()
        before = loop.time()
        options = StopOptions(mode=StopMode.GRACEFUL_THEN_FORCE, grace_period=yard.patience)
        stopped = await yard.driver.stop(resource.id, options)
        assert loop.time() - before >= yard.patience.total_seconds() * 0.9
        assert stopped.state is STOPPED
        await yard.check(stopped, SUMMARY)
        full = await yard.driver.get_resource(resource.id)
        assert full.state_detail.reason is StateReason.KILLED

    async def test_graceful_restart_kills_nothing(self, yard: Yard):
        resource = await yard.make(start=True, deaf=True)
        options = RestartOptions(mode=RestartMode.GRACEFUL, grace_period=yard.patience)
        with pytest.raises(StopTimedOutError):
            await yard.driver.restart(resource.id, options)
        after = await yard.driver.get_resource(resource.id)
        assert after.state is RUNNING
        assert after.state_detail.start_time == resource.state_detail.start_time

    async def test_graceful_then_force_restart(self, yard: Yard):
        resource = await yard.make(start=True, deaf=True)
        options = RestartOptions(mode=RestartMode.GRACEFUL_THEN_FORCE, grace_period=yard.patience)
        restarted = await yard.driver.restart(resource.id, options)
        assert restarted.state is RUNNING
        await yard.check(restarted, SUMMARY)

    async def test_steps_are_told(self, yard: Yard):
        resource = await yard.make(start=True, deaf=True)
        steps = Steps()
        options = StopOptions(mode=StopMode.GRACEFUL_THEN_FORCE, grace_period=yard.patience)
        stop = asyncio.create_task(yard.driver.stop(resource.id, options, on_step=steps))
        await steps.begun()  # people are told what is waited for
        assert not stop.done()
        before = len(steps.told)
        await stop
        assert len(steps.told) > before  # and that it is waited for no more
        for step, percent in steps.told:
            assert step
            assert percent is None or 0 <= percent <= 100

    @pytest.mark.parametrize("lifetime", list(Lifetime))
    async def test_force_goes_through_while_graceful_waits(self, yard: Yard, lifetime: Lifetime):
        resource = await yard.make(start=True, deaf=True, lifetime=lifetime)
        options = StopOptions(mode=StopMode.GRACEFUL, grace_period=LONG)
        (graceful,) = await asked(yard, resource.id, options)
        assert not graceful.done()
        async with asyncio.timeout(30):
            forced = await yard.driver.stop(resource.id, FORCE)
            waited = await graceful
        assert forced.state is STOPPED
        assert (waited.id, waited.state) == (resource.id, STOPPED)

    async def test_many_graceful_ones_block_nobody(self, yard: Yard):
        """Waiting takes no thread: more stops wait than a driver has threads."""
        resource = await yard.make(start=True, deaf=True)
        options = StopOptions(mode=StopMode.GRACEFUL, grace_period=LONG)
        waiting = await asked(yard, resource.id, options, 12)
        async with asyncio.timeout(30):
            assert (await yard.driver.get_resource(resource.id)).state is RUNNING
            await yard.driver.list_resources()
        async with asyncio.timeout(30):
            await yard.driver.stop(resource.id, FORCE)
            for waited in await asyncio.gather(*waiting):
                assert waited.state is STOPPED

    async def test_delete_by_force_while_graceful_waits(self, yard: Yard):
        resource = await yard.make(start=True, deaf=True)
        options = StopOptions(mode=StopMode.GRACEFUL, grace_period=LONG)
        (graceful,) = await asked(yard, resource.id, options)
        async with asyncio.timeout(30):
            await yard.driver.delete(resource.id, DeleteOptions(force=True))
            with suppress(ResourceNotFoundError):  # what waited finds it stopped, or gone
                assert (await graceful).state is STOPPED
        assert await yard.is_gone(resource.id)

    async def test_a_cancelled_stop_leaves_the_request_standing(self, yard: Yard):
        resource = await yard.running(slow=True)
        options = StopOptions(mode=StopMode.GRACEFUL, grace_period=LONG)
        (stop,) = await asked(yard, resource.id, options)
        stop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stop

        async def stopped() -> bool:
            return (await yard.driver.get_resource(resource.id)).state is STOPPED

        await eventually(stopped, within=yard.grace.total_seconds())

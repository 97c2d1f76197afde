"""Obligations of `Driver`: the steps of graceful and forced stops and restarts."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from contract.harness import FORCE, DriverHarness
from eventually import eventually
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
    """Records the steps of a stop, to wait until the workload was asked."""

    def __init__(self) -> None:
        self.reported: list[tuple[str, int | None]] = []
        self._begun = asyncio.Event()

    def __call__(self, step: str, percent: int | None = None) -> None:
        self.reported.append((step, percent))
        self._begun.set()

    async def begun(self) -> None:
        async with asyncio.timeout(30):
            await self._begun.wait()


async def asked(
    harness: DriverHarness, id: str, options: StopOptions, number: int = 1
) -> list[asyncio.Task[Resource]]:
    """Begin this many stops, and wait until each has asked the workload."""
    steps = [Steps() for _ in range(number)]
    stops = [asyncio.create_task(harness.driver.stop(id, options, on_step=each)) for each in steps]
    for each in steps:
        await each.begun()
    return stops


class StoppingContract:
    """Obligations with workloads that obey."""

    @pytest.mark.parametrize("mode", [StopMode.GRACEFUL, StopMode.GRACEFUL_THEN_FORCE])
    async def test_stop_graceful_is_stopped(self, harness: DriverHarness, mode: StopMode):
        resource = await harness.running()
        options = StopOptions(mode=mode, grace_period=harness.grace)
        stopped = await harness.driver.stop(resource.id, options)
        assert stopped.state is STOPPED
        assert stopped.state_detail.reason is StateReason.COMPLETED
        await harness.check(stopped, SUMMARY)

    async def test_stop_without_mode_of_a_paused_resource_is_stopped(self, harness: DriverHarness):
        resource = await harness.running()
        await harness.driver.pause(resource.id)
        stopped = await harness.driver.stop(resource.id, StopOptions(grace_period=harness.grace))
        assert stopped.state is STOPPED
        assert stopped.state_detail.reason is StateReason.COMPLETED  # the workload obeyed

    async def test_stop_graceful_transient_is_gone(self, harness: DriverHarness):
        resource = await harness.ready(await harness.make(start=True, lifetime=Lifetime.TRANSIENT))
        options = StopOptions(mode=StopMode.GRACEFUL, grace_period=harness.grace)
        assert (await harness.driver.stop(resource.id, options)).state is STOPPED
        assert await harness.is_gone(resource.id)

    async def test_restart_graceful_is_running(self, harness: DriverHarness):
        resource = await harness.running()
        options = RestartOptions(mode=RestartMode.GRACEFUL, grace_period=harness.grace)
        restarted = await harness.driver.restart(resource.id, options)
        assert restarted.state is RUNNING
        await harness.check(restarted, SUMMARY)
        if harness.kind is ResourceKind.CONTAINER:
            now = await harness.driver.get_resource(resource.id)
            before, after = resource.state_detail.start_time, now.state_detail.start_time
            assert before is not None
            assert after is not None
            assert after > before


class SavingContract:
    """Obligations of drivers with SAVE."""

    async def test_stop_save_and_start_continues(self, harness: DriverHarness):
        resource = await harness.bring_to(SAVED)
        assert resource.domain is not None
        assert resource.domain.has_saved_state
        with pytest.raises(HasSavedStateError):
            await harness.driver.delete(resource.id)
        assert (await harness.driver.get_resource(resource.id)).state is SAVED
        assert (await harness.driver.start(resource.id)).state is RUNNING
        started = await harness.driver.get_resource(resource.id)
        assert started.domain is not None
        assert not started.domain.has_saved_state

    async def test_stop_save_and_start_with_discard_boots_anew(self, harness: DriverHarness):
        resource = await harness.bring_to(SAVED)
        started = await harness.driver.start(resource.id, StartOptions(discard_saved_state=True))
        assert started.state is RUNNING
        stopped = await harness.driver.stop(resource.id, FORCE)
        assert stopped.state is STOPPED  # and not SAVED: the saved state is deleted

    async def test_stop_save_transient_is_missing_capability(self, harness: DriverHarness):
        resource = await harness.make(start=True, lifetime=Lifetime.TRANSIENT)
        with pytest.raises(CapabilityMissingError):
            await harness.driver.stop(resource.id, StopOptions(mode=StopMode.SAVE))
        assert (await harness.driver.get_resource(resource.id)).state is RUNNING


class NoSavingContract:
    """Obligations of drivers without SAVE."""

    async def test_stop_save_is_missing_capability(self, harness: DriverHarness):
        resource = await harness.make(start=True)
        with pytest.raises(CapabilityMissingError):
            await harness.driver.stop(resource.id, StopOptions(mode=StopMode.SAVE))
        assert (await harness.driver.get_resource(resource.id)).state is RUNNING

    async def test_start_options_that_containers_lack_are_refused(self, harness: DriverHarness):
        resource = await harness.make()
        for options in (StartOptions(from_snapshot="x"), StartOptions(discard_saved_state=True)):
            with pytest.raises(CapabilityMissingError):
                await harness.driver.start(resource.id, options)
        assert (await harness.driver.get_resource(resource.id)).state is STOPPED


class DeafnessContract:
    """With workloads that ignore every graceful request, or take their time.

    One that has just been started is as deaf as one that is ready, and the proofs below
    need not all wait for a guest to boot.
    """

    async def test_stop_graceful_ignored_kills_nothing(self, harness: DriverHarness):
        resource = await harness.running(deaf=True)
        loop = asyncio.get_running_loop()
        before = loop.time()
        options = StopOptions(mode=StopMode.GRACEFUL, grace_period=harness.patience)
        with pytest.raises(StopTimedOutError) as caught:
            await harness.driver.stop(resource.id, options)
        assert harness.patience.total_seconds() * 0.9 <= loop.time() - before < 10
        assert caught.value.metadata == {
            "name": resource.name,
            "grace_seconds": f"{harness.patience.total_seconds():g}",
        }
        after = await harness.driver.get_resource(resource.id)
        assert after.state is RUNNING
        assert after.state_detail.start_time == resource.state_detail.start_time

    async def test_stop_graceful_ignored_without_grace_times_out_at_once(
        self, harness: DriverHarness
    ):
        resource = await harness.make(start=True, deaf=True)
        options = StopOptions(mode=StopMode.GRACEFUL, grace_period=timedelta())
        with pytest.raises(StopTimedOutError):
            await harness.driver.stop(resource.id, options)
        assert (await harness.driver.get_resource(resource.id)).state is RUNNING

    async def test_stop_graceful_then_force_ignored_is_killed(self, harness: DriverHarness):
        resource = await harness.make(start=True, deaf=True)
        loop = asyncio.get_running_loop()
        before = loop.time()
        options = StopOptions(mode=StopMode.GRACEFUL_THEN_FORCE, grace_period=harness.patience)
        stopped = await harness.driver.stop(resource.id, options)
        assert loop.time() - before >= harness.patience.total_seconds() * 0.9
        assert stopped.state is STOPPED
        await harness.check(stopped, SUMMARY)
        full = await harness.driver.get_resource(resource.id)
        assert full.state_detail.reason is StateReason.KILLED

    async def test_restart_graceful_ignored_kills_nothing(self, harness: DriverHarness):
        resource = await harness.make(start=True, deaf=True)
        options = RestartOptions(mode=RestartMode.GRACEFUL, grace_period=harness.patience)
        with pytest.raises(StopTimedOutError):
            await harness.driver.restart(resource.id, options)
        after = await harness.driver.get_resource(resource.id)
        assert after.state is RUNNING
        assert after.state_detail.start_time == resource.state_detail.start_time

    async def test_restart_graceful_then_force_ignored_is_running(self, harness: DriverHarness):
        resource = await harness.make(start=True, deaf=True)
        options = RestartOptions(
            mode=RestartMode.GRACEFUL_THEN_FORCE, grace_period=harness.patience
        )
        restarted = await harness.driver.restart(resource.id, options)
        assert restarted.state is RUNNING
        await harness.check(restarted, SUMMARY)

    async def test_stop_graceful_reports_its_steps(self, harness: DriverHarness):
        resource = await harness.make(start=True, deaf=True)
        steps = Steps()
        options = StopOptions(mode=StopMode.GRACEFUL_THEN_FORCE, grace_period=harness.patience)
        stop = asyncio.create_task(harness.driver.stop(resource.id, options, on_step=steps))
        await steps.begun()  # the step names what the stop waits for
        assert not stop.done()
        before = len(steps.reported)
        await stop
        assert len(steps.reported) > before  # and that the wait has ended
        for step, percent in steps.reported:
            assert step
            assert percent is None or 0 <= percent <= 100

    @pytest.mark.parametrize("lifetime", list(Lifetime))
    async def test_stop_force_while_graceful_waits_is_stopped(
        self, harness: DriverHarness, lifetime: Lifetime
    ):
        resource = await harness.make(start=True, deaf=True, lifetime=lifetime)
        options = StopOptions(mode=StopMode.GRACEFUL, grace_period=LONG)
        (graceful,) = await asked(harness, resource.id, options)
        assert not graceful.done()
        async with asyncio.timeout(30):
            forced = await harness.driver.stop(resource.id, FORCE)
            waited = await graceful
        assert forced.state is STOPPED
        assert (waited.id, waited.state) == (resource.id, STOPPED)

    async def test_stop_graceful_many_waiting_block_nobody(self, harness: DriverHarness):
        """More stops wait than the driver has threads: a waiting stop holds no thread."""
        resource = await harness.make(start=True, deaf=True)
        options = StopOptions(mode=StopMode.GRACEFUL, grace_period=LONG)
        waiting = await asked(harness, resource.id, options, 12)
        async with asyncio.timeout(30):
            assert (await harness.driver.get_resource(resource.id)).state is RUNNING
            await harness.driver.list_resources()
        async with asyncio.timeout(30):
            await harness.driver.stop(resource.id, FORCE)
            for waited in await asyncio.gather(*waiting):
                assert waited.state is STOPPED

    async def test_delete_force_while_graceful_waits_is_gone(self, harness: DriverHarness):
        resource = await harness.make(start=True, deaf=True)
        options = StopOptions(mode=StopMode.GRACEFUL, grace_period=LONG)
        (graceful,) = await asked(harness, resource.id, options)
        async with asyncio.timeout(30):
            await harness.driver.delete(resource.id, DeleteOptions(force=True))
            with suppress(ResourceNotFoundError):  # the waiting stops find it stopped or removed
                assert (await graceful).state is STOPPED
        assert await harness.is_gone(resource.id)

    async def test_stop_graceful_cancelled_leaves_the_request_standing(
        self, harness: DriverHarness
    ):
        resource = await harness.running(slow=True)
        options = StopOptions(mode=StopMode.GRACEFUL, grace_period=LONG)
        (stop,) = await asked(harness, resource.id, options)
        stop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stop

        async def stopped() -> bool:
            return (await harness.driver.get_resource(resource.id)).state is STOPPED

        await eventually(stopped, within=harness.grace.total_seconds())

"""What the contract suite does not ask of stops and restarts, or only this engine has."""

import asyncio
import threading
import time
from datetime import timedelta

import docker
import pytest

from integration.docker.workloads import DEAF, OBEDIENT, SLOW, Make, eventually
from proad.drivers.docker import DockerDriver
from proad.errors import (
    CapabilityMissingError,
    StopTimedOutError,
)
from proad.model import (
    Lifetime,
    Resource,
    ResourceState,
    ResourceView,
    RestartMode,
    RestartOptions,
    RestartPolicy,
    RestartPolicyMode,
    StateReason,
    StopMode,
    StopOptions,
)

pytestmark = pytest.mark.docker

RUNNING, PAUSED, STOPPED = ResourceState.RUNNING, ResourceState.PAUSED, ResourceState.STOPPED
FORCE = StopOptions(mode=StopMode.FORCE)
ALWAYS = RestartPolicy(mode=RestartPolicyMode.ALWAYS)
INIT_KILLED_BY = {"SIGTERM": 143, "SIGINT": 130}


def graceful(seconds: float) -> StopOptions:
    return StopOptions(mode=StopMode.GRACEFUL, grace_period=timedelta(seconds=seconds))


def then_force(seconds: float) -> StopOptions:
    return StopOptions(mode=StopMode.GRACEFUL_THEN_FORCE, grace_period=timedelta(seconds=seconds))


async def heard(raw: docker.APIClient, container: Resource) -> None:
    """Wait until the shell has its trap."""

    async def ready() -> bool:
        return b"ready" in raw.logs(container.id)

    await eventually(ready, every=0.02)


async def asked(
    driver: DockerDriver, container: Resource, options: StopOptions, number: int = 1
) -> list[asyncio.Task[Resource]]:
    """Begin as many stops, and wait until each has sent its signal."""
    steps: list[str] = []
    stops = [
        asyncio.create_task(
            driver.stop(container.id, options, on_step=lambda step, _percent: steps.append(step))
        )
        for _ in range(number)
    ]

    async def all_sent() -> bool:
        return len(steps) == number

    await eventually(all_sent, every=0.01)
    return stops


class TestGraceful:
    @pytest.mark.parametrize("mode", [StopMode.GRACEFUL, None])
    async def test_obeyed(
        self, driver: DockerDriver, make: Make, raw: docker.APIClient, mode: StopMode | None
    ):
        made = await make(*OBEDIENT, restart_policy=ALWAYS)
        await heard(raw, made)
        stopped = await driver.stop(made.id, StopOptions(mode=mode))
        assert stopped.state is STOPPED
        assert stopped.state_detail.reason is StateReason.COMPLETED
        await asyncio.sleep(0.3)
        after = await driver.get_resource(made.id)
        assert (after.state, after.container.restart_count) == (STOPPED, 0)

    @pytest.mark.parametrize("signal", ["SIGTERM", "INT", "2"])
    async def test_with_the_signal_of_the_container(
        self, driver: DockerDriver, make: Make, raw: docker.APIClient, signal: str
    ):
        made = await make(*DEAF, init=True, stop_signal=signal, restart_policy=ALWAYS)

        async def init_has_a_child() -> bool:
            return len(raw.top(made.id)["Processes"]) == 2

        await eventually(init_has_a_child)  # before, it hears nothing
        stopped = await driver.stop(made.id, graceful(30))
        code = INIT_KILLED_BY["SIGTERM" if signal == "SIGTERM" else "SIGINT"]
        assert stopped.state_detail.exit_code == code
        await asyncio.sleep(0.3)
        assert (await driver.get_resource(made.id)).state is STOPPED

    async def test_answers_soon_after_the_end(
        self, driver: DockerDriver, make: Make, raw: docker.APIClient
    ):
        made = await make(*OBEDIENT)
        await heard(raw, made)
        stopped = await driver.stop(made.id, graceful(10))
        answered = time.time()
        assert stopped == await driver.get_resource(made.id, ResourceView.SUMMARY)
        finished = (await driver.get_resource(made.id)).state_detail.finish_time
        assert finished is not None
        assert answered - finished.timestamp() < 1

    @pytest.mark.parametrize("grace", [0.0, 0.5])
    async def test_ignored(self, driver: DockerDriver, make: Make, grace: float):
        made = await make(*DEAF)
        started = time.monotonic()
        with pytest.raises(StopTimedOutError) as caught:
            await driver.stop(made.id, graceful(grace))
        assert grace <= time.monotonic() - started < grace + 5
        assert "SIGTERM" in caught.value.message
        after = await driver.get_resource(made.id)
        assert (after.state, after.container.pid) == (RUNNING, made.container.pid)

    @pytest.mark.parametrize("grace", [0.0, 0.5])
    async def test_ignored_and_then_forced(self, driver: DockerDriver, make: Make, grace: float):
        made = await make(*DEAF, restart_policy=ALWAYS)
        started = time.monotonic()
        steps: list[str] = []
        stopped = await driver.stop(
            made.id, then_force(grace), on_step=lambda step, _percent: steps.append(step)
        )
        assert grace <= time.monotonic() - started < grace + 5
        assert (stopped.state, stopped.state_detail.exit_code) == (STOPPED, 137)
        assert steps == [f"SIGTERM sent, waiting up to {grace:g} s", "killing"]
        await asyncio.sleep(0.3)
        assert (await driver.get_resource(made.id)).state is STOPPED

    async def test_within_the_time_of_the_container(self, driver: DockerDriver, make: Make):
        made = await make(*DEAF, stop_timeout=timedelta(seconds=1))
        started = time.monotonic()
        stopped = await driver.stop(made.id)
        assert 1 <= time.monotonic() - started < 8  # without it, 10
        assert stopped.state_detail.exit_code == 137

    async def test_a_paused_one_is_woken(
        self, driver: DockerDriver, make: Make, raw: docker.APIClient
    ):
        made = await make(*OBEDIENT)
        await heard(raw, made)
        await driver.pause(made.id)
        stopped = await driver.stop(made.id, graceful(5))
        assert stopped.state_detail.reason is StateReason.COMPLETED

    async def test_cancelled(self, driver: DockerDriver, make: Make, raw: docker.APIClient):
        made = await make(*SLOW)
        await heard(raw, made)
        (stop,) = await asked(driver, made, then_force(30))
        stop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stop
        assert (await driver.get_resource(made.id)).state is RUNNING

        async def ended() -> bool:
            return (await driver.get_resource(made.id)).state is STOPPED

        await eventually(ended)


class TestForce:
    async def test_running(self, driver: DockerDriver, make: Make):
        made = await make(*DEAF, restart_policy=ALWAYS)
        stopped = await driver.stop(made.id, FORCE)
        assert (stopped.state, stopped.state_detail.exit_code) == (STOPPED, 137)
        await asyncio.sleep(0.3)
        assert (await driver.get_resource(made.id)).state is STOPPED

    async def test_paused(self, driver: DockerDriver, make: Make):
        made = await make(*DEAF)
        await driver.pause(made.id)
        stopped = await driver.stop(made.id, FORCE)
        assert (stopped.state, stopped.state_detail.exit_code) == (STOPPED, 137)

    async def test_in_a_restart_loop(self, driver: DockerDriver, make: Make):
        made = await make("false", restart_policy=ALWAYS)

        async def looping() -> bool:
            return (await driver.get_resource(made.id)).container.restart_count > 2

        await eventually(looping, every=0.02)
        assert (await driver.stop(made.id, graceful(5))).state is STOPPED
        await asyncio.sleep(0.8)
        assert (await driver.get_resource(made.id)).state is STOPPED

    async def test_while_graceful_ones_wait(self, driver: DockerDriver, make: Make):
        """More stops wait than the driver has threads; none of them holds one."""
        made = await make(*DEAF)
        before = threading.active_count()
        waiting = await asked(driver, made, graceful(60), 12)
        assert threading.active_count() <= before
        started = time.monotonic()
        assert (await driver.get_resource(made.id)).state is RUNNING
        assert time.monotonic() - started < 10
        assert (await driver.stop(made.id, FORCE)).state is STOPPED
        for answer in await asyncio.gather(*waiting):
            assert (answer.state, answer.state_detail.exit_code) == (STOPPED, 137)


class TestTransient:
    async def test_a_summary_tells(self, driver: DockerDriver, make: Make):
        made = await make(*DEAF, lifetime=Lifetime.TRANSIENT)
        listed = {each.id: each for each in await driver.list_resources()}
        assert listed[made.id].lifetime is Lifetime.TRANSIENT
        assert listed[made.id].labels == made.labels


class TestRestart:
    @pytest.mark.parametrize("mode", [RestartMode.GRACEFUL, RestartMode.FORCE])
    async def test_obeyed(
        self, driver: DockerDriver, make: Make, raw: docker.APIClient, mode: RestartMode
    ):
        made = await make(*OBEDIENT)
        await heard(raw, made)
        steps: list[str] = []
        restarted = await driver.restart(
            made.id, RestartOptions(mode=mode), on_step=lambda step, _percent: steps.append(step)
        )
        assert restarted.state is RUNNING
        now = await driver.get_resource(made.id)
        assert now.state_detail.start_time > made.state_detail.start_time
        graceful_steps = ["SIGTERM sent, waiting up to 10 s", "starting"]
        assert steps == (graceful_steps if mode is RestartMode.GRACEFUL else ["killing"])

    async def test_transient(self, driver: DockerDriver, make: Make):
        made = await make(*DEAF, lifetime=Lifetime.TRANSIENT)
        with pytest.raises(CapabilityMissingError):
            await driver.restart(made.id, RestartOptions(mode=RestartMode.GRACEFUL))
        restarted = await driver.restart(made.id, RestartOptions(mode=RestartMode.FORCE))
        assert (restarted.state, restarted.lifetime) == (RUNNING, Lifetime.TRANSIENT)

    async def test_paused(self, driver: DockerDriver, make: Make):
        made = await make(*DEAF)
        await driver.pause(made.id)
        with pytest.raises(Exception, match="RESTART is not legal"):
            await driver.restart(made.id, RestartOptions(mode=RestartMode.FORCE))
        assert (await driver.get_resource(made.id)).state is PAUSED

    async def test_a_forced_stop_outlives_the_restart_that_it_breaks(
        self, driver: DockerDriver, make: Make
    ):
        made = await make(*DEAF)
        grace = timedelta(seconds=30)
        restarting = asyncio.create_task(
            driver.restart(made.id, RestartOptions(grace_period=grace))
        )
        await asyncio.sleep(0.5)
        restarting.cancel()

        stopped = await driver.stop(made.id, StopOptions(mode=StopMode.FORCE))

        assert stopped.state is STOPPED
        await asyncio.sleep(1)
        assert (await driver.get_resource(made.id)).state is STOPPED

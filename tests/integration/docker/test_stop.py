"""Stops and restarts beyond the contract suite: cases that only Docker has."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import docker
import pytest

from eventually import consistently, eventually
from integration.docker.workloads import (
    DEAF,
    IMAGE,
    LABEL,
    OBEDIENT,
    SLOW,
    Make,
)
from proad.drivers.docker import DockerDriver
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
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
from resource_details import container_of, spec_of

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
    """Wait until the shell has set its trap."""

    async def ready() -> bool:
        return b"ready" in raw.logs(container.id)

    await eventually(ready, every=0.02)


async def stays_stopped(driver: DockerDriver, container: Resource, *, during: float) -> None:
    """Check that nobody starts a container again."""

    async def stopped() -> bool:
        return (await driver.get_resource(container.id)).state is STOPPED

    await consistently(stopped, during=during)


async def asked(
    driver: DockerDriver, container: Resource, options: StopOptions, number: int = 1
) -> list[asyncio.Task[Resource]]:
    """Begin this many stops, and wait until each has sent its signal."""
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
    async def test_stop_of_obedient_container_completes(
        self, driver: DockerDriver, make: Make, raw: docker.APIClient, mode: StopMode | None
    ):
        made = await make(*OBEDIENT, restart_policy=ALWAYS)
        await heard(raw, made)
        stopped = await driver.stop(made.id, StopOptions(mode=mode))
        assert stopped.state is STOPPED
        assert stopped.state_detail.reason is StateReason.COMPLETED
        await stays_stopped(driver, made, during=0.3)
        assert container_of(await driver.get_resource(made.id)).restart_count == 0

    @pytest.mark.parametrize("signal", ["SIGTERM", "INT", "2"])
    async def test_stop_uses_configured_stop_signal(
        self, driver: DockerDriver, make: Make, raw: docker.APIClient, signal: str
    ):
        made = await make(*DEAF, init=True, stop_signal=signal, restart_policy=ALWAYS)

        async def init_has_a_child() -> bool:
            return len(raw.top(made.id)["Processes"]) == 2

        await eventually(init_has_a_child)  # before that, it receives no signal
        stopped = await driver.stop(made.id, graceful(30))
        code = INIT_KILLED_BY["SIGTERM" if signal == "SIGTERM" else "SIGINT"]
        assert stopped.state_detail.exit_code == code
        await stays_stopped(driver, made, during=0.3)

    async def test_stop_returns_within_a_second_of_exit(
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
    async def test_stop_graceful_when_ignored_times_out(
        self, driver: DockerDriver, make: Make, grace: float
    ):
        made = await make(*DEAF)
        started = time.monotonic()
        with pytest.raises(StopTimedOutError) as caught:
            await driver.stop(made.id, graceful(grace))
        assert grace <= time.monotonic() - started < grace + 5
        assert "SIGTERM" in caught.value.message
        after = await driver.get_resource(made.id)
        assert (after.state, container_of(after).pid) == (RUNNING, container_of(made).pid)

    @pytest.mark.parametrize("grace", [0.0, 0.5])
    async def test_stop_graceful_then_force_when_ignored_kills(
        self, driver: DockerDriver, make: Make, grace: float
    ):
        made = await make(*DEAF, restart_policy=ALWAYS)
        started = time.monotonic()
        steps: list[str] = []
        stopped = await driver.stop(
            made.id, then_force(grace), on_step=lambda step, _percent: steps.append(step)
        )
        assert grace <= time.monotonic() - started < grace + 5
        assert (stopped.state, stopped.state_detail.exit_code) == (STOPPED, 137)
        assert steps == [f"SIGTERM sent, waiting up to {grace:g} s", "killing"]
        await stays_stopped(driver, made, during=0.3)

    async def test_stop_without_grace_uses_configured_timeout(
        self, driver: DockerDriver, make: Make
    ):
        made = await make(*DEAF, stop_timeout=timedelta(seconds=1))
        started = time.monotonic()
        stopped = await driver.stop(made.id)
        assert 1 <= time.monotonic() - started < 8  # the default is 10
        assert stopped.state_detail.exit_code == 137

    async def test_stop_of_paused_container_resumes_it_first(
        self, driver: DockerDriver, make: Make, raw: docker.APIClient
    ):
        made = await make(*OBEDIENT)
        await heard(raw, made)
        await driver.pause(made.id)
        stopped = await driver.stop(made.id, graceful(5))
        assert stopped.state_detail.reason is StateReason.COMPLETED

    async def test_stop_when_cancelled_leaves_signal_in_effect(
        self, driver: DockerDriver, make: Make, raw: docker.APIClient
    ):
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


@pytest.fixture
def foreign(raw: docker.APIClient, token: str) -> Iterator[Callable[..., str]]:
    """Create running external containers that ignore all signals; return their ids."""

    def make(**fields: Any) -> str:
        made = raw.create_container(
            IMAGE,
            list(DEAF),
            labels={LABEL: token},
            host_config=raw.create_host_config(network_mode="none"),
            **fields,
        )
        raw.start(made["Id"])
        return str(made["Id"])

    yield make
    for made in raw.containers(all=True, filters={"label": f"{LABEL}={token}"}):
        raw.remove_container(made["Id"], force=True)


class TestOddStopSettings:
    """Containers with an unusual stop signal or timeout."""

    @pytest.mark.parametrize("seconds", [-1, 2**31])
    async def test_stop_with_infinite_timeout_kills_after_grace(
        self, driver: DockerDriver, foreign: Callable[..., str], seconds: int
    ):
        id = foreign(stop_timeout=seconds)
        asked = spec_of(await driver.get_resource(id))
        assert asked.stop_timeout == timedelta(seconds=seconds)
        with pytest.raises(StopTimedOutError):
            await driver.stop(id, graceful(0.5))
        assert (await driver.get_resource(id)).state is RUNNING
        started = time.monotonic()
        assert (await driver.stop(id, then_force(1))).state_detail.exit_code == 137
        assert time.monotonic() - started >= 1

    async def test_stop_with_infinite_timeout_and_no_grace_waits(
        self, driver: DockerDriver, foreign: Callable[..., str]
    ):
        resource = await driver.get_resource(foreign(stop_timeout=-1))
        (stop,) = await asked(driver, resource, StopOptions())
        assert not (await asyncio.wait({stop}, timeout=1))[0]
        assert (await driver.get_resource(resource.id)).state is RUNNING
        await driver.stop(resource.id, FORCE)
        assert (await stop).state is STOPPED

    async def test_stop_with_zero_timeout_kills_at_once(
        self, driver: DockerDriver, foreign: Callable[..., str]
    ):
        id = foreign(stop_timeout=0)
        with pytest.raises(StopTimedOutError):
            await driver.stop(id, StopOptions(mode=StopMode.GRACEFUL))
        assert (await driver.get_resource(id)).state is RUNNING
        assert (await driver.stop(id)).state_detail.exit_code == 137

    async def test_stop_with_unknown_signal_kills(
        self, driver: DockerDriver, foreign: Callable[..., str]
    ):
        id = foreign(stop_signal="99")
        with pytest.raises(EngineConflictError):
            await driver.stop(id, graceful(30))
        assert (await driver.get_resource(id)).state is RUNNING
        restarted = await driver.restart(id, RestartOptions(grace_period=timedelta(seconds=1)))
        assert restarted.state is RUNNING
        started = time.monotonic()
        assert (await driver.stop(id, then_force(60))).state_detail.exit_code == 137
        assert time.monotonic() - started < 30

    @pytest.mark.parametrize("signal", ["SIGKILL", "kill", "9"])
    async def test_stop_graceful_with_killing_signal_is_refused(
        self, driver: DockerDriver, foreign: Callable[..., str], signal: str
    ):
        id = foreign(stop_signal=signal)
        with pytest.raises(CapabilityMissingError):
            await driver.stop(id, graceful(30))
        with pytest.raises(CapabilityMissingError):
            await driver.restart(id, RestartOptions(mode=RestartMode.GRACEFUL))
        assert (await driver.get_resource(id)).state is RUNNING
        assert (await driver.stop(id, then_force(30))).state_detail.exit_code == 137

    async def test_stop_graceful_then_force_of_paused_container_kills(
        self, driver: DockerDriver, foreign: Callable[..., str]
    ):
        id = foreign()
        await driver.pause(id)
        assert (await driver.stop(id, then_force(0.5))).state_detail.exit_code == 137


class TestForce:
    async def test_stop_force_of_running_container_kills(self, driver: DockerDriver, make: Make):
        made = await make(*DEAF, restart_policy=ALWAYS)
        stopped = await driver.stop(made.id, FORCE)
        assert (stopped.state, stopped.state_detail.exit_code) == (STOPPED, 137)
        await stays_stopped(driver, made, during=0.3)

    async def test_stop_force_of_paused_container_kills(self, driver: DockerDriver, make: Make):
        made = await make(*DEAF)
        await driver.pause(made.id)
        stopped = await driver.stop(made.id, FORCE)
        assert (stopped.state, stopped.state_detail.exit_code) == (STOPPED, 137)

    async def test_stop_in_restart_loop_ends_it(self, driver: DockerDriver, make: Make):
        made = await make("false", restart_policy=ALWAYS)

        async def looping() -> bool:
            return container_of(await driver.get_resource(made.id)).restart_count > 2

        await eventually(looping, every=0.02)
        assert (await driver.stop(made.id, graceful(5))).state is STOPPED
        await stays_stopped(driver, made, during=0.8)

    async def test_stop_force_during_graceful_stops_ends_them(
        self, driver: DockerDriver, make: Make
    ):
        """More stops wait than the driver has threads: a waiting stop holds no thread."""
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
    async def test_summary_of_transient_container_has_lifetime(
        self, driver: DockerDriver, make: Make
    ):
        made = await make(*DEAF, lifetime=Lifetime.TRANSIENT)
        listed = {each.id: each for each in await driver.list_resources()}
        assert listed[made.id].lifetime is Lifetime.TRANSIENT
        assert listed[made.id].labels == made.labels


class TestRestart:
    @pytest.mark.parametrize("mode", [RestartMode.GRACEFUL, RestartMode.FORCE])
    async def test_restart_of_obedient_container_starts_it_anew(
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
        before, after = made.state_detail.start_time, now.state_detail.start_time
        assert before is not None
        assert after is not None
        assert after > before
        graceful_steps = ["SIGTERM sent, waiting up to 10 s", "starting"]
        assert steps == (graceful_steps if mode is RestartMode.GRACEFUL else ["killing"])

    async def test_restart_of_transient_container_requires_force(
        self, driver: DockerDriver, make: Make
    ):
        made = await make(*DEAF, lifetime=Lifetime.TRANSIENT)
        with pytest.raises(CapabilityMissingError):
            await driver.restart(made.id, RestartOptions(mode=RestartMode.GRACEFUL))
        restarted = await driver.restart(made.id, RestartOptions(mode=RestartMode.FORCE))
        assert (restarted.state, restarted.lifetime) == (RUNNING, Lifetime.TRANSIENT)

    async def test_restart_of_paused_container_is_refused(self, driver: DockerDriver, make: Make):
        made = await make(*DEAF)
        await driver.pause(made.id)
        with pytest.raises(Exception, match="RESTART is not legal"):
            await driver.restart(made.id, RestartOptions(mode=RestartMode.FORCE))
        assert (await driver.get_resource(made.id)).state is PAUSED

    async def test_stop_force_after_cancelled_restart_stays_stopped(
        self, driver: DockerDriver, make: Make
    ):
        made = await make(*DEAF)
        grace = timedelta(seconds=30)
        steps: list[str] = []
        restarting = asyncio.create_task(
            driver.restart(
                made.id,
                RestartOptions(grace_period=grace),
                on_step=lambda step, _percent: steps.append(step),
            )
        )
        await eventually(lambda: steps)
        restarting.cancel()

        stopped = await driver.stop(made.id, StopOptions(mode=StopMode.FORCE))

        assert stopped.state is STOPPED
        await stays_stopped(driver, made, during=1)

"""A container with a hung shim: Docker hangs on this container, and no other may be affected."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from event_queue import EventQueue
from eventually import consistently, eventually
from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import DEAF, IMAGE
from proad.drivers.docker import DockerDriver
from proad.errors import EngineTimedOutError, ResourceNotFoundError
from proad.model import (
    ContainerSpec,
    DeleteOptions,
    NetworkAttachment,
    Resource,
    ResourceState,
    ResourceView,
    StopMode,
    StopOptions,
)
from resource_details import container_of

pytestmark = pytest.mark.docker

FORCE = StopOptions(mode=StopMode.FORCE)
SOON = 20.0  # seconds; all of these take milliseconds, and what waits takes a minute


@asynccontextmanager
async def hung(container: Resource) -> AsyncIterator[None]:
    """Freeze the shim of a container, as a broken disk or kernel would."""
    stat = Path(f"/proc/{container_of(container).pid}/stat").read_text()
    shim = int(stat.rpartition(")")[2].split()[1])
    assert container.id.encode() in Path(f"/proc/{shim}/cmdline").read_bytes()
    os.kill(shim, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(shim, signal.SIGCONT)


async def test_calls_with_hung_shim_delay_no_other_container(engine: PrivateEngine):
    engine.start()
    async with DockerDriver(engine.url, threads=2, timeout=timedelta(seconds=60)) as driver:
        await eventually(lambda: PrivateEngine.answers(driver), within=30)
        await engine.import_image()
        spec = ContainerSpec(
            image=IMAGE, command=DEAF, networks=(NetworkAttachment(network="none"),)
        )
        bad, good = [(await driver.create_container(spec, start=True)).resource for _ in range(2)]
        async with EventQueue.of(driver) as events, hung(bad):
            stuck = [
                asyncio.create_task(call)
                for call in (
                    driver.pause(bad.id),
                    driver.pause(bad.id),
                    driver.stop(bad.id),
                    driver.stop(bad.id, FORCE),
                    driver.stop(bad.id, FORCE),
                    driver.delete(bad.id, DeleteOptions(force=True)),
                    driver.restart(bad.id),
                    *(driver.get_resource(bad.id) for _ in range(10)),
                )
            ]
            await consistently(lambda: not any(task.done() for task in stuck), during=0.5)
            # Cancelled callers keep their slots, so that further hung calls take none.
            for task in stuck[-5:]:
                task.cancel()
            stuck += [asyncio.create_task(driver.get_resource(bad.id)) for _ in range(10)]
            await consistently(lambda: not any(task.done() for task in stuck[-10:]), during=0.2)

            started = time.monotonic()
            async with asyncio.timeout(SOON):
                listed = {each.id: each for each in await driver.list_resources()}
                assert listed[bad.id].state is ResourceState.RUNNING
                assert await driver.get_resource(bad.id, ResourceView.SUMMARY) == listed[bad.id]
                assert (await driver.probe()).version
                assert (await driver.pause(good.id)).state is ResourceState.PAUSED
                assert (await driver.resume(good.id)).state is ResourceState.RUNNING
                while (await anext(events)).id != good.id:
                    pass
                assert (await driver.stop(good.id, FORCE)).state is ResourceState.STOPPED
            assert time.monotonic() - started < SOON

            started = time.monotonic()
            assert await driver.stats([bad.id]) == {}
            assert time.monotonic() - started < 10
            assert not any(task.done() for task in stuck if not task.cancelled())
            for task in stuck:
                task.cancel()
            assert {type(e) for e in await asyncio.gather(*stuck, return_exceptions=True)} == {
                asyncio.CancelledError
            }
        # The calls that Docker had begun end now.
        async with asyncio.timeout(60):
            while await driver.list_resources():
                for each in (bad, good):
                    try:
                        await driver.delete(each.id, DeleteOptions(force=True))
                    except EngineTimedOutError:
                        raise
                    except Exception:  # noqa: BLE001 - of the several deletions one wins
                        await asyncio.sleep(0.2)


async def test_call_on_hung_shim_times_out(engine: PrivateEngine):
    engine.start()
    async with (
        DockerDriver(engine.url) as patient,
        DockerDriver(engine.url, timeout=timedelta(seconds=3)) as driver,
    ):
        await eventually(lambda: PrivateEngine.answers(patient), within=30)
        await engine.import_image()
        spec = ContainerSpec(
            image=IMAGE, command=DEAF, networks=(NetworkAttachment(network="none"),)
        )
        made = (await patient.create_container(spec, start=True)).resource

        async def read_times_out() -> bool:
            try:
                await driver.get_resource(made.id)
            except EngineTimedOutError:
                return True
            return False

        async with hung(made):
            pause = asyncio.create_task(driver.pause(made.id))
            # Docker reads a container while no other call holds it: the pause must be there first.
            await eventually(read_times_out, within=60)
            started = time.monotonic()
            reads = (driver.get_resource(made.id) for _ in range(5))
            for answer in await asyncio.gather(pause, *reads, return_exceptions=True):
                assert isinstance(answer, EngineTimedOutError)
            assert time.monotonic() - started < SOON
        await patient.delete(made.id, DeleteOptions(force=True))
        # Abandoned calls have ended, or end now, and delay no further call.
        for answer in await asyncio.gather(
            *(driver.get_resource(made.id) for _ in range(5)), return_exceptions=True
        ):
            assert isinstance(answer, ResourceNotFoundError)


async def test_stop_graceful_then_force_of_hung_shim_kills(engine: PrivateEngine):
    """The kill takes effect once the shim continues; nothing else can end such a container."""
    engine.start()
    steps: list[str] = []
    options = StopOptions(mode=StopMode.GRACEFUL_THEN_FORCE, grace_period=timedelta(seconds=1))
    async with DockerDriver(engine.url) as driver:
        await eventually(lambda: PrivateEngine.answers(driver), within=30)
        await engine.import_image()
        spec = ContainerSpec(
            image=IMAGE, command=DEAF, networks=(NetworkAttachment(network="none"),)
        )
        made = (await driver.create_container(spec, start=True)).resource

        async def killing() -> bool:
            return steps[-1:] == ["killing"]

        async with hung(made):
            stop = asyncio.create_task(
                driver.stop(made.id, options, on_step=lambda step, _percent: steps.append(step))
            )
            await eventually(killing, within=30)
        assert (await stop).state is ResourceState.STOPPED
        await driver.delete(made.id)

"""Commands whose engine is elsewhere, and hangs, dies or forgets them in the middle: what callers are told."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta

import docker
import pytest
from docker.errors import NotFound
from structlog.testing import capture_logs

from eventually import eventually
from integration.docker.inside_containers import gone, outcome
from integration.docker.remote_engines import GENEROUS, FarEngine, made
from integration.docker.test_marked_commands import alone, begun
from proad.core.beside import beside
from proad.core.command_operations import LimitedCommand
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.timing import CommandTiming, DockerTiming, SignalTiming
from proad.errors import EngineTimedOutError, EngineUnreachableError
from proad.model import Resource

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates"),
]

LONG_AFTER = 1000
"""Seconds that no test waits for."""
TIMING = DockerTiming(
    command=CommandTiming(
        begin=timedelta(seconds=LONG_AFTER),
        signal=SignalTiming(
            shell=timedelta(seconds=2),
            leave=timedelta(seconds=LONG_AFTER),
            retry=timedelta(milliseconds=50),
            longest_retry=timedelta(milliseconds=100),
        ),
    )
)


@pytest.fixture(scope="module")
def far() -> Iterator[FarEngine]:
    """An engine without live-restore, so that its end is the end of its containers."""
    with FarEngine.running() as far:
        yield far


@pytest.fixture(params=["tls", "ssh"])
async def driver(far: FarEngine, request: pytest.FixtureRequest) -> AsyncIterator[DockerDriver]:
    async with far.driver(request.param, timing=TIMING) as driver:
        yield driver


@pytest.fixture
def raw(far: FarEngine) -> Iterator[docker.APIClient]:
    client = docker.APIClient(far.engine.url, version="auto")
    yield client
    client.close()


@pytest.fixture
async def box(far: FarEngine, raw: docker.APIClient) -> AsyncIterator[Resource]:
    async with DockerDriver(far.engine.url) as near:
        box = await made(near, "sleep", "1000")
    yield box
    far.engine.signal(signal.SIGCONT)
    with suppress(NotFound):
        await asyncio.to_thread(raw.remove_container, box.id, force=True)


async def test_timeout_while_the_engine_hangs_is_told_to_be_the_engine_s(
    far: FarEngine, driver: DockerDriver, box: Resource, raw: docker.APIClient
):
    second = timedelta(seconds=1)
    pids = []

    async def limited() -> None:
        async with begun(driver, box, timeout=second) as command:
            pids.append(command.pid)
            far.engine.signal(signal.SIGSTOP)
            async with beside(LimitedCommand(command).kill_after(second)):
                await outcome(command)

    with capture_logs() as logs:
        with pytest.raises(EngineTimedOutError):
            await asyncio.wait_for(limited(), GENEROUS)
        far.engine.signal(signal.SIGCONT)
        await eventually(gone(pids[0]))
        await eventually(alone(raw, box))
    assert not [log for log in logs if log["event"] == "command left in container"]


async def test_engine_that_hangs_at_first_says_nothing_of_what_its_containers_can(
    far: FarEngine, box: Resource
):
    hour = timedelta(hours=1)
    async with far.driver("tls", timing=TIMING, timeout=timedelta(seconds=4)) as driver:

        async def start() -> None:
            async with begun(driver, box, timeout=hour):
                pytest.fail("it began")

        await driver.probe()
        far.engine.signal(signal.SIGSTOP)
        with pytest.raises(EngineTimedOutError):
            await asyncio.wait_for(start(), GENEROUS)
        far.engine.signal(signal.SIGCONT)
        async with asyncio.timeout(GENEROUS), begun(driver, box, timeout=hour) as command:
            assert command.can_signal
            await command.signal(signal.SIGKILL)


async def test_start_that_is_given_up_while_the_engine_hangs_ends_at_once(
    far: FarEngine,
    driver: DockerDriver,
    box: Resource,
    raw: docker.APIClient,
    monkeypatch: pytest.MonkeyPatch,
):
    hangs = asyncio.Event()
    upgrade = driver._engine.upgrade

    async def hung(*arguments: object, **named: object) -> object:
        far.engine.signal(signal.SIGSTOP)
        hangs.set()
        return await upgrade(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(driver._engine, "upgrade", hung)

    async def start() -> None:
        async with begun(driver, box):
            pytest.fail("it began")

    starting = asyncio.create_task(start())
    await asyncio.wait_for(hangs.wait(), GENEROUS)
    starting.cancel()
    done, _ = await asyncio.wait({starting}, timeout=GENEROUS)
    assert done
    assert starting.cancelled()
    far.engine.signal(signal.SIGCONT)
    await eventually(lambda: not driver._commands._given_up, within=GENEROUS)
    await eventually(alone(raw, box))


async def test_command_whose_container_ended_with_its_engine_is_given_up(
    far: FarEngine, driver: DockerDriver, box: Resource
):
    with capture_logs() as logs:
        async with begun(driver, box) as command:
            far.engine.signal(signal.SIGKILL)
            try:
                with pytest.raises(EngineUnreachableError):
                    await asyncio.wait_for(outcome(command), GENEROUS)
            finally:
                far.engine.start()
        await far.ready()
        await eventually(gone(command.pid))
        await eventually(lambda: not driver._commands._marked._endings, within=GENEROUS)
    assert not [log for log in logs if log["event"] == "command left in container"]

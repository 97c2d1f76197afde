"""An engine that dies, or hangs, under all that is open inside of a container."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from eventually import consistently, eventually
from integration.docker.inside_containers import outcome
from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import IMAGE
from proad.drivers.docker import DockerDriver
from proad.errors import EngineTimedOutError, EngineUnreachableError, ProaError
from proad.model import (
    CommandSpec,
    CommandStreams,
    ConsoleOptions,
    ContainerSpec,
    FileRead,
    FileWrite,
    LogOptions,
    NetworkAttachment,
    Resource,
)
from proad.ports import Console

pytestmark = pytest.mark.docker

ECHO = 7
LARGE = 200_000_000
MAIN = f"echo up; head -c {LARGE} /dev/zero >/large; echo made; nc -ll -p {ECHO} -e cat"
GENEROUS = 60


def descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


async def started(engine: PrivateEngine, driver: DockerDriver) -> Resource:
    await eventually(partial(engine.answers, driver), within=GENEROUS)
    await engine.import_image()
    spec = ContainerSpec(
        image=IMAGE,
        command=("sh", "-c", MAIN),
        networks=(NetworkAttachment(network="none"),),
        stdin_open=True,
    )
    made = (await driver.create_container(spec, start=True)).resource
    async with asyncio.timeout(GENEROUS), driver.read_log(made.id, LogOptions(follow=True)) as log:
        async for lines in log:
            if any(line.data == b"made" for line in lines):
                break

    async def listens() -> bool:
        try:
            async with driver.connect_port(made.id, ECHO):
                return True
        except ProaError:
            return False

    await eventually(listens)
    return made


async def drained(pieces: Any) -> None:
    async for _ in pieces:
        pass


async def said_all(console: Console) -> None:
    await drained(console.output())
    await console.exit()


class Open:
    """All ways inside, open at a time.

    Attributes:
        ends: what ends with the engine, by name.
        port: a connection to a port, which the engine has no part in.
    """

    def __init__(self) -> None:
        self.ends: dict[str, Callable[[], Awaitable[Any]]] = {}
        self.port: Any = None

    async def over(self, name: str, error: type[ProaError]) -> None:
        """Wait until a way has ended with an error; a file may have come as a whole before."""
        how = suppress(error) if name == "ReadFile" else pytest.raises(error)
        with how:
            await asyncio.wait_for(self.ends.pop(name)(), GENEROUS)


@asynccontextmanager
async def all_open(driver: DockerDriver, box: Resource) -> AsyncIterator[Open]:
    made = Open()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        spec = CommandSpec(argv=("sleep", "1000"))
        command = await enter(driver.start_command(box.id, spec, CommandStreams()))
        console = await enter(driver.attach(box.id, ConsoleOptions()))
        log = await enter(driver.read_log(box.id, LogOptions(follow=True)))
        what = FileWrite(path="/new", size_bytes=4)
        writer = await enter(driver.write_file(box.id, what))
        await writer.write(b"data")
        made.port = await enter(driver.connect_port(box.id, ECHO))
        reader = await enter(driver.read_file(box.id, FileRead(path="/large")))
        made.ends = {
            "Exec": lambda: outcome(command),
            "Attach": lambda: said_all(console),
            "StreamLogs": lambda: drained(log),
            "WriteFile": writer.commit,
            "ReadFile": lambda: drained(reader.data()),
        }
        yield made


def ways_in(driver: DockerDriver, box: Resource) -> list[AbstractAsyncContextManager[Any]]:
    return [
        driver.start_command(box.id, CommandSpec(argv=("true",)), CommandStreams()),
        driver.attach(box.id, ConsoleOptions()),
        driver.read_log(box.id, LogOptions(follow=True)),
        driver.read_file(box.id, FileRead(path="/large")),
        driver.write_file(box.id, FileWrite(path="/new", size_bytes=0)),
    ]


async def sleepers(driver: DockerDriver, box: Resource) -> bytes:
    spec = CommandSpec(argv=("sh", "-c", "ps | grep -c [s]leep"))
    async with driver.start_command(box.id, spec, CommandStreams()) as command:
        return (await outcome(command))[0]


async def echoes(connection: Any) -> None:
    async with asyncio.timeout(GENEROUS):
        await connection.write(b"still there")
        assert await connection.read() == b"still there"


async def nothing_left(before: int, threads: int) -> None:
    await eventually(lambda: descriptors() <= before)
    await eventually(lambda: threading.active_count() <= threads)


async def test_all_that_is_open_ends_with_a_killed_engine(engine: PrivateEngine):
    engine.start()
    async with DockerDriver(engine.url, timeout=timedelta(seconds=10)) as driver:
        box = await started(engine, driver)
        async with all_open(driver, box):
            pass  # what is made once is there from now on
        before, threads = descriptors(), threading.active_count()
        async with all_open(driver, box) as opened:
            engine.signal(signal.SIGKILL)
            for name in [*opened.ends]:
                await opened.over(name, EngineUnreachableError)
            await echoes(opened.port)
        await nothing_left(before, threads)


async def test_all_that_is_open_can_be_given_up_while_the_engine_hangs(engine: PrivateEngine):
    engine.start()
    async with DockerDriver(engine.url, timeout=timedelta(seconds=3)) as driver:
        box = await started(engine, driver)
        async with all_open(driver, box):
            pass
        before, threads = descriptors(), threading.active_count()
        async with all_open(driver, box) as opened:
            engine.signal(signal.SIGSTOP)
            await echoes(opened.port)
            for name in ("WriteFile", "ReadFile"):
                await opened.over(name, EngineTimedOutError)
            waiting = [asyncio.ensure_future(end()) for end in opened.ends.values()]
            await consistently(lambda: not any(each.done() for each in waiting), during=0.5)
            for each in waiting:
                each.cancel()
            assert len((await asyncio.wait(waiting, timeout=GENEROUS))[0]) == len(waiting)
        for way in ways_in(driver, box):
            with pytest.raises(EngineTimedOutError):
                async with asyncio.timeout(GENEROUS), way:
                    pytest.fail("the engine does not answer")
        engine.signal(signal.SIGCONT)
        await nothing_left(before, threads)

        async def no_sleeper() -> bool:
            return await sleepers(driver, box) == b"0\n"

        await eventually(no_sleeper)

"""A libvirtd that dies, or hangs, under all that is open inside of a guest."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from eventually import consistently, eventually
from guest.media import build_guest, medium
from integration.libvirt.conftest import TIMING
from integration.libvirt.private_libvirtd import PrivateLibvirtd, private_libvirtd
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.timing import AgentTiming, ConsoleTiming
from proad.errors import EngineTimedOutError, EngineUnreachableError, ProaError
from proad.model import (
    CdromSpec,
    CommandSpec,
    CommandStreams,
    ConsoleOptions,
    DomainSpec,
    FileRead,
    FileWrite,
    GraphicsSpec,
    GraphicsType,
    Resource,
)

pytestmark = pytest.mark.libvirt

GENEROUS = 90
SOON = replace(
    TIMING,
    agent=AgentTiming(answer=timedelta(seconds=2), turn=timedelta(seconds=5)),
    console=ConsoleTiming(open=timedelta(seconds=3), write=timedelta(seconds=3)),
)
LARGE = 30_000_000


@pytest.fixture
def libvirtd() -> Iterator[PrivateLibvirtd]:
    build_guest()
    with private_libvirtd() as libvirtd:
        libvirtd.connected().close()
        yield libvirtd


@pytest.fixture
async def driver(libvirtd: PrivateLibvirtd) -> AsyncIterator[LibvirtDriver]:
    media = medium("guest.iso").parent
    async with LibvirtDriver(
        libvirtd.uri, virt_type="qemu", media_dirs=(str(media),), timing=SOON
    ) as driver:
        yield driver


def descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


async def sh(driver: LibvirtDriver, id: str, script: str) -> bytes:
    spec = CommandSpec(argv=("sh", "-c", script))
    async with driver.start_command(id, spec, CommandStreams()) as command:
        said = b"".join([output.data async for output in command.output()])
        await command.exit()
        return said


async def works(driver: LibvirtDriver, id: str) -> bool:
    try:
        return await sh(driver, id, "echo up") == b"up\n"
    except ProaError:
        return False


async def booted(driver: LibvirtDriver) -> Resource:
    spec = DomainSpec(
        name="proa-test",
        memory_bytes=192 * 2**20,
        cdroms=(CdromSpec(path=str(medium("guest.iso"))),),
        diskless=True,
        networkless=True,
        graphics=GraphicsSpec(type=GraphicsType.NONE),
    )
    made = await driver.create_domain(spec, start=True)
    await eventually(partial(works, driver, made.id), within=120)
    await sh(driver, made.id, f"head -c {LARGE} /dev/zero >/tmp/large")
    return made


async def drained(pieces: Any) -> None:
    async for _ in pieces:
        pass


async def all_said(running: Any) -> None:
    await drained(running.output())
    await running.exit()


Ends = dict[str, Callable[[], Awaitable[Any]]]


@asynccontextmanager
async def all_open(driver: LibvirtDriver, id: str) -> AsyncIterator[Ends]:
    """Give what ends with libvirtd, by name."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        silent = await enter(
            driver.start_command(id, CommandSpec(argv=("sleep", "1000")), CommandStreams())
        )
        loud = await enter(
            driver.start_command(
                id, CommandSpec(argv=("sh", "-c", "while echo x; do usleep 10000; done")), CommandStreams()
            )
        )
        console = await enter(driver.attach(id, ConsoleOptions()))
        writer = await enter(driver.write_file(id, FileWrite(path="/tmp/new", size_bytes=4)))
        await writer.write(b"data")
        reader = await enter(driver.read_file(id, FileRead(path="/tmp/large")))
        yield {
            "Exec": lambda: all_said(silent),
            "Exec with output": lambda: all_said(loud),
            "Attach": lambda: all_said(console),
            "WriteFile": writer.commit,
            "ReadFile": lambda: drained(reader.data()),
        }


def ways_in(driver: LibvirtDriver, id: str) -> dict[str, AbstractAsyncContextManager[Any]]:
    return {
        "Exec": driver.start_command(id, CommandSpec(argv=("true",)), CommandStreams()),
        "Attach": driver.attach(id, ConsoleOptions()),
        "ReadFile": driver.read_file(id, FileRead(path="/tmp/large")),
        "WriteFile": driver.write_file(id, FileWrite(path="/tmp/new", size_bytes=0)),
    }


async def explore(name: str, what: Awaitable[Any]) -> None:
    begin = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(GENEROUS):
            how: object = await what
    except TimeoutError:
        how = "HANGS"
    except Exception as error:
        how = error
    print(f"{name}: {how!r} after {asyncio.get_running_loop().time() - begin:.1f} s", flush=True)


async def left(driver: LibvirtDriver, id: str) -> bytes:
    return await sh(driver, id, "ps | grep -c '[s]leep 1000'; ps | grep -c '[e]cho x'; ls -d /tmp/.proa*; ls /tmp")


async def enter(way: Any) -> None:
    async with way:
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_explore(libvirtd: PrivateLibvirtd, driver: LibvirtDriver, number: signal.Signals):
    box = await booted(driver)
    async with all_open(driver, box.id):
        pass
    await asyncio.sleep(3)
    before, threads = descriptors(), threading.active_count()
    print("before", before, threads, await left(driver, box.id))
    async with all_open(driver, box.id) as ends:
        libvirtd.signal(number)
        await asyncio.gather(*(explore(name, end()) for name, end in ends.items()))
        begin = asyncio.get_running_loop().time()
    print("left the block after", asyncio.get_running_loop().time() - begin)
    await asyncio.gather(*(explore(f"way {name}", enter(way)) for name, way in ways_in(driver, box.id).items()))
    if number == signal.SIGKILL:
        libvirtd.start()
    else:
        libvirtd.signal(signal.SIGCONT)
    begin = asyncio.get_running_loop().time()
    await eventually(partial(works, driver, box.id), within=120)
    print("works again after", asyncio.get_running_loop().time() - begin)
    for _ in range(4):
        print(await left(driver, box.id), descriptors(), threading.active_count())
        await asyncio.sleep(4)

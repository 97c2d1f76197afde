"""A libvirtd that dies, or hangs, under all that is open inside of a guest."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from eventually import eventually, settled
from guest.media import build_guest, medium
from integration.libvirt.conftest import TIMING
from integration.libvirt.private_libvirtd import PrivateLibvirtd, private_libvirtd
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import EngineUnreachableError, ProaError
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
SPARE = 2  # connections of threads that had none so far
LARGE = 30_000_000
LOUD = "while echo x; do usleep 10000; done"


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
        libvirtd.uri, virt_type="qemu", media_dirs=(str(media),), timing=TIMING
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
            driver.start_command(id, CommandSpec(argv=("sh", "-c", LOUD)), CommandStreams())
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


async def refused(what: Awaitable[Any]) -> None:
    """Wait until libvirtd is found to be lost."""
    with pytest.raises(EngineUnreachableError):
        await asyncio.wait_for(what, GENEROUS)


async def enter(way: AbstractAsyncContextManager[Any]) -> None:
    async with way:
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_all_that_is_open_ends_with_a_libvirtd_that_is_killed_or_hangs(
    libvirtd: PrivateLibvirtd, driver: LibvirtDriver, number: signal.Signals
):
    guest = await booted(driver)
    async with all_open(driver, guest.id):
        pass
    await settled(descriptors, every=1)  # what is made once is there from now on
    before, threads = descriptors(), threading.active_count()
    async with asyncio.timeout(GENEROUS), all_open(driver, guest.id) as ends:
        libvirtd.signal(number)
        await asyncio.gather(*(refused(end()) for end in ends.values()))
    ways = ways_in(driver, guest.id).values()
    await asyncio.gather(*(refused(enter(way)) for way in ways))
    if number is signal.SIGKILL:
        libvirtd.start()
    else:
        libvirtd.signal(signal.SIGCONT)
    await eventually(partial(works, driver, guest.id), within=GENEROUS)
    for way in ways_in(driver, guest.id).values():
        async with asyncio.timeout(GENEROUS):
            await enter(way)
    await eventually(lambda: descriptors() <= before + SPARE)
    await eventually(lambda: threading.active_count() <= threads)

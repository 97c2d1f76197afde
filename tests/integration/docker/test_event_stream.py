"""The event stream: begin, end and loss."""

import asyncio
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path

import docker
import pytest

from event_queue import EventQueue
from eventually import consistently, eventually
from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import DEAF, IMAGE, Make
from proad.drivers.docker import DockerDriver
from proad.errors import EngineUnreachableError
from proad.model import ContainerSpec, ResourceState

pytestmark = pytest.mark.docker

RUNNING, PAUSED, STOPPED = ResourceState.RUNNING, ResourceState.PAUSED, ResourceState.STOPPED


def listeners() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "docker-events"]


async def no_listeners() -> bool:
    return not listeners()


async def test_subscribe_when_entered_reports_immediate_events(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    made = await make(*DEAF, start=False)
    for number in range(10):
        async with EventQueue.of(driver) as events:
            await asyncio.to_thread(raw.rename, made.id, f"{made.name}-{number}")
            async with asyncio.timeout(30):
                while (await anext(events)).id != made.id:
                    pass


async def test_subscribe_when_closed_idle_ends_listener(driver: DockerDriver):
    await eventually(no_listeners)  # of the tests before
    for _ in range(3):
        async with EventQueue.of(driver):
            await consistently(lambda: len(listeners()) == 1, during=0.1)
            started = time.monotonic()
        assert time.monotonic() - started < 2
        await eventually(no_listeners, every=0.01)


@pytest.mark.parametrize("url", ["unix:///proa-test/none.sock", "tcp://127.0.0.1:1"])
async def test_subscribe_without_engine_raises_unreachable(url: str):
    async with DockerDriver(url) as driver:
        with pytest.raises(EngineUnreachableError):
            async with EventQueue.of(driver):
                pass
    await eventually(no_listeners)


async def test_subscribe_when_stream_ends_cleanly_raises_unreachable(folder: Path):
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        body = b"" if b"/events" in request else b'{"ApiVersion":"1.41"}'
        head = (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, folder / "short.sock")
    async with (
        DockerDriver(f"unix://{folder}/short.sock") as driver,
        EventQueue.of(driver) as events,
    ):
        for _ in range(2):
            with pytest.raises(EngineUnreachableError, match="ended"):
                await anext(events)
    server.close()
    await server.wait_closed()


async def test_subscribe_when_engine_dies_or_hangs_raises_unreachable(engine: PrivateEngine):
    async with DockerDriver(engine.url, timeout=timedelta(seconds=10)) as driver:
        engine.start()
        await eventually(lambda: PrivateEngine.answers(driver), within=30)
        await engine.import_image()
        async with EventQueue.of(driver) as events:  # of an engine without containers
            engine.signal(signal.SIGKILL)
            started = time.monotonic()
            with pytest.raises(EngineUnreachableError):
                await anext(events)
            assert time.monotonic() - started < 10
        with pytest.raises(EngineUnreachableError):
            async with EventQueue.of(driver):
                pass

        engine.start()
        await eventually(lambda: PrivateEngine.answers(driver), within=30)
        async with EventQueue.of(driver) as events:
            made = (await driver.create_container(ContainerSpec(image=IMAGE))).resource
            async with asyncio.timeout(30):
                while (await anext(events)).id != made.id:
                    pass

            engine.signal(signal.SIGSTOP)
            reading = asyncio.ensure_future(anext(events))
            # Only a probe detects a frozen engine.
            await consistently(lambda: not reading.done(), during=0.3)
            reading.cancel()
            started = time.monotonic()
        assert time.monotonic() - started < 2
        await eventually(no_listeners, every=0.01)

        started = time.monotonic()
        with pytest.raises(EngineUnreachableError):
            async with EventQueue.of(driver):
                pass
        assert time.monotonic() - started < 10
        await eventually(no_listeners)
        engine.signal(signal.SIGCONT)
        await driver.delete(made.id)

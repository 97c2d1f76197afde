"""An engine that is absent, does not answer, dies and returns."""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from event_queue import EventQueue
from eventually import consistently, eventually
from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import IMAGE
from proad.drivers.docker import DockerDriver
from proad.errors import (
    CapabilityMissingError,
    EngineTimedOutError,
    EngineUnreachableError,
    InvalidArgumentError,
)
from proad.model import ContainerSpec, Footprint, StopMode, StopOptions

pytestmark = pytest.mark.docker

SOME_ID = "0" * 64
SECOND = timedelta(seconds=1)


@contextmanager
def deaf_listener(folder: Path) -> Iterator[str]:
    """A socket that accepts connections and never answers."""
    path = folder / "deaf.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(100)
        yield f"unix://{path}"


@asynccontextmanager
async def at_most(seconds: float) -> AsyncIterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


async def check_unreachable(driver: DockerDriver) -> None:
    for call in (
        driver.probe(),
        driver.list_resources(),
        driver.get_resource(SOME_ID),
        driver.start(SOME_ID),
        driver.stop(SOME_ID),
        driver.stop(SOME_ID, StopOptions(mode=StopMode.FORCE)),
        driver.pause(SOME_ID),
        driver.delete(SOME_ID),
        driver.list_images(),
        driver.get_image("x"),
        driver.layer_size(SOME_ID),
        driver.env_secrets(SOME_ID),
        anext(aiter(driver.pull_image("127.0.0.1:1/x"))),
    ):
        async with at_most(5):
            with pytest.raises(EngineUnreachableError) as caught:
                await call
        assert caught.value.metadata == {"engine": "docker"}
        assert "HTTPConnectionPool" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("unix:///proa-test/none.sock", "No such file"),
        ("tcp://127.0.0.1:1", "refused"),
    ],
)
async def test_calls_without_engine_raise_unreachable(url: str, text: str):
    async with DockerDriver(url) as driver:
        assert driver.endpoint == url
        await check_unreachable(driver)
        with pytest.raises(EngineUnreachableError, match=text):
            await driver.probe()


async def test_probe_with_stale_socket_raises_unreachable(folder: Path):
    path = folder / "stale.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    async with DockerDriver(f"unix://{path}") as driver:
        with pytest.raises(EngineUnreachableError, match="refused"):
            await driver.probe()


async def test_probe_with_non_docker_server_raises_unreachable(folder: Path):
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, folder / "other.sock")
    async with DockerDriver(f"unix://{folder}/other.sock") as driver:
        with pytest.raises(EngineUnreachableError, match="JSON"):
            await driver.probe()
    server.close()
    await server.wait_closed()


async def test_argument_checks_without_engine_raise_first(folder: Path):
    async with DockerDriver(f"unix://{folder}/none.sock") as driver:
        with pytest.raises(CapabilityMissingError):
            await driver.stop(SOME_ID, StopOptions(mode=StopMode.SAVE))
        with pytest.raises(InvalidArgumentError):
            await driver.get_image("..")


class TestHung:
    async def test_calls_on_hung_engine_time_out_within_threads(self, folder: Path):
        with deaf_listener(folder) as url:
            before = threading.active_count()
            async with DockerDriver(url, threads=2, timeout=SECOND) as driver:
                threads = threading.active_count()
                async with at_most(5):
                    calls = [driver.get_resource(SOME_ID) for _ in range(20)]
                    for error in await asyncio.gather(*calls, return_exceptions=True):
                        assert isinstance(error, EngineTimedOutError)
                assert threading.active_count() <= threads
                async with at_most(5):
                    with pytest.raises(EngineTimedOutError):
                        await driver.probe()

            async def threads_ended() -> bool:
                return threading.active_count() <= before

            await eventually(threads_ended)

    async def test_exit_with_hung_call_returns_soon(self, folder: Path):
        with deaf_listener(folder) as url:
            async with at_most(10):
                async with DockerDriver(url) as driver:
                    hung = asyncio.create_task(driver.list_resources())
                    await consistently(lambda: not hung.done(), during=0.1)
                hung.cancel()


async def test_calls_after_engine_restart_succeed(engine: PrivateEngine):
    async with DockerDriver(engine.url, timeout=timedelta(seconds=10)) as driver:
        engine.start()
        await eventually(lambda: PrivateEngine.answers(driver), within=30)
        await engine.import_image()
        made = (await driver.create_container(ContainerSpec(image=IMAGE))).resource
        # Fill the pool with connections, which are dead after the kill.
        await asyncio.gather(*(driver.get_resource(made.id) for _ in range(8)))

        engine.signal(signal.SIGKILL)
        await check_unreachable(driver)

        engine.start()
        await eventually(lambda: PrivateEngine.answers(driver), within=30)
        assert await driver.get_resource(made.id) == made
        again = await asyncio.gather(*(driver.get_resource(made.id) for _ in range(8)))
        assert again == [made] * 8

        # A create that timed out takes effect when the engine goes on; it is undone.
        async with (
            EventQueue.of(driver) as events,
            DockerDriver(engine.url, timeout=SECOND) as hasty,
        ):
            await hasty.probe()
            spec = ContainerSpec(image=IMAGE, name="proa-test-late")

            async def stop(_footprint: Footprint) -> None:
                engine.signal(signal.SIGSTOP)

            async with at_most(10):
                with pytest.raises(EngineTimedOutError):
                    # Called right before the engine is asked to create the container.
                    await hasty.create_container(spec, announce=stop)
            engine.signal(signal.SIGCONT)
            async with asyncio.timeout(60):
                while not (await anext(events)).removed:
                    pass
        assert [each.id for each in await driver.list_resources()] == [made.id]
        await driver.delete(made.id)

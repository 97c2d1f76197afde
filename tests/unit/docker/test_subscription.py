"""Which items of the engine's stream become events, and when."""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from event_queue import EventQueue
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.http.stream import Stream
from proad.drivers.docker.http.transport import Transport
from proad.drivers.docker.timing import DockerTiming, SubscriptionTiming
from proad.errors import EngineUnreachableError
from proad.model import (
    EngineEvent,
)
from unit.docker.scripted import ScriptedEngine, scripted

IDS = [f"{number:064x}" for number in range(1, 14)]
ID, OTHER = IDS[:2]
PATIENCE = 30.0  # seconds, for what takes milliseconds
SHORT = timedelta(seconds=0.05)
RECHECKED_THREE_TIMES = SubscriptionTiming(
    check=SHORT, recheck=SHORT, recheck_after=(timedelta(milliseconds=10),) * 3
)
RECHECKED_FOR_LONG = SubscriptionTiming(
    recheck=SHORT, recheck_after=(timedelta(milliseconds=10),) * 1000
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="proa-test-") as name:
        yield Path(name)


@pytest.fixture
def timing() -> SubscriptionTiming:
    return SubscriptionTiming()


@pytest.fixture
async def both(
    folder: Path, timing: SubscriptionTiming
) -> AsyncIterator[tuple[ScriptedEngine, DockerDriver]]:
    async with scripted(folder, timing=DockerTiming(subscription=timing)) as both:
        yield both


@pytest.fixture
def engine(both: tuple[ScriptedEngine, DockerDriver]) -> ScriptedEngine:
    return both[0]


@pytest.fixture
def driver(both: tuple[ScriptedEngine, DockerDriver]) -> DockerDriver:
    return both[1]


@pytest.fixture
async def events(driver: DockerDriver) -> AsyncIterator[AsyncIterator[EngineEvent]]:
    async with EventQueue.of(driver) as events:
        yield events


async def told(events: AsyncIterator[EngineEvent], id: str) -> list[str]:
    """Return the ids of the events up to one of this container."""
    ids: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while id not in ids:
            ids.append((await anext(events)).id)
    return ids


def inspects(engine: ScriptedEngine, id: str = ID) -> int:
    return engine.calls[f"GET /containers/{id}/json"]


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not what():  # noqa: ASYNC110 - neither socket nor task sets an asyncio.Event
            await asyncio.sleep(0.001)


async def asked(engine: ScriptedEngine, call: str) -> None:
    await until(lambda: engine.calls[call])


class TestLockedContainer:
    """Docker keeps a hung container locked, and does not answer an inspect of it."""

    @pytest.mark.parametrize("timing", [SubscriptionTiming(recheck=timedelta(minutes=1))])
    async def test_subscribe_with_many_locked_containers_publishes_events_of_others_at_once(
        self, engine, driver, events
    ):
        *hung, good = IDS
        engine.hung = set(hung)
        await engine.tell("pause", *hung)
        # Each event is published although its container stays locked.
        left = set(hung)
        async with asyncio.timeout(PATIENCE):
            while left:
                left.discard((await anext(events)).id)
        await until(lambda: sum(inspects(engine, id) for id in hung) > len(hung))  # later checks
        for action in ("pause", "unpause") * 3:
            await engine.tell(action, good)
            assert await told(events, good) == [good]

    @pytest.mark.parametrize("timing", [SubscriptionTiming(recheck=timedelta(minutes=1))])
    async def test_subscribe_when_the_lock_becomes_free_publishes_the_event_again(
        self, engine, driver, events
    ):
        engine.hung = {ID}
        await engine.tell("die", ID)
        assert await told(events, ID) == [ID]
        engine.go_on.set()
        async with asyncio.timeout(PATIENCE):
            assert await anext(events) == EngineEvent(id=ID, ended=True)

    @pytest.mark.parametrize("timing", [RECHECKED_THREE_TIMES])
    async def test_subscribe_when_the_lock_stays_taken_ends_the_checks(
        self, engine, driver, events
    ):
        engine.hung = {ID}
        await engine.tell("die", ID)
        assert await told(events, ID) == [ID]
        await until(lambda: not any("_unlocked" in repr(task) for task in asyncio.all_tasks()))
        assert inspects(engine) == 4

    @pytest.mark.parametrize("timing", [RECHECKED_FOR_LONG])
    async def test_subscribe_when_the_lock_becomes_free_late_publishes_the_event_again(
        self, engine, driver, events
    ):
        """A slow machine may take seconds to stop a container after the event."""
        engine.hung = {ID}
        await engine.tell("die", ID)
        assert await told(events, ID) == [ID]
        await until(lambda: inspects(engine) > 3)
        engine.go_on.set()
        async with asyncio.timeout(PATIENCE):
            assert await anext(events) == EngineEvent(id=ID, ended=True)


async def test_subscribe_under_a_storm_calls_on_event_once_for_each_event(engine, driver):
    events: list[EngineEvent] = []
    async with driver.subscribe(events.append):
        await engine.tell("start", *IDS * 50)
        await until(lambda: len(events) == len(IDS) * 50)
    assert [event.id for event in events] == IDS * 50


async def test_subscribe_when_the_stream_ends_fails_the_future(engine, driver):
    async with driver.subscribe(lambda _: None) as lost:
        engine.hang_up()
        with pytest.raises(EngineUnreachableError, match="ended"):
            async with asyncio.timeout(PATIENCE):
                await lost


@pytest.mark.parametrize("timing", [SubscriptionTiming(check=timedelta(minutes=1))])
async def test_subscribe_when_the_stream_ends_drops_events_that_wait_for_a_lock(engine, driver):
    events: list[EngineEvent] = []
    engine.hung = {ID}
    async with driver.subscribe(events.append) as lost:
        await engine.tell("die", ID)
        await until(lambda: inspects(engine))
        engine.hang_up()
        with pytest.raises(EngineUnreachableError, match="ended"):
            async with asyncio.timeout(PATIENCE):
                await lost
        engine.go_on.set()
        await until(lambda: not any("_unlocked" in repr(task) for task in asyncio.all_tasks()))
    assert events == []


async def test_stream_over_tcp_enables_keepalive():
    """Without keepalive, a router that drops the connection leaves it half open for ever."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        with suppress(asyncio.CancelledError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    limit = timedelta(seconds=PATIENCE)
    transport = Transport(
        f"tcp://127.0.0.1:{port}", cert_path=None, size=1, timeout=limit, connect_timeout=limit
    )
    stream = Stream()
    try:
        await asyncio.to_thread(stream.open, transport, "GET", "/events", {}, limit)
        stream.wait_for_ever()
        with socket.socket(fileno=stream.fileno()) as sock:
            seen = [
                sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                *(
                    sock.getsockopt(socket.IPPROTO_TCP, option)
                    for option in (
                        socket.TCP_KEEPIDLE,
                        socket.TCP_KEEPINTVL,
                        socket.TCP_KEEPCNT,
                    )
                ),
            ]
            sock.detach()
        assert seen == [1, 10, 5, 3]
        # The stream also works where the engine closes the connection after its answer.
        reading = asyncio.ensure_future(asyncio.to_thread(next, stream.lines, None))
        stream.hang_up()
        async with asyncio.timeout(PATIENCE):
            assert await reading is None
    finally:
        stream.close()
        transport.close()
        server.close()

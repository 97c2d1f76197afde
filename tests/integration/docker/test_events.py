"""Following the engine: what is told, when, and what becomes of a lost stream."""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import docker
import pytest

from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import DEAF, IMAGE, Make, eventually
from proad.drivers import own_events
from proad.drivers.docker import DockerDriver, subscription
from proad.drivers.docker.transport import Transport
from proad.errors import EngineUnreachableError, ResourceNotFoundError, StateError
from proad.model import ContainerSpec, EngineEvent, Resource, ResourceState, ResourceView

pytestmark = pytest.mark.docker

RUNNING, PAUSED, STOPPED = ResourceState.RUNNING, ResourceState.PAUSED, ResourceState.STOPPED
SETTLED = 0.4  # seconds after which no hint comes any more


def listeners() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "docker-events"]


async def no_listeners() -> bool:
    return not listeners()


class Watcher:
    """Reads a container again with each hint, as the inventory does."""

    def __init__(
        self, driver: DockerDriver, id: str, view: ResourceView = ResourceView.SUMMARY
    ) -> None:
        self._view = view
        self.events: list[EngineEvent] = []
        self.seen: list[Resource | None] = []
        self._driver = driver
        self._id = id

    async def follow(self, events: AsyncIterator[EngineEvent]) -> None:
        async for event in events:
            if event.id != self._id:
                continue
            self.events.append(event)
            try:
                found = await self._driver.get_resource(self._id, self._view)
            except ResourceNotFoundError:
                found = None
            self.seen.append(found)

    async def settled(
        self, such: Callable[[Resource | None], bool] = lambda _: True, *, after: int = 0
    ) -> Resource | None:
        """Wait until something such was read, after so much, and nothing more comes; give it."""

        async def come() -> bool:
            return len(self.seen) > after and such(self.seen[-1])

        try:
            await eventually(come, every=0.01)
        except TimeoutError:
            pytest.fail(f"heard {self.events}, read {self.seen}")
        await asyncio.sleep(SETTLED)
        assert such(self.seen[-1])
        return self.seen[-1]


@asynccontextmanager
async def watched(
    driver: DockerDriver, id: str, view: ResourceView = ResourceView.SUMMARY
) -> AsyncIterator[Watcher]:
    watcher = Watcher(driver, id, view)
    async with driver.subscribe() as events:
        following = asyncio.create_task(watcher.follow(events))
        await asyncio.sleep(SETTLED)  # what is told once more of the second before
        watcher.events.clear()
        watcher.seen.clear()
        yield watcher
        assert not following.done()
        following.cancel()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have hints wait for the list, however slow the machine is."""
    monkeypatch.setattr(subscription, "_FIRST_LOOK", timedelta(seconds=30))


@pytest.mark.usefixtures("patient")
async def test_a_life(driver: DockerDriver, make: Make, raw: docker.APIClient, token: str):
    """Whoever reads after the last hint reads how it is."""
    id = (await make(*DEAF, start=False)).id
    async with watched(driver, id) as watcher:

        async def leads_to(such, what, *args, **options) -> Resource | None:
            before = len(watcher.seen)
            await asyncio.to_thread(what, *args, **options)
            return await watcher.settled(such, after=before)

        await leads_to(lambda it: it.state is RUNNING, raw.start, id)
        await leads_to(lambda it: it.state is PAUSED, raw.pause, id)
        await leads_to(lambda it: it.state is RUNNING, raw.unpause, id)
        assert not any(event.reconfigured for event in watcher.events[-1:])
        await leads_to(lambda it: it.name == f"{token}-new", raw.rename, id, f"{token}-new")
        assert not watcher.events[-1].reconfigured
        await leads_to(
            lambda _: any(event.reconfigured for event in watcher.events),
            raw.update_container,
            id,
            cpu_shares=512,
        )
        ended = await leads_to(
            lambda it: it.state is STOPPED and any(event.ended for event in watcher.events),
            raw.kill,
            id,
        )
        assert ended.state_detail.exit_code == 137
        await leads_to(
            lambda it: it is None and watcher.events[-1].removed, raw.remove_container, id
        )
        assert [event.removed for event in watcher.events].count(True) == 1


@pytest.mark.usefixtures("patient")
async def test_the_list_shows_what_a_hint_is_about(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    """Docker tells of these before its list has them; the hint waits for the list."""
    id = (await make(*DEAF)).id
    async with watched(driver, id) as watcher:
        for what, state in ((raw.pause, PAUSED), (raw.unpause, RUNNING)) * 3:
            count = len(watcher.seen)
            await asyncio.to_thread(what, id)
            await watcher.settled(after=count)  # sooner, Docker takes its own pause for news
            assert {each.state for each in watcher.seen[count:]} == {state}
        for number in range(8):
            count, name = len(watcher.seen), f"{token}-{number}"
            await asyncio.to_thread(raw.rename, id, name)
            await watcher.settled(after=count)
            assert {each.name for each in watcher.seen[count:]} == {name}
        count = len(watcher.seen)
        await asyncio.to_thread(raw.kill, id)
        await watcher.settled(after=count)
        assert {each.state for each in watcher.seen[count:]} == {STOPPED}


async def test_our_own_pause_is_not_told_and_costs_one_call(
    driver: DockerDriver, make: Make, monkeypatch: pytest.MonkeyPatch
):
    id = (await make(*DEAF)).id
    calls: list[str] = []
    exchange = Transport.exchange

    def counting(self, method, target, **options):
        if id in target:  # others use this engine, too
            calls.append(f"{method} {target.partition('/containers/')[2]}")
        return exchange(self, method, target, **options)

    monkeypatch.setattr(own_events, "LATE", 60.0)  # the engine may be slow, at times
    async with watched(driver, id) as watcher:
        known = await driver.get_resource(id, ResourceView.SUMMARY)
        monkeypatch.setattr(Transport, "exchange", counting)
        for _ in range(3):
            known = await driver.pause(id, before=known)
            await asyncio.sleep(SETTLED)  # sooner, Docker takes its own pause for news
            known = await driver.resume(id, before=known)
            await asyncio.sleep(SETTLED)
        assert watcher.events == []
        assert calls == [f"POST {id}/{action}" for action in ("pause", "unpause")] * 3


async def test_what_our_own_pause_gives_is_what_is_listed(driver: DockerDriver, make: Make):
    id = (await make(*DEAF)).id
    known = await driver.get_resource(id, ResourceView.SUMMARY)
    for act, state in ((driver.pause, PAUSED), (driver.resume, RUNNING)):
        known = await act(id, before=known)
        assert known.state is state

        async def listed(known: Resource = known) -> bool:
            return known in await driver.list_resources()

        await eventually(listed)


async def test_somebody_else_may_undo_our_pause_at_once(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    id = (await make(*DEAF)).id
    async with watched(driver, id) as watcher:
        known = await driver.get_resource(id, ResourceView.SUMMARY)
        for count in range(1, 6):
            assert (await driver.pause(id, before=known)).state is PAUSED
            await asyncio.to_thread(raw.unpause, id)

            async def told(count: int = count) -> bool:
                return len(watcher.seen) >= count

            await eventually(told)
            await asyncio.sleep(SETTLED)
            assert watcher.seen[-1].state is RUNNING


async def test_a_pause_that_comes_too_late_tells_of_the_other_one(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    """Of two at once, one is done and the other refused: the reader hears or is told."""
    id = (await make(*DEAF)).id
    async with watched(driver, id) as watcher:
        known = await driver.get_resource(id, ResourceView.SUMMARY)
        for _ in range(5):
            watcher.seen.clear()
            ours, _theirs = await asyncio.gather(
                driver.pause(id, before=known),
                asyncio.to_thread(raw.pause, id),
                return_exceptions=True,
            )
            if isinstance(ours, StateError):

                async def told() -> bool:
                    return bool(watcher.seen)

                await eventually(told)
                assert watcher.seen[-1].state is PAUSED
            else:
                assert ours.state is PAUSED
            await asyncio.to_thread(raw.unpause, id)
            await asyncio.sleep(SETTLED)


async def test_networks(driver: DockerDriver, make: Make, raw: docker.APIClient, token: str):
    made = await make(*DEAF, networks=())
    network = raw.create_network(token)["Id"]
    try:
        async with watched(driver, made.id) as watcher:

            def on(*names: str) -> Callable[[Resource | None], bool]:
                return lambda it: [each.network for each in it.container.networks] == sorted(names)

            await asyncio.to_thread(raw.connect_container_to_network, made.id, network)
            await watcher.settled(on("bridge", token))
            await asyncio.to_thread(raw.disconnect_container_from_network, made.id, network)
            await watcher.settled(on("bridge"))
    finally:
        raw.remove_container(made.id, force=True)
        raw.remove_network(network)


async def test_nothing_is_told_of_what_changes_nothing(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    made = await make(*DEAF)
    async with watched(driver, made.id) as watcher:

        def look_around() -> None:
            raw.exec_start(raw.exec_create(made.id, ["true"])["Id"])
            raw.top(made.id)
            list(raw.get_archive(made.id, "/etc")[0])
            raw.kill(made.id, "SIGWINCH")

        await asyncio.to_thread(look_around)
        await asyncio.sleep(SETTLED)
        assert watcher.events == []


async def test_health(driver: DockerDriver, raw: docker.APIClient, token: str):
    """The full view may be kept until the next hint: health and failed starts have hints."""
    check = {"test": ["CMD", "true"], "interval": 10**9}
    made = raw.create_container(IMAGE, list(DEAF), name=token, healthcheck=check)
    try:
        async with watched(driver, made["Id"], ResourceView.FULL) as watcher:
            await asyncio.to_thread(raw.start, made["Id"])
            await watcher.settled(lambda it: it.container.health == "HEALTHY")
            assert any(event.reconfigured for event in watcher.events)
    finally:
        raw.remove_container(made["Id"], force=True)


async def test_a_start_that_fails(driver: DockerDriver, make: Make, raw: docker.APIClient):
    made = await make("no-such-command", start=False)
    async with watched(driver, made.id) as watcher:
        with pytest.raises(docker.errors.APIError):
            await asyncio.to_thread(raw.start, made.id)
        await watcher.settled()
        assert (await driver.get_resource(made.id)).state_detail.message


async def test_a_slow_reader_gets_one_hint_for_all(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    made = await make(*DEAF)
    async with driver.subscribe() as events, watched(driver, made.id) as other:

        def churn() -> None:
            for number in range(8):
                raw.rename(made.id, f"{made.name}-{number}")
            raw.restart(made.id, timeout=0)
            raw.pause(made.id)

        await asyncio.to_thread(churn)
        await other.settled(lambda it: it.state is PAUSED)  # by then all of it has come
        watcher = Watcher(driver, made.id)
        reading = asyncio.create_task(watcher.follow(events))
        await asyncio.sleep(0.2)
        reading.cancel()
        assert watcher.events == [EngineEvent(id=made.id, ended=True, reconfigured=True)]


async def test_all_of_a_crowd_are_told(driver: DockerDriver, make: Make, raw: docker.APIClient):
    """More events than Docker remembers come while the event loop does nothing else."""
    made = [await make(*DEAF, start=False) for _ in range(5)]
    async with driver.subscribe() as events:
        for _ in range(30):
            for each in made:
                raw.rename(each.id, f"{each.name}-x")
                raw.rename(each.id, each.name)
        found: set[str] = set()
        async with asyncio.timeout(30):
            while not found >= {each.id for each in made}:
                found.add((await anext(events)).id)


async def test_what_comes_right_after_entering_is_told(driver: DockerDriver, make: Make):
    made = await make(*DEAF, start=False)
    for number in range(10):
        async with driver.subscribe() as events:
            await driver._engine.post(
                f"/containers/{made.id}/rename", params={"name": f"{made.name}-{number}"}
            )
            async with asyncio.timeout(30):
                while (await anext(events)).id != made.id:
                    pass


async def test_closing_works_while_nothing_comes(driver: DockerDriver):
    await eventually(no_listeners)  # of the tests before
    for _ in range(3):
        async with driver.subscribe():
            assert len(listeners()) == 1
            await asyncio.sleep(0.1)
            started = time.monotonic()
        assert time.monotonic() - started < 2
        await eventually(no_listeners, every=0.01)


@pytest.mark.parametrize("url", ["unix:///proa-test/none.sock", "tcp://127.0.0.1:1"])
async def test_nobody_there(url: str):
    async with DockerDriver(url) as driver:
        with pytest.raises(EngineUnreachableError):
            async with driver.subscribe():
                pass
    await eventually(no_listeners)


async def test_a_stream_that_ends_well_is_lost_as_well(folder: Path):
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
        driver.subscribe() as events,
    ):
        for _ in range(2):
            with pytest.raises(EngineUnreachableError, match="ended"):
                await anext(events)
    server.close()
    await server.wait_closed()


async def test_dies_hangs_and_comes_back(engine: PrivateEngine):
    async with DockerDriver(engine.url, timeout=timedelta(seconds=10)) as driver:
        engine.start()
        await eventually(lambda: PrivateEngine.answers(driver), within=30)
        await engine.import_image()
        async with driver.subscribe() as events:  # of an engine without containers
            engine.signal(signal.SIGKILL)
            started = time.monotonic()
            with pytest.raises(EngineUnreachableError):
                await anext(events)
            assert time.monotonic() - started < 10
        with pytest.raises(EngineUnreachableError):
            async with driver.subscribe():
                pass

        engine.start()
        await eventually(lambda: PrivateEngine.answers(driver), within=30)
        async with driver.subscribe() as events:
            made = (await driver.create_container(ContainerSpec(image=IMAGE))).resource
            async with asyncio.timeout(30):
                while (await anext(events)).id != made.id:
                    pass

            engine.signal(signal.SIGSTOP)
            reading = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.3)
            assert not reading.done()  # nobody notices, but for the probe
            reading.cancel()
            started = time.monotonic()
        assert time.monotonic() - started < 2
        await eventually(no_listeners, every=0.01)

        started = time.monotonic()
        with pytest.raises(EngineUnreachableError):
            async with driver.subscribe():
                pass
        assert time.monotonic() - started < 10
        await eventually(no_listeners)
        engine.signal(signal.SIGCONT)
        await driver.delete(made.id)

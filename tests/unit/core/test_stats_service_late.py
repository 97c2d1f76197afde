"""Streams that begin late, have long intervals, or wait for a slow engine."""

import asyncio
import gc
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime, timedelta

import pytest

from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.resolver import Resolver
from proad.core.stats_service import StatsService, StatsStreamTiming
from proad.errors import EngineTimedOutError
from proad.model import ResourceKind, ResourceStats
from unit.core.inventory.scripted import Scripted, box, linked, until

OFTEN, SELDOM = timedelta(seconds=0.05), timedelta(hours=1)


class Slow(Scripted):
    """Answers a request for samples once `open` is set."""

    def __init__(self, *resources):
        super().__init__(*resources)
        self.samples = []
        self.open = asyncio.Event()
        self.open.set()

    async def stats(self, ids):
        self.samples.append(set(ids))
        await self.open.wait()
        return {id: sample(id) for id in ids}


def sample(id):
    return ResourceStats(
        id=id,
        kind=ResourceKind.CONTAINER,
        sample_time=datetime.now(UTC),
        cpu_time=timedelta(0),
    )


@pytest.fixture
def engine():
    return Slow(box("1", "a"), box("2", "b"))


@pytest.fixture
def far():
    return Slow(box("9", "far"))


@pytest.fixture
def timing():
    return StatsStreamTiming(sample_age=0.02, first_patience=1.0)


@pytest.fixture
async def listen(engine, far, timing):
    """Begin to listen; every listener's answer is asked for with `anext`."""
    connections = [await linked(engine), await linked(far, "far")]
    inventory = Inventory(connections)
    hosts = Hosts(["local", "far"], connections)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(inventory.following())
        measured = StatsService(hosts, Resolver(hosts, inventory), inventory, timing)

        async def begin(*refs, interval):
            return await stack.enter_async_context(aclosing(measured.stream(refs, interval)))

        yield begin


async def names(stream):
    async with asyncio.timeout(30):
        return {one.name for one in (await anext(stream)).stats}


@pytest.mark.parametrize("timing", [StatsStreamTiming(sample_age=0.02, first_patience=30)])
async def test_stream_sample_under_way_waits_for_its_own(engine, listen):
    engine.open.clear()
    first = asyncio.ensure_future(names(await listen("a", interval=OFTEN)))
    await until(lambda: engine.samples)
    second = asyncio.ensure_future(names(await listen("b", interval=SELDOM)))
    for _ in range(5):
        await asyncio.sleep(0)
    engine.open.set()

    assert await first == {"a"}
    assert await second == {"b"}


async def test_stream_long_interval_is_sampled_as_rarely(engine, listen):
    seldom = await listen("a", interval=SELDOM)
    assert await names(seldom) == {"a"}
    second = asyncio.ensure_future(names(seldom))
    often = await listen("b", interval=OFTEN)
    for _ in range(20):
        await names(often)

    assert engine.samples[0] == {"1"}
    assert set(map(frozenset, engine.samples[1:])) == {frozenset({"2"})}
    second.cancel()
    await asyncio.wait({second})


async def test_stream_late_sample_is_yielded_when_it_comes(engine, listen):
    engine.open.clear()
    stream = await listen(interval=SELDOM)

    assert await names(stream) == {"far"}
    engine.open.set()
    assert await names(stream) == {"a", "b"}


async def test_stream_sample_fails_at_first_is_yielded_when_it_comes(engine, listen):
    stats = engine.stats

    async def fail(ids):
        raise EngineTimedOutError(engine.name)

    engine.stats = fail
    stream = await listen("a", interval=SELDOM)

    assert await names(stream) == set()
    engine.stats = stats
    assert await names(stream) == {"a"}


async def test_stream_engine_hangs_is_asked_once(engine, far, listen):
    engine.open.clear()
    stream = await listen(interval=OFTEN)
    for _ in range(4):
        await names(stream)

    assert len(engine.samples) == 1
    assert len(far.samples) > 1


async def test_stream_cancelled_during_a_sample_logs_nothing(engine, listen):
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    engine.open.clear()
    stream = await listen(interval=OFTEN)
    listening = asyncio.ensure_future(anext(stream))
    await until(lambda: engine.samples)

    listening.cancel()
    await asyncio.wait({listening})
    del listening
    await stream.aclose()
    await asyncio.sleep(0)
    gc.collect()
    await asyncio.sleep(0)

    assert complaints == []

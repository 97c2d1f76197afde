"""Samples: one for all who listen, and what they are completed with."""

import asyncio
import gc
from collections import Counter
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.resolver import Resolver
from proad.core.stats_service import StatsService, StatsStreamTiming
from proad.errors import (
    CapabilityMissingError,
    EngineTimedOutError,
    EngineUnreachableError,
    ResourceNotFoundError,
    ShuttingDownError,
)
from proad.model import MissingSampleReason, ResourceKind, ResourceState, ResourceStats
from unit.core.inventory.scripted import Scripted, box, linked, quiet

S = ResourceState
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SHORT = timedelta(seconds=0.03)
SAMPLE_AGE = 0.03


class Measured(Scripted):
    """Each sample is a second after the one before, with half a second of CPU time used."""

    def __init__(self, *resources):
        super().__init__(*resources)
        self.samples = []
        self.cpu: Counter[str] = Counter()
        self.hung = False
        self.asked_for_stats = asyncio.Event()

    async def stats(self, ids):
        self._reach()
        self.asked_for_stats.set()
        if self.hung:
            await asyncio.Event().wait()
        self.samples.append(set(ids))
        time = NOON + timedelta(seconds=len(self.samples))
        self.cpu.update(ids)
        return {id: sample(id, time, self.cpu[id] / 2) for id in ids}


def sample(id, time, cpu):
    return ResourceStats(
        id=id, kind=ResourceKind.CONTAINER, sample_time=time, cpu_time=timedelta(seconds=cpu)
    )


@pytest.fixture
def engine():
    return Measured(box("1", "a"), box("2", "b"), box("3", "idle", S.STOPPED))


@pytest.fixture
async def connection(engine):
    return await linked(engine)


@pytest.fixture
async def measure(connection):
    """Make a StatsService of the engine and of others."""
    async with AsyncExitStack() as stack:

        async def start(*others, first_patience=2.5):
            timing = StatsStreamTiming(sample_age=SAMPLE_AGE, first_patience=first_patience)
            connections = [connection, *others]
            inventory = Inventory(connections)
            await stack.enter_async_context(inventory.following())
            hosts = Hosts([each.ref.host for each in connections], connections)
            made: Any = StatsService(hosts, Resolver(hosts, inventory), inventory, timing)
            made.inventory = inventory
            return made

        yield start


async def first(measured, *refs, number=1, interval=SHORT):
    """The first batches of a stream that are not empty."""
    batches = []
    async with asyncio.timeout(30), aclosing(measured.stream(refs, interval)) as stream:
        async for batch in stream:
            if batch.stats:
                batches.append(batch.stats)
            if len(batches) == number:
                return batches
    raise AssertionError("it ended")


async def test_stream_nothing_named_samples_all_active(measure, connection):
    (batch,) = await first(await measure())

    assert {(s.id, s.name, s.engine.host) for s in batch} == {
        ("1", "a", "local"),
        ("2", "b", "local"),
    }


async def test_stream_one_named_samples_only_that(measure, engine):
    (batch,) = await first(await measure(), "a")

    assert [s.name for s in batch] == ["a"]
    assert all(ids <= {"1"} for ids in engine.samples)


async def test_cpu_percent_is_of_one_processor_and_absent_at_first(measure):
    one, two, three = await first(await measure(), "a", number=3)

    assert [batch[0].cpu_percent for batch in (one, two, three)] == [None, 50.0, 50.0]


async def test_cpu_percent_resource_restarted_is_absent(measure, engine):
    measured = await measure()
    async with aclosing(measured.stream(["a"], SHORT)) as stream:
        assert (await anext(stream)).stats[0].cpu_percent is None
        engine.cpu["1"] = -5
        batches = [batch async for batch in _some(stream, 3)]

    percents = [batch[0].cpu_percent for batch in batches if batch]
    assert percents[0] is None
    assert percents[1:] == [50.0] * len(percents[1:])


async def to_the_end(stream):
    async for _batch in stream:
        pass


async def _some(stream, number):
    for _ in range(number):
        yield (await anext(stream)).stats


async def test_stream_many_listeners_are_sampled_once_for_all(measure, engine):
    measured = await measure()
    begun = asyncio.get_running_loop().time()
    await asyncio.gather(*(first(measured, "a", number=5) for _ in range(50)))
    passed = asyncio.get_running_loop().time() - begun

    assert len(engine.samples) <= passed / SAMPLE_AGE + 2
    assert set(map(frozenset, engine.samples)) == {frozenset({"1"})}


async def test_stream_each_sample_is_yielded_once(measure):
    batches = await first(await measure(), "a", number=5, interval=timedelta(seconds=0.005))

    times = [s.sample_time for batch in batches for s in batch]
    assert times == sorted(set(times))


async def test_stream_two_requests_at_once_are_sampled_together(measure, engine):
    measured = await measure()

    async def last(*refs):
        return (await first(measured, *refs, number=4))[-1]

    named, everything = await asyncio.gather(last("b"), last())

    assert {s.name for s in named} == {"b"}
    assert {s.name for s in everything} == {"a", "b"}


async def test_sampler_nobody_listens_does_not_sample(measure, engine):
    measured = await measure()
    await first(measured)
    engine.asked_for_stats.clear()

    # A sample may have been under way; after that none comes for several sample ages.
    async def silent():
        engine.asked_for_stats.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(engine.asked_for_stats.wait(), 5 * SAMPLE_AGE)
        return not engine.asked_for_stats.is_set()

    assert await silent() or await silent()
    await first(measured)
    assert engine.asked_for_stats.is_set()


async def test_stream_named_resource_not_active_is_missing_until_it_runs(measure, engine):
    measured = await measure()
    async with aclosing(measured.stream(["idle"], SHORT)) as stream:
        batch = await anext(stream)
        assert (batch.stats, engine.samples) == ((), [])
        (lack,) = batch.missing
        assert (lack.id, lack.kind, lack.name) == ("3", ResourceKind.CONTAINER, "idle")
        assert (lack.engine.host, lack.reason) == ("local", MissingSampleReason.NOT_ACTIVE)
        assert "STOPPED" in lack.message
        engine.put(box("3", "idle", S.RUNNING))
        async with asyncio.timeout(30):
            while not (batch := await anext(stream)).stats:
                pass

    assert (batch.stats[0].name, batch.missing) == ("idle", ())


@pytest.mark.parametrize("refs", [["a", "b", "idle"], []])
async def test_stream_driver_returns_no_sample_is_missing(measure, engine, refs):
    """Whether it was named or not; of all, what does not run is none."""
    stats = engine.stats

    async def of_one(ids):
        return {id: one for id, one in (await stats(ids)).items() if id == "1"}

    engine.stats = of_one
    measured = await measure()
    async with asyncio.timeout(30), aclosing(measured.stream(refs, SHORT)) as stream:
        while not (batch := await anext(stream)).stats:
            pass

    assert [sample.name for sample in batch.stats] == ["a"]
    told = {lack.name: lack.reason for lack in batch.missing}
    assert told.pop("idle", None) is (MissingSampleReason.NOT_ACTIVE if refs else None)
    assert told == {"b": MissingSampleReason.NOT_TOLD}


@pytest.mark.parametrize("refs", [["a"], []])
async def test_stream_driver_fails_reports_why(measure, engine, refs):
    async def fail(_ids):
        raise EngineTimedOutError("docker", "its stats")

    engine.stats = fail
    measured = await measure(first_patience=0.05)
    async with asyncio.timeout(30), aclosing(measured.stream(refs, SHORT)) as stream:
        while not (batch := await anext(stream)).missing:
            assert batch.stats == ()

    assert {lack.name for lack in batch.missing} == ({"a"} if refs else {"a", "b"})
    assert {lack.reason for lack in batch.missing} == {MissingSampleReason.NOT_TOLD}
    assert "its stats" in batch.missing[0].message


async def test_stream_named_resource_goes_raises_not_found(measure, engine):
    measured = await measure()
    async with aclosing(measured.stream(["a"], SHORT)) as stream:
        assert (await anext(stream)).stats
        engine.take("1")
        with pytest.raises(ResourceNotFoundError):
            await asyncio.wait_for(to_the_end(stream), 30)


async def test_stream_unnamed_resource_goes_is_left_out_and_forgotten(measure, engine):
    measured = await measure()
    async with aclosing(measured.stream([], SHORT)) as stream:
        await anext(stream)
        engine.take("1")
        await quiet(measured.inventory)
        await anext(stream)
        batches = [batch async for batch in _some(stream, 4)]
        gc.collect()
        kept = {each.id for each in gc.get_objects() if isinstance(each, ResourceStats)}

    assert {s.name for batch in batches for s in batch} == {"b"}
    assert kept == {"2"}  # nothing is kept of the resource that has gone


async def test_stream_unknown_resource_raises_not_found(measure):
    with pytest.raises(ResourceNotFoundError):
        await first(await measure(), "a", "nope")


async def test_stream_named_engine_lost_raises_unreachable(measure, engine, connection):
    measured = await measure()
    async with aclosing(measured.stream(["a"], SHORT)) as stream:
        assert (await anext(stream)).stats
        engine.lost = True
        await connection.probe()
        with pytest.raises(EngineUnreachableError):
            await asyncio.wait_for(to_the_end(stream), 30)


async def test_stream_nothing_named_goes_on_without_a_lost_engine(measure, engine, connection):
    other = await linked(Measured(box("9", "far")), "far")
    measured = await measure(other)
    async with aclosing(measured.stream([], SHORT)) as stream:
        await anext(stream)
        engine.lost = True
        await connection.probe()
        await anext(stream)
        batches = [batch async for batch in _some(stream, 4)]
        assert {s.engine.host for batch in batches for s in batch} == {"far"}
        engine.lost = False
        await connection.probe()
        async with asyncio.timeout(30):
            while not {s.engine.host for s in (await anext(stream)).stats} >= {"local"}:
                pass


async def test_stream_one_engine_hangs_yields_the_other(measure, engine):
    engine.hung = True
    far = await linked(Measured(box("9", "far")), "far")
    measured = await measure(far, first_patience=0.2)

    (batch,) = await first(measured)

    assert [s.name for s in batch] == ["far"]


@pytest.mark.parametrize("error", [EngineTimedOutError("scripted"), ZeroDivisionError()])
async def test_stream_sample_fails_is_tried_again(measure, engine, error):
    failures = [error, error]
    stats = engine.stats

    async def fail(ids):
        if failures:
            raise failures.pop()
        return await stats(ids)

    engine.stats = fail

    assert [s.name for s in (await first(await measure(), "a"))[0]] == ["a"]


async def test_stream_engine_without_stats_raises_capability_missing(connection):
    silent = await linked(Scripted(box()), "far")
    inventory = Inventory([silent])
    hosts = Hosts(["far"], [silent])
    measured = StatsService(hosts, Resolver(hosts, inventory), inventory)

    async with inventory.following():
        for refs in ((), ("web",)):
            with pytest.raises(CapabilityMissingError):
                await first(measured, *refs)


async def test_close_ends_all_streams(measure):
    measured = await measure()
    streams = [measured.stream([], timedelta(hours=1)) for _ in range(3)]
    for stream in streams:
        await anext(stream)
    waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await asyncio.sleep(0)

    measured.close()

    for wait in waiting:
        with pytest.raises(ShuttingDownError):
            await asyncio.wait_for(wait, 1)


async def test_stream_resource_renamed_yields_the_new_name(measure, engine):
    measured = await measure()
    async with aclosing(measured.stream(["a"], SHORT)) as stream:
        await anext(stream)
        engine.put(replace(engine.there["1"], name="new"))
        await quiet(measured.inventory)
        batches = [batch async for batch in _some(stream, 3)]

    assert {s.name for batch in batches for s in batch} == {"new"}

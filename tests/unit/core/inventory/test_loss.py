"""Engines and streams that are lost, and come back."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from proad.core.inventory import Inventory, InventoryTiming, watch
from proad.errors import EngineTimedOutError, EngineUnreachableError
from proad.model import GapKind, ResourceFilter, ResourceState
from unit.core.inventory.scripted import Gate, Scripted, box, linked, quiet, until

S = ResourceState
LOST, RESYNCED = GapKind.ENGINE_LOST, GapKind.ENGINE_RESYNCED


def told(inventory):
    """Gaps and changes in the order of the journal."""
    return [
        entry.gap.kind if hasattr(entry, "gap") else (entry.after or entry.before).name
        for entry in inventory.journal.after(0, 10_000)
    ]


async def lose(engine, connection):
    engine.lost = True
    await connection.probe()


async def come_back(engine, connection):
    engine.lost = False
    await connection.probe()


async def test_a_broken_stream_is_a_gap_and_a_new_list(engine, connection, follow):
    engine.put(box("1", "a"))
    engine.put(box("2", "b"))
    inventory = await follow()

    engine.put(box("1", "a", S.STOPPED), tell=False)
    engine.take("2", tell=False)
    engine.put(box("3", "c"), tell=False)
    engine.break_streams()

    await until(lambda: RESYNCED in told(inventory))
    first, *between, last = told(inventory)[2:]
    assert (first, last) == (LOST, RESYNCED)
    assert sorted(between) == ["a", "b", "c"]
    assert inventory.synced(connection)
    assert {r.name: r.state for r in inventory.all(connection)} == {"a": S.STOPPED, "c": S.RUNNING}


@pytest.mark.parametrize(
    "error",
    [EngineUnreachableError("scripted", "x"), EngineTimedOutError("scripted"), ZeroDivisionError()],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_ends_the_stream_is_a_loss(engine, connection, follow, error):
    inventory = await follow()

    engine.break_streams(error)

    await until(lambda: told(inventory) == [LOST, RESYNCED])
    assert engine.followers == 1


async def test_a_stream_that_ends_without_a_word_is_a_loss(engine, connection, follow):
    engine.break_streams(StopAsyncIteration())

    inventory = await follow()
    engine.break_streams(StopAsyncIteration())

    await until(lambda: told(inventory) == [LOST, RESYNCED])


async def test_a_lost_engine_is_let_go_and_read_anew(engine, connection, follow):
    """Its stream is silent: only the probe knows."""
    engine.put(box())
    inventory = await follow()

    await lose(engine, connection)
    await until(lambda: told(inventory)[1:] == [LOST])
    assert not inventory.synced(connection)
    assert engine.followers == 0
    asked = engine.asked.total()
    await asyncio.sleep(0.1)
    assert engine.asked.total() == asked  # nobody hammers on what is gone

    await come_back(engine, connection)
    await until(lambda: told(inventory)[1:] == [LOST, RESYNCED])
    assert inventory.synced(connection)
    assert engine.followers == 1


async def test_a_stop_and_go_is_told_each_time(engine, connection, follow):
    inventory = await follow()

    for _ in range(5):
        before = len(told(inventory))
        engine.break_streams()
        await until(lambda before=before: len(told(inventory)) == before + 2)

    assert told(inventory) == [LOST, RESYNCED] * 5


class BackOff(Sequence):
    """No back-off in four steps, with the steps that were taken."""

    def __init__(self):
        self.taken = []

    def __len__(self):
        return 4

    def __getitem__(self, step):
        self.taken.append(step)
        return 0.0


@pytest.mark.parametrize(
    ("steady_after", "expected"), [(3600, [0, 1, 2, 3, 3, 3]), (0, [0] * 6)], ids=["soon", "late"]
)
async def test_reflector_whose_stream_is_cut_each_time_backs_off_unless_it_was_steady(
    engine, follow, steady_after, expected
):
    """Each time costs the engine a full list and every watcher two gaps."""
    back_off = BackOff()
    inventory = await follow(back_off=back_off, steady_after=steady_after)

    for number in range(1, 7):
        engine.break_streams()
        await until(lambda number=number: told(inventory) == [LOST, RESYNCED] * number)

    assert back_off.taken == expected


async def test_a_reader_waits_for_the_new_list(engine, connection, follow):
    engine.put(box())
    inventory = await follow()
    gate = engine.before = Gate("list")
    engine.take("1", tell=False)
    engine.break_streams()
    await gate.reached.wait()

    ready = asyncio.ensure_future(inventory.ready(connection))
    await asyncio.sleep(0.02)
    assert not ready.done()
    gate.open.set()
    await ready

    assert list(inventory.all(connection)) == []


async def test_a_reader_of_what_is_lost_is_refused(engine, connection, follow):
    inventory = await follow()
    gate = engine.before = Gate("list")
    engine.break_streams()
    await gate.reached.wait()
    ready = asyncio.ensure_future(inventory.ready(connection))
    await asyncio.sleep(0.01)

    await lose(engine, connection)

    for reading in (ready, inventory.ready(connection)):
        with pytest.raises(EngineUnreachableError):
            await asyncio.wait_for(reading, 1)


async def test_a_list_that_never_comes_is_not_waited_for_for_ever(engine, connection, follow):
    inventory = await follow(ready_within=0.05)
    gate = engine.before = Gate("list")
    engine.break_streams()
    await gate.reached.wait()

    with pytest.raises(EngineUnreachableError):
        await asyncio.wait_for(inventory.ready(connection), 1)


async def test_a_look_at_what_is_lost_is_refused_at_once(engine, connection, follow):
    engine.put(box())
    inventory = await follow()
    gate = engine.before = Gate()
    refresh = asyncio.ensure_future(inventory.refresh(connection, "1"))
    await gate.reached.wait()

    await lose(engine, connection)

    with pytest.raises(EngineUnreachableError):
        await asyncio.wait_for(refresh, 1)
    with pytest.raises(EngineUnreachableError):
        await asyncio.wait_for(inventory.refresh(connection, "1"), 1)


async def test_looks_that_were_lost_are_made_up_for(engine, connection, follow):
    engine.put(box())
    inventory = await follow()
    gate = engine.before = Gate()
    engine.put(box(state=S.STOPPED))
    await gate.reached.wait()
    await lose(engine, connection)
    await until(lambda: told(inventory)[1:] == [LOST])
    engine.before = Gate("none")

    await come_back(engine, connection)

    await until(lambda: told(inventory)[-1] == RESYNCED)
    await quiet(inventory)
    assert inventory.entry(connection, "1").published.state == S.STOPPED


@pytest.fixture
async def late(engine):
    """The link of an engine that is not there when the daemon begins."""
    engine.lost = True
    engine.put(box())
    return await linked(engine)


async def test_an_engine_that_is_not_there_at_first_is_no_gap_if_nobody_watched(engine, late):
    inventory = Inventory([late])

    async with inventory.following():
        assert not inventory.synced(late)
        await come_back(engine, late)
        await until(lambda: inventory.synced(late))

    assert told(inventory) == ["web"]


async def test_who_began_without_an_engine_is_told_when_all_of_it_is_known(engine, late):
    """Who had its resources from an earlier run of the daemon now knows which are gone."""
    inventory = Inventory([late])

    async with inventory.following():
        batches = watch(inventory, ResourceFilter(), [late], heartbeat=timedelta(minutes=5))
        (_, gap), (_, synced) = (await anext(batches)).events
        assert (gap.gap.kind, synced.bookmark.synced) == (LOST, True)
        await come_back(engine, late)
        await until(lambda: inventory.synced(late))
        engine.break_streams()
        await until(lambda: len(told(inventory)) == 4)

    assert told(inventory) == ["web", RESYNCED, LOST, RESYNCED]


async def test_who_begins_while_it_is_first_read_is_told_when_that_is_done(engine, connection):
    """It answers, but what it has is not known yet."""
    gate = engine.before = Gate("list")
    inventory = Inventory([connection])
    batches = watch(inventory, ResourceFilter(), [connection], heartbeat=timedelta(minutes=5))
    async with AsyncExitStack() as stack:
        following = asyncio.create_task(stack.enter_async_context(inventory.following()))
        await gate.reached.wait()
        await anext(batches)

        gate.open.set()

        await until(lambda: told(inventory) == [RESYNCED])
        await following


async def test_one_that_hangs_at_the_start_does_not_hold_up_the_rest(engine, connection):
    engine.before = Gate("list")
    good = await linked(Scripted(box()), "far")
    # Long enough for the other one to be read.
    inventory = Inventory([connection, good], timing=InventoryTiming(ready_within=1.0))

    async with asyncio.timeout(30), inventory.following():
        assert inventory.synced(good)
        assert not inventory.synced(connection)


async def test_one_that_is_lost_takes_no_other_along(engine, connection, follow):
    other = Scripted(box("9", "other"))
    good = await linked(other, "far")
    inventory = await follow(good)
    await lose(engine, connection)
    await until(lambda: LOST in told(inventory))

    other.put(box("9", "other", S.STOPPED))

    await until(lambda: inventory.entry(good, "9").published.state == S.STOPPED)
    await inventory.ready(good)
    (gap,) = [entry.gap for entry in inventory.journal.after(0, 10) if hasattr(entry, "gap")]
    assert gap.engine == "local/scripted"


async def test_full_views_from_before_a_loss_are_not_served(engine, connection, follow):
    engine.put(box())
    inventory = await follow()
    await inventory.full(connection, "1")

    engine.commands["1"] = "second"
    engine.break_streams()
    await until(lambda: RESYNCED in told(inventory))

    assert (await inventory.full(connection, "1")).container.command == ("second",)


async def test_a_change_of_the_full_view_during_a_loss_changes_the_etag(engine, connection, follow):
    """Nobody may update by an etag of what is no longer so."""
    engine.put(box())
    inventory = await follow()
    etag = (await inventory.full(connection, "1")).etag

    engine.commands["1"] = "second"
    engine.break_streams()
    await until(lambda: RESYNCED in told(inventory))

    assert (await inventory.full(connection, "1")).etag != etag

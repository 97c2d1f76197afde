"""Loss and return of engines and event streams."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from eventually import consistently
from proad.core.inventory import Inventory, InventoryTiming, Selection, watch
from proad.errors import EngineTimedOutError, EngineUnreachableError
from proad.model import GapKind, ResourceFilter, ResourceState
from unit.core.inventory.scripted import ENGINE, Gate, Scripted, box, linked, quiet, until

S = ResourceState
LOST, RESYNCED = GapKind.ENGINE_LOST, GapKind.ENGINE_RESYNCED


def told(inventory):
    """Return gaps and changes in the order of the history."""
    return [
        entry.gap.kind if hasattr(entry, "gap") else (entry.after or entry.before).name
        for entry in inventory.history.after(0, 10_000)
    ]


async def lose(engine, connection):
    engine.lost = True
    await connection.probe()


async def come_back(engine, connection):
    engine.lost = False
    await connection.probe()


async def test_reflector_with_broken_stream_reports_gap_and_lists(engine, connection, follow):
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
async def test_reflector_with_any_stream_error_reports_loss(engine, connection, follow, error):
    inventory = await follow()

    engine.break_streams(error)

    await until(lambda: told(inventory) == [LOST, RESYNCED])
    assert engine.followers == 1


async def test_reflector_with_stream_ending_silently_reports_loss(engine, connection, follow):
    engine.break_streams(StopAsyncIteration())

    inventory = await follow()
    engine.break_streams(StopAsyncIteration())

    await until(lambda: told(inventory) == [LOST, RESYNCED])


async def test_reflector_of_lost_engine_unsubscribes_and_lists_again(engine, connection, follow):
    """The stream stays silent: only the probe detects the loss."""
    engine.put(box())
    inventory = await follow()

    await lose(engine, connection)
    await until(lambda: told(inventory)[1:] == [LOST])
    assert not inventory.synced(connection)
    assert engine.followers == 0
    asked = engine.asked.total()
    # A lost engine is not polled by calls.
    await consistently(lambda: engine.asked.total() == asked, during=0.1, every=0.005)

    await come_back(engine, connection)
    await until(lambda: told(inventory)[1:] == [LOST, RESYNCED])
    assert inventory.synced(connection)
    assert engine.followers == 1


async def test_reflector_with_repeated_losses_reports_each(engine, connection, follow):
    inventory = await follow()

    for _ in range(5):
        before = len(told(inventory))
        engine.break_streams()
        await until(lambda before=before: len(told(inventory)) == before + 2)

    assert told(inventory) == [LOST, RESYNCED] * 5


class BackOff(Sequence[float]):
    """A back-off without delay that records its steps."""

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
async def test_reflector_with_unsteady_stream_backs_off(engine, follow, steady_after, expected):
    """Each loss costs the engine a full list, and every watcher two gaps."""
    back_off = BackOff()
    inventory = await follow(back_off=back_off, steady_after=steady_after)

    for number in range(1, 7):
        engine.break_streams()
        await until(lambda number=number: told(inventory) == [LOST, RESYNCED] * number)

    assert back_off.taken == expected


async def test_ready_during_new_list_waits(engine, connection, follow):
    engine.put(box())
    inventory = await follow()
    gate = engine.before = Gate("list")
    engine.take("1", tell=False)
    engine.break_streams()
    await gate.reached.wait()

    ready = asyncio.ensure_future(inventory.ready(connection))
    await consistently(lambda: not ready.done(), during=0.02, every=0.005)
    gate.open.set()
    await ready

    assert list(inventory.all(connection)) == []


async def test_ready_of_lost_engine_raises_unreachable(engine, connection, follow):
    inventory = await follow()
    gate = engine.before = Gate("list")
    engine.break_streams()
    await gate.reached.wait()
    ready = asyncio.ensure_future(inventory.ready(connection))
    await consistently(lambda: not ready.done(), during=0.02, every=0.005)

    await lose(engine, connection)

    for reading in (ready, inventory.ready(connection)):
        with pytest.raises(EngineUnreachableError):
            await asyncio.wait_for(reading, 1)


async def test_ready_without_list_in_time_raises_unreachable(engine, connection, follow):
    inventory = await follow(ready_within=0.05)
    gate = engine.before = Gate("list")
    engine.break_streams()
    await gate.reached.wait()

    with pytest.raises(EngineUnreachableError):
        await asyncio.wait_for(inventory.ready(connection), 1)


async def test_refresh_of_lost_engine_raises_unreachable_at_once(engine, connection, follow):
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


async def test_refresh_lost_with_engine_is_made_up_by_list(engine, connection, follow):
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
async def late_connection(engine):
    """The connection of an engine that is absent when the daemon starts."""
    engine.lost = True
    engine.put(box())
    return await linked(engine)


async def test_reflector_of_late_engine_without_watcher_reports_no_gap(engine, late_connection):
    inventory = Inventory([late_connection])

    async with inventory.following():
        assert not inventory.synced(late_connection)
        await come_back(engine, late_connection)
        await until(lambda: inventory.synced(late_connection))

    assert told(inventory) == ["web"]


async def test_watch_begun_without_engine_hears_resync(engine, late_connection):
    """A watcher with resources of an earlier run then knows which are gone."""
    inventory = Inventory([late_connection])

    async with inventory.following():
        batches = watch(
            inventory,
            Selection(ResourceFilter(), [late_connection]),
            heartbeat=timedelta(minutes=5),
        )
        (_, lost), (_, synced) = (await anext(batches)).events
        assert lost.gap is not None
        assert synced.bookmark is not None
        assert (lost.gap.kind, synced.bookmark.synced) == (LOST, True)
        await come_back(engine, late_connection)
        await until(lambda: inventory.synced(late_connection))
        engine.break_streams()
        await until(lambda: len(told(inventory)) == 4)

    assert told(inventory) == ["web", RESYNCED, LOST, RESYNCED]


async def test_watch_begun_during_first_list_hears_resync(engine, connection):
    """The engine answers, but its resources are not known yet."""
    gate = engine.before = Gate("list")
    inventory = Inventory([connection])
    selection = Selection(ResourceFilter(), [connection])
    batches = watch(inventory, selection, heartbeat=timedelta(minutes=5))
    async with AsyncExitStack() as stack:
        following = asyncio.create_task(stack.enter_async_context(inventory.following()))
        await gate.reached.wait()
        await anext(batches)

        gate.open.set()

        await until(lambda: told(inventory) == [RESYNCED])
        await following


async def test_following_with_hung_engine_starts_with_the_others(engine, connection):
    engine.before = Gate("list")
    good = await linked(Scripted(box()), "far")
    # Long enough for the list of the other engine.
    inventory = Inventory([connection, good], timing=InventoryTiming(ready_within=1.0))

    async with asyncio.timeout(30), inventory.following():
        assert inventory.synced(good)
        assert not inventory.synced(connection)


async def test_loss_of_one_engine_leaves_the_others(engine, connection, follow):
    other = Scripted(box("9", "other"))
    good = await linked(other, "far")
    inventory = await follow(good)
    await lose(engine, connection)
    await until(lambda: LOST in told(inventory))

    other.put(box("9", "other", S.STOPPED))

    await until(lambda: inventory.entry(good, "9").published.state == S.STOPPED)
    await inventory.ready(good)
    (gap,) = [entry.gap for entry in inventory.history.after(0, 10) if hasattr(entry, "gap")]
    assert gap.engine == ENGINE


async def test_full_view_from_before_loss_is_read_again(engine, connection, follow):
    engine.put(box())
    inventory = await follow()
    await inventory.full(connection, "1")

    engine.commands["1"] = "second"
    engine.break_streams()
    await until(lambda: RESYNCED in told(inventory))

    assert (await inventory.full(connection, "1")).container.command == ("second",)


async def test_etag_after_full_view_changed_during_loss_differs(engine, connection, follow):
    """An update with the etag of an outdated state must be refused."""
    engine.put(box())
    inventory = await follow()
    etag = (await inventory.full(connection, "1")).etag

    engine.commands["1"] = "second"
    engine.break_streams()
    await until(lambda: RESYNCED in told(inventory))

    assert (await inventory.full(connection, "1")).etag != etag

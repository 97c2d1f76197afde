"""Following an engine: lists, comparisons, and which of two reads counts."""

import asyncio
import time

import pytest

from proad.core.inventory import ChangeHistory, Inventory, Store
from proad.core.slices import TimeSlicer
from proad.errors import CapabilityMissingError, EngineConflictError, HostExhaustedError
from proad.model import GapKind, ResourceState, Verb
from unit.core.inventory.scripted import (
    ENGINE,
    Gate,
    Scripted,
    box,
    gaps,
    linked,
    names,
    quiet,
    steps,
    until,
)

S = ResourceState


async def finish(inventory, connection, observed):
    """Do a verb with this result."""
    entry = inventory.entry(connection, observed.id)
    with inventory.activity(entry, Verb.PAUSE):
        await inventory.finish(connection, entry, observed, inventory.begin())


async def test_reflector_when_started_lists_existing_resources(engine, connection, follow):
    engine.put(box("1", "a"))
    engine.put(box("2", "b"))

    inventory = await follow()

    assert names(inventory, connection) == ["a", "b"]
    assert inventory.synced(connection)
    assert gaps(inventory) == []
    assert connection.last_sync_time is not None


async def held_list(engine, follow):
    """An inventory with a comparing list in flight that has read the earlier state."""
    inventory = await follow(compare_every=0.02)
    gate = engine.after = Gate("list")
    await gate.reached.wait()
    return inventory, gate


async def compared(engine, gate):
    lists = engine.asked["list"]
    gate.open.set()
    await until(lambda: engine.asked["list"] > lists)


async def test_list_during_removal_does_not_resurrect(engine, connection, follow):
    engine.put(box())
    inventory, gate = await held_list(engine, follow)

    engine.take("1")
    await until(lambda: not names(inventory, connection))
    await compared(engine, gate)
    await quiet(inventory)

    assert names(inventory, connection) == []
    assert steps(inventory) == [S.RUNNING, None]


async def test_list_during_change_does_not_revert_it(engine, connection, follow):
    engine.put(box())
    inventory, gate = await held_list(engine, follow)

    engine.put(box(state=S.STOPPED))
    await until(lambda: inventory.entry(connection, "1").published.state == S.STOPPED)
    await compared(engine, gate)
    await quiet(inventory)

    assert steps(inventory) == [S.RUNNING, S.STOPPED]


async def test_list_during_create_does_not_remove_it(engine, connection, follow):
    inventory, gate = await held_list(engine, follow)

    engine.put(box())
    await until(lambda: names(inventory, connection) == ["web"])
    await compared(engine, gate)
    await quiet(inventory)

    assert steps(inventory) == [S.RUNNING]


async def test_list_during_verb_keeps_its_result(engine, connection, follow):
    engine.put(box())
    inventory, gate = await held_list(engine, follow)
    engine.put(box(state=S.PAUSED), tell=False)
    await finish(inventory, connection, box(state=S.PAUSED))

    await compared(engine, gate)
    await quiet(inventory)

    assert steps(inventory) == [S.RUNNING, S.RUNNING, S.PAUSED]


async def test_list_during_delete_does_not_resurrect(engine, connection, follow):
    engine.put(box())
    inventory, gate = await held_list(engine, follow)
    engine.take("1", tell=False)
    inventory.remove(connection, "1")

    await compared(engine, gate)
    await quiet(inventory)

    assert steps(inventory) == [S.RUNNING, None]


async def test_comparison_with_missed_events_resyncs(engine, connection, follow):
    engine.put(box("1", "a"))
    engine.put(box("2", "b"))
    inventory = await follow(compare_every=0.05)
    await until(lambda: engine.asked["list"] > 3)
    assert gaps(inventory) == []

    engine.put(box("1", "a", S.STOPPED), tell=False)
    engine.take("2", tell=False)
    engine.put(box("3", "c"), tell=False)

    await until(lambda: names(inventory, connection) == ["a", "c"])
    assert inventory.entry(connection, "1").published.state == S.STOPPED
    await until(lambda: gaps(inventory) == [GapKind.ENGINE_LOST, GapKind.ENGINE_RESYNCED])
    assert inventory.synced(connection)
    lists = engine.asked["list"]
    await until(lambda: engine.asked["list"] > lists + 3)
    assert len(gaps(inventory)) == 2


@pytest.mark.parametrize(
    "refusal",
    [
        EngineConflictError("scripted", "cannot be read"),
        CapabilityMissingError("reading it", driver="scripted"),
        HostExhaustedError("scripted", "no room"),
    ],
    ids=lambda each: each.reason,
)
async def test_comparison_with_unreadable_resource_does_not_resync(
    engine, connection, follow, refusal
):
    """A refused read of one resource does not mean that the event stream is broken."""
    engine.put(box())
    inventory, gate = await held_list(engine, follow)
    asked = engine.asked["subscribe"]

    async def refuse(method, _id):
        if method == "summary":
            raise refusal

    engine.before = refuse
    engine.put(box(labels={"a": "b"}), tell=False)
    reads = engine.asked["summary"]
    gate.open.set()
    await until(lambda: engine.asked["summary"] > reads + 1)

    assert engine.asked["subscribe"] == asked
    assert inventory.synced(connection)
    assert gaps(inventory) == []


async def test_comparison_during_reported_change_does_not_resync(engine, connection, follow):
    """A change that an event reports during a list is no gap."""
    engine.put(box())
    inventory, gate = await held_list(engine, follow)

    engine.put(box(state=S.STOPPED))
    await until(lambda: inventory.entry(connection, "1").published.state == S.STOPPED)
    await compared(engine, gate)
    await quiet(inventory)

    assert gaps(inventory) == []


async def test_comparison_with_silently_dead_stream_resubscribes(engine, connection, follow):
    engine.put(box())
    inventory = await follow(compare_every=0.05)
    engine.silence_streams()

    engine.put(box(state=S.STOPPED))

    await until(lambda: gaps(inventory) == [GapKind.ENGINE_LOST, GapKind.ENGINE_RESYNCED])
    assert steps(inventory) == [S.RUNNING, S.STOPPED]
    assert engine.asked["subscribe"] == 2


async def test_comparison_with_late_event_waits_for_it(engine, connection, follow):
    engine.put(box())
    inventory = await follow(compare_every=0.02, events_within=0.2)
    engine.put(box(state=S.STOPPED), tell=False)
    lists = engine.asked["list"]
    await until(lambda: engine.asked["list"] > lists)
    engine.tell("1")
    await until(lambda: engine.asked["list"] > lists + 3)

    assert gaps(inventory) == []
    assert steps(inventory) == [S.RUNNING, S.STOPPED]


async def test_refresh_begun_before_list_and_ended_during_it_counts(engine, connection, follow):
    """The list may be older; a change must not be published and reverted."""
    engine.put(box())
    inventory = await follow()
    refresh = engine.before = Gate("summary")
    engine.tell("1")
    await refresh.reached.wait()
    engine.after = Gate("list")
    engine.break_streams()
    await engine.after.reached.wait()

    engine.put(box(state=S.PAUSED), tell=False)
    refresh.open.set()
    await quiet(inventory)
    engine.after.open.set()
    await until(lambda: GapKind.ENGINE_RESYNCED in gaps(inventory))
    engine.tell("1")
    await quiet(inventory)

    assert steps(inventory) == [S.RUNNING, S.PAUSED]


async def test_list_overtaken_by_earlier_read_reads_again(engine, connection, follow):
    """Either may be newer, and no event reports changes before the subscription."""
    engine.put(box())
    inventory = await follow()
    read, listed = Gate("summary"), Gate("list")

    async def after(method, id):
        await read(method, id)
        await listed(method, id)

    engine.after = after
    engine.tell("1")
    await read.reached.wait()
    engine.put(box(state=S.PAUSED), tell=False)
    engine.break_streams()
    await listed.reached.wait()
    read.open.set()
    await quiet(inventory)
    assert inventory.entry(connection, "1").published.state is S.RUNNING
    listed.open.set()

    await until(lambda: inventory.entry(connection, "1").published.state is S.PAUSED)


async def test_comparison_during_verb_leaves_the_result_to_it(engine, connection, follow):
    engine.put(box())
    inventory = await follow(compare_every=0.02, events_within=0.0)
    entry = inventory.entry(connection, "1")

    with inventory.activity(entry, Verb.PAUSE):
        begun = inventory.begin()
        engine.put(box(state=S.PAUSED), tell=False)
        lists = engine.asked["list"]
        await until(lambda: engine.asked["list"] > lists + 3)
        await inventory.finish(connection, entry, box(state=S.PAUSED), begun)

    assert engine.asked["summary"] == 0  # no read has overtaken the verb
    lists = engine.asked["list"]
    await until(lambda: engine.asked["list"] > lists + 3)
    assert gaps(inventory) == []
    told = [entry.after.activity and entry.after.state for entry in inventory.history.after(1, 9)]
    assert told == [S.RUNNING, None]
    assert inventory.entry(connection, "1").published.state == S.PAUSED


async def test_list_of_many_yields_to_the_event_loop():
    connection = await linked(Scripted(*(box(f"{n:064x}", f"c{n}") for n in range(100))))
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    served = asyncio.create_task(other())
    async with Inventory([connection], slicer=TimeSlicer(0.0)).following():
        served.cancel()

    assert turns > 100


async def test_list_of_many_takes_linear_time():
    """Applying a list blocks the event loop."""

    async def work(number):
        store = Store(ChangeHistory())
        listed = [box(f"{n:064x}", f"c{n}") for n in range(number)]
        times = []
        for _ in range(4):
            began = time.process_time()
            with store.reading() as begun:
                assert all(dict(store.apply_list(ENGINE, listed, begun)).values())
            times.append(time.process_time() - began)
        return min(times[1:])

    # 32 times as many: 1,024 times the work, were it quadratic.
    assert await work(8000) < 150 * await work(250)

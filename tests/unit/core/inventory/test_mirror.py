"""Following an engine: lists, comparisons, and which of two readings counts."""

import asyncio
import time

import pytest

from proad.core.inventory import Inventory
from proad.core.inventory import mirror as module
from proad.errors import CapabilityMissingError, EngineConflictError, HostExhaustedError
from proad.model import GapKind, ResourceState, Verb
from unit.core.inventory.scripted import (
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


async def test_what_is_there_is_known_from_the_start(engine, link, follow):
    engine.put(box("1", "a"))
    engine.put(box("2", "b"))

    inventory = await follow()

    assert names(inventory, link) == ["a", "b"]
    assert inventory.mirror(link).synced
    assert gaps(inventory) == []
    assert link.last_sync_time is not None


async def held_list(engine, link, follow, monkeypatch):
    """An inventory whose comparing list is on its way with what was there before."""
    monkeypatch.setattr(module, "COMPARE_EVERY", 0.02)
    inventory = await follow()
    gate = engine.after = Gate("list")
    await gate.reached.wait()
    return inventory, gate


async def compared(engine, gate):
    lists = engine.asked["list"]
    gate.open.set()
    await until(lambda: engine.asked["list"] > lists)


async def test_a_removal_during_a_list_leaves_no_zombie(engine, link, follow, monkeypatch):
    engine.put(box())
    inventory, gate = await held_list(engine, link, follow, monkeypatch)

    engine.take("1")
    await until(lambda: not names(inventory, link))
    await compared(engine, gate)
    await quiet(inventory)

    assert names(inventory, link) == []
    assert steps(inventory) == [S.RUNNING, None]


async def test_a_change_during_a_list_does_not_flicker(engine, link, follow, monkeypatch):
    engine.put(box())
    inventory, gate = await held_list(engine, link, follow, monkeypatch)

    engine.put(box(state=S.STOPPED))
    await until(lambda: inventory.known(link, "1").shown.state == S.STOPPED)
    await compared(engine, gate)
    await quiet(inventory)

    assert steps(inventory) == [S.RUNNING, S.STOPPED]


async def test_a_create_during_a_list_does_not_flicker(engine, link, follow, monkeypatch):
    inventory, gate = await held_list(engine, link, follow, monkeypatch)

    engine.put(box())
    await until(lambda: names(inventory, link) == ["web"])
    await compared(engine, gate)
    await quiet(inventory)

    assert steps(inventory) == [S.RUNNING]


async def test_what_a_verb_read_during_a_list_counts(engine, link, follow, monkeypatch):
    engine.put(box())
    inventory, gate = await held_list(engine, link, follow, monkeypatch)
    engine.put(box(state=S.PAUSED), tell=False)
    inventory.looks(link).apply(box(state=S.PAUSED))

    await compared(engine, gate)
    await quiet(inventory)

    assert steps(inventory) == [S.RUNNING, S.PAUSED]


async def test_what_a_caller_saw_go_during_a_list_stays_gone(engine, link, follow, monkeypatch):
    engine.put(box())
    inventory, gate = await held_list(engine, link, follow, monkeypatch)
    engine.take("1", tell=False)
    inventory.looks(link).drop("1", actor="ann")

    await compared(engine, gate)
    await quiet(inventory)

    assert steps(inventory) == [S.RUNNING, None]


async def test_what_no_event_told_is_found_and_said(engine, link, follow, monkeypatch):
    monkeypatch.setattr(module, "COMPARE_EVERY", 0.05)
    engine.put(box("1", "a"))
    engine.put(box("2", "b"))
    inventory = await follow()
    await until(lambda: engine.asked["list"] > 3)
    assert gaps(inventory) == []

    engine.put(box("1", "a", S.STOPPED), tell=False)
    engine.take("2", tell=False)
    engine.put(box("3", "c"), tell=False)

    await until(lambda: names(inventory, link) == ["a", "c"])
    assert inventory.known(link, "1").shown.state == S.STOPPED
    await until(lambda: gaps(inventory) == [GapKind.ENGINE_LOST, GapKind.ENGINE_RESYNCED])
    assert inventory.mirror(link).synced
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
async def test_comparison_of_one_that_cannot_be_read_resyncs_nothing(
    engine, link, follow, monkeypatch, refusal
):
    """What the engine refuses to tell of one says nothing of the stream of events."""
    engine.put(box())
    inventory, gate = await held_list(engine, link, follow, monkeypatch)
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
    assert inventory.mirror(link).synced
    assert gaps(inventory) == []


async def test_a_comparison_says_nothing_of_what_events_told(engine, link, follow, monkeypatch):
    """A list that is on its way while a change comes by event is no gap."""
    engine.put(box())
    inventory, gate = await held_list(engine, link, follow, monkeypatch)

    engine.put(box(state=S.STOPPED))
    await until(lambda: inventory.known(link, "1").shown.state == S.STOPPED)
    await compared(engine, gate)
    await quiet(inventory)

    assert gaps(inventory) == []


async def test_a_stream_that_died_without_a_word_is_replaced(engine, link, follow, monkeypatch):
    monkeypatch.setattr(module, "COMPARE_EVERY", 0.05)
    engine.put(box())
    inventory = await follow()
    dead = engine._streams[0]
    monkeypatch.setattr(dead, "put_nowait", lambda event: None)

    engine.put(box(state=S.STOPPED))

    await until(lambda: gaps(inventory) == [GapKind.ENGINE_LOST, GapKind.ENGINE_RESYNCED])
    assert steps(inventory) == [S.RUNNING, S.STOPPED]
    assert engine.asked["subscribe"] == 2
    assert engine._streams != [dead]


async def test_an_event_that_is_later_than_a_list_is_waited_for(engine, link, follow, monkeypatch):
    monkeypatch.setattr(module, "EVENTS_WITHIN", 30.0)  # later than anything here
    monkeypatch.setattr(module, "COMPARE_EVERY", 0.02)
    engine.put(box())
    inventory = await follow()
    slept = asyncio.Event()
    sleep = asyncio.sleep

    async def event_comes(seconds):
        if seconds == module.EVENTS_WITHIN:
            engine.tell("1")
            slept.set()
            await until(lambda: inventory.known(link, "1").shown.state == S.STOPPED)
        else:
            await sleep(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", event_comes)
    engine.put(box(state=S.STOPPED), tell=False)
    await slept.wait()
    lists = engine.asked["list"]
    await until(lambda: engine.asked["list"] > lists + 3)

    assert gaps(inventory) == []
    assert steps(inventory) == [S.RUNNING, S.STOPPED]


async def test_a_look_from_before_a_list_that_ends_during_it_counts(
    engine, link, follow, monkeypatch
):
    """The list may be older; a change must not be told back and forth."""
    engine.put(box())
    inventory = await follow()
    look = engine.before = Gate("summary")
    engine.tell("1")
    await look.reached.wait()
    engine.after = Gate("list")
    engine.break_streams()
    await engine.after.reached.wait()

    engine.put(box(state=S.PAUSED), tell=False)
    look.open.set()
    await quiet(inventory)
    engine.after.open.set()
    await until(lambda: GapKind.ENGINE_RESYNCED in gaps(inventory))
    engine.tell("1")
    await until(lambda: engine.heard)
    await quiet(inventory)

    assert steps(inventory) == [S.RUNNING, S.PAUSED]


async def test_a_comparison_leaves_what_a_verb_is_doing_to_the_verb(
    engine, link, follow, monkeypatch
):
    monkeypatch.setattr(module, "COMPARE_EVERY", 0.02)
    monkeypatch.setattr(module, "EVENTS_WITHIN", 0.0)
    engine.put(box())
    inventory = await follow()
    known = inventory.known(link, "1")

    with inventory.looks(link).holding("1"), inventory.activity(known, Verb.PAUSE):
        reads = known.reads
        engine.put(box(state=S.PAUSED), tell=False)
        lists = engine.asked["list"]
        await until(lambda: engine.asked["list"] > lists + 3)
        assert known.reads == reads  # or the verb could not take its own word
        inventory.looks(link).finish(known, box(state=S.PAUSED))

    lists = engine.asked["list"]
    await until(lambda: engine.asked["list"] > lists + 3)
    assert gaps(inventory) == []
    told = [entry.after.activity and entry.after.state for entry in inventory.journal.after(1, 9)]
    assert told == [S.RUNNING, None]
    assert inventory.known(link, "1").shown.state == S.PAUSED


async def test_the_work_of_a_list_grows_with_what_there_is_and_no_faster():
    """It holds up the event loop."""

    async def work(number):
        link = await linked(Scripted(*(box(f"{n:064x}", f"c{n}") for n in range(number))))
        mirror = Inventory([link]).mirror(link)
        await mirror._resync()
        times = []
        for _ in range(3):
            began = time.process_time()
            await mirror._resync()
            assert not await mirror._missed_any()
            times.append(time.process_time() - began)
        return min(times)

    # 32 times as many: 1,024 times the work, were it quadratic.
    assert await work(8000) < 150 * await work(250)

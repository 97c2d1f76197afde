"""Following an engine: lists, events as hints, and which of two readings counts."""

import asyncio

import pytest

from proad.core.actor import act_for
from proad.core.inventory import mirror as module
from proad.errors import EngineConflictError, EngineTimedOutError
from proad.model import Activity, ChangeCause, GapKind, ResourceState, Verb
from unit.core.inventory.scripted import ENGINE, Gate, box, quiet, until

S = ResourceState


def names(inventory, link):
    return sorted(resource.name for resource in inventory.all(link))


def steps(inventory, id="1"):
    """The states that the journal tells of a resource; None: it is not there."""
    told = []
    for entry in inventory.journal.after(0, 10_000):
        resource = getattr(entry, "after", None) or getattr(entry, "before", None)
        if resource is not None and resource.id == id:
            told.append(entry.after and entry.after.state)
    return told


def gaps(inventory):
    entries = inventory.journal.after(0, 10_000)
    return [entry.gap.kind for entry in entries if hasattr(entry, "gap")]


async def test_what_is_there_is_known_from_the_start(engine, link, follow):
    engine.put(box("1", "a"))
    engine.put(box("2", "b"))

    inventory = await follow()

    assert names(inventory, link) == ["a", "b"]
    assert inventory.mirror(link).synced
    assert gaps(inventory) == []
    assert link.last_sync_time is not None


async def test_an_event_is_a_hint_to_look(engine, link, follow):
    inventory = await follow()
    for change, expected in (
        (lambda: engine.put(box("1", "a")), ["a"]),
        (lambda: engine.put(box("1", "b")), ["b"]),
        (lambda: engine.tell("1"), ["b"]),
        (lambda: engine.tell("nobody"), ["b"]),
        (lambda: engine.take("1"), []),
    ):
        change()
        await quiet(inventory)
        assert names(inventory, link) == expected
    assert engine.asked["list"] == 1


async def test_hints_that_come_at_once_are_one_look(engine, link, follow):
    engine.put(box())
    inventory = await follow()
    gate = engine.before = Gate()
    for _ in range(100):
        engine.tell("1")
    await gate.reached.wait()
    for _ in range(100):
        engine.tell("1")
    await asyncio.sleep(0.01)

    gate.open.set()
    await quiet(inventory)

    assert engine.asked["summary"] == 2  # the second for what came while the first was read


async def test_a_change_while_it_is_read_is_seen(engine, link, follow):
    """The answer may be older than the event that came while it was on its way."""
    engine.put(box())
    inventory = await follow()
    gate = engine.after = Gate()
    engine.put(box(state=S.PAUSED))
    await gate.reached.wait()
    engine.put(box(state=S.STOPPED))
    await asyncio.sleep(0.01)
    gate.open.set()
    await quiet(inventory)

    assert inventory.known(link, "1").shown.state == S.STOPPED


async def test_looks_are_bounded(engine, link, follow):
    for number in range(50):
        engine.put(box(str(number), f"c{number}"))
    inventory = await follow()
    gate = engine.before = Gate()
    for number in range(50):
        engine.tell(str(number))
    await gate.reached.wait()
    await asyncio.sleep(0.02)

    assert gate.most == module.LOOKS
    gate.open.set()
    await quiet(inventory)
    assert gate.most == module.LOOKS


async def test_a_look_that_hangs_holds_up_no_other(engine, link, follow):
    for number in range(10):
        engine.put(box(str(number), f"c{number}"))
    inventory = await follow()
    gate = engine.before = Gate(id="0")
    engine.tell("0")
    await gate.reached.wait()

    for number in range(1, 10):
        engine.put(box(str(number), f"c{number}", S.STOPPED))

    await until(lambda: sum(r.state == S.STOPPED for r in inventory.all(link)) == 9)
    assert inventory.known(link, "0").shown.state == S.RUNNING
    gate.open.set()


@pytest.mark.parametrize("error", [EngineTimedOutError("scripted"), EngineConflictError("s", "x")])
async def test_a_look_that_fails_is_made_again(engine, link, follow, error):
    engine.put(box())
    inventory = await follow()
    failures = [error, error]

    async def fail(method, id):
        if failures:
            raise failures.pop()

    engine.before = fail
    engine.put(box(state=S.STOPPED))

    await until(lambda: inventory.known(link, "1").shown.state == S.STOPPED)
    assert failures == []


async def test_who_waits_for_a_look_hears_that_it_failed(engine, link, follow):
    engine.put(box())
    inventory = await follow()

    async def fail(method, id):
        raise EngineConflictError("scripted", "no")

    engine.before = fail
    with pytest.raises(EngineConflictError):
        await inventory.mirror(link).look("1")

    engine.before = nothing = Gate("none")
    engine.there["1"] = box(state=S.PAUSED)
    assert (await inventory.mirror(link).look("1")).shown.state == S.PAUSED
    assert nothing.most == 0


async def test_a_look_at_nothing(engine, link, follow):
    inventory = await follow()

    assert await inventory.mirror(link).look("1") is None
    assert inventory.journal.revision == 0


async def test_a_bug_of_the_driver_ends_no_look_for_ever(engine, link, follow):
    engine.put(box())
    inventory = await follow()
    broken = [True]

    async def break_once(method, id):
        if broken:
            broken.pop()
            raise ZeroDivisionError

    engine.before = break_once
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(inventory.mirror(link).look("1"), 2)
    broken.append(True)
    engine.put(box(state=S.STOPPED))

    await until(lambda: inventory.known(link, "1").shown.state == S.STOPPED)


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
    inventory.mirror(link).apply(box(state=S.PAUSED))

    await compared(engine, gate)
    await quiet(inventory)

    assert steps(inventory) == [S.RUNNING, S.PAUSED]


async def test_what_a_caller_saw_go_during_a_list_stays_gone(engine, link, follow, monkeypatch):
    engine.put(box())
    inventory, gate = await held_list(engine, link, follow, monkeypatch)
    engine.take("1", tell=False)
    inventory.mirror(link).drop("1", actor="ann")

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
    await until(lambda: gaps(inventory) == [GapKind.ENGINE_RESYNCED])
    assert inventory.mirror(link).synced
    await asyncio.sleep(0.15)
    assert len(gaps(inventory)) == 1


async def test_a_comparison_says_nothing_of_what_events_told(engine, link, follow, monkeypatch):
    """A list that is on its way while a change comes by event is no gap."""
    engine.put(box())
    inventory, gate = await held_list(engine, link, follow, monkeypatch)

    engine.put(box(state=S.STOPPED))
    await until(lambda: inventory.known(link, "1").shown.state == S.STOPPED)
    await compared(engine, gate)
    await quiet(inventory)

    assert gaps(inventory) == []


async def test_a_look_waits_a_moment_for_the_verb_that_is_about_to_tell(engine, link, follow):
    engine.put(box())
    inventory = await follow()
    mirror, known = inventory.mirror(link), inventory.known(link, "1")

    with mirror.holding("1"):
        engine.put(box(state=S.PAUSED))
        await asyncio.sleep(module.HOLD / 4)
        assert engine.asked["summary"] == 0
        mirror.finish(known, box(state=S.PAUSED))
    await quiet(inventory)

    assert steps(inventory) == [S.RUNNING, S.PAUSED]


async def test_a_look_does_not_wait_for_a_long_verb(engine, link, follow):
    engine.put(box())
    inventory = await follow()

    with inventory.mirror(link).holding("1"):
        engine.put(box(state=S.STOPPING))
        await until(lambda: inventory.known(link, "1").shown.state == S.STOPPING)


async def test_who_asks_does_not_wait_for_a_verb(engine, link, follow):
    engine.put(box())
    inventory = await follow()
    loop = asyncio.get_running_loop()

    with inventory.mirror(link).holding("1"):
        engine.put(box(state=S.PAUSED), tell=False)
        began = loop.time()
        known = await inventory.mirror(link).look("1")
        assert loop.time() - began < module.HOLD

    assert known.shown.state == S.PAUSED


async def test_what_is_made_bears_its_makers_name(engine, link, follow):
    inventory = await follow()
    mirror = inventory.mirror(link)

    async def make(name, known_before):
        act_for("ann")
        with mirror.making(known_before):
            engine.put(box(name, name))
            await asyncio.sleep(0.02)
            await mirror.look(name, actor="ann")

    for name, known_before in (("told", "told"), ("nameless", "")):
        await asyncio.create_task(make(name, known_before))
    engine.put(box("other", "other"))
    await quiet(inventory)

    origins = {
        entry.after.name: (entry.cause, entry.actor) for entry in inventory.journal.after(0, 10)
    }
    assert origins == {
        "told": (ChangeCause.API, "ann"),
        "nameless": (ChangeCause.API, "ann"),
        "other": (ChangeCause.EXTERNAL, ""),
    }


async def test_what_is_pruned_bears_the_name_of_who_did_it(engine, link, follow):
    for id in ("1", "2"):
        engine.put(box(id, id, S.STOPPED))
    inventory = await follow()
    mirror = inventory.mirror(link)

    with mirror.making():
        engine.take("1")
        await asyncio.sleep(0.02)
        mirror.drop("1", actor="ann")
    engine.take("2")
    await quiet(inventory)

    gone = [entry for entry in inventory.journal.after(2, 10) if entry.after is None]
    assert [(e.before.id, e.cause, e.actor) for e in gone] == [
        ("1", ChangeCause.API, "ann"),
        ("2", ChangeCause.EXTERNAL, ""),
    ]


async def test_a_create_that_hangs_hides_nothing_for_long(engine, link, follow, monkeypatch):
    monkeypatch.setattr(module, "HOLD_UNKNOWN", 0.05)
    inventory = await follow()

    with inventory.mirror(link).making():
        engine.put(box())
        await until(lambda: names(inventory, link) == ["web"])


async def test_changes_during_an_activity_are_its_doing(engine, link, follow):
    engine.put(box())
    inventory = await follow()
    known = inventory.known(link, "1")
    inventory.picture.set_activity(known, Activity(verb=Verb.STOP, actor="ann"))

    engine.put(box(state=S.STOPPING))
    await quiet(inventory)

    *_, last = inventory.journal.after(0, 10)
    assert (last.after.state, last.cause, last.actor) == (S.STOPPING, ChangeCause.API, "ann")


async def test_no_look_outlives_the_inventory(engine, link, follow):
    engine.put(box())
    inventory = await follow()
    engine.before = Gate()
    engine.tell("1")
    await engine.before.reached.wait()
    await inventory.mirror(link).close()

    assert engine.before.waiting == 0
    assert inventory.picture.get(ENGINE, "1") is not None

"""Refreshes of single resources: those that events cause, and those that fail or hang."""

import asyncio

import pytest

from proad.core.inventory import Inventory, refresher
from proad.errors import EngineConflictError, EngineTimedOutError
from proad.model import ResourceState
from unit.core.inventory.scripted import (
    Gate,
    box,
    names,
    quiet,
    until,
)

S = ResourceState


async def test_event_marks_resource_for_refresh(engine, connection, follow):
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
        assert names(inventory, connection) == expected
    assert engine.asked["list"] == 1


async def test_events_at_once_are_coalesced_into_one_refresh(engine, connection, follow):
    engine.put(box())
    inventory = await follow()
    gate = engine.before = Gate()
    for _ in range(100):
        engine.tell("1")
    await gate.reached.wait()
    for _ in range(100):
        engine.tell("1")

    gate.open.set()
    await quiet(inventory)

    assert engine.asked["summary"] == 2  # the second for events during the first read


async def test_refresh_with_change_during_read_is_repeated(engine, connection, follow):
    """The answer may be older than an event that came during the read."""
    engine.put(box())
    inventory = await follow()
    gate = engine.after = Gate()
    engine.put(box(state=S.PAUSED))
    await gate.reached.wait()
    engine.put(box(state=S.STOPPED))
    gate.open.set()
    await quiet(inventory)

    assert inventory.entry(connection, "1").published.state == S.STOPPED


async def test_refreshes_are_bounded(engine, connection, follow):
    for number in range(50):
        engine.put(box(str(number), f"c{number}"))
    inventory = await follow()
    gate = engine.before = Gate()
    for number in range(50):
        engine.tell(str(number))
    await gate.reached.wait()
    await until(lambda: gate.waiting == refresher.REFRESHES)
    gate.open.set()
    await quiet(inventory)
    assert gate.most == refresher.REFRESHES


async def test_refresh_when_hung_delays_no_other(engine, connection, follow):
    for number in range(10):
        engine.put(box(str(number), f"c{number}"))
    inventory = await follow()
    gate = engine.before = Gate(id="0")
    engine.tell("0")
    await gate.reached.wait()

    for number in range(1, 10):
        engine.put(box(str(number), f"c{number}", S.STOPPED))

    await until(lambda: sum(r.state == S.STOPPED for r in inventory.all(connection)) == 9)
    assert inventory.entry(connection, "0").published.state == S.RUNNING
    gate.open.set()


@pytest.mark.parametrize("error", [EngineTimedOutError("scripted"), EngineConflictError("s", "x")])
async def test_refresh_when_failed_is_retried(engine, connection, follow, error):
    engine.put(box())
    inventory = await follow()
    failures = [error, error]

    async def fail(method, id):
        if failures:
            raise failures.pop()

    engine.before = fail
    engine.put(box(state=S.STOPPED))

    await until(lambda: inventory.entry(connection, "1").published.state == S.STOPPED)
    assert failures == []


async def test_refresh_when_failed_raises_to_its_caller(engine, connection, follow):
    engine.put(box())
    inventory = await follow()

    async def fail(method, id):
        raise EngineConflictError("scripted", "no")

    engine.before = fail
    with pytest.raises(EngineConflictError):
        await inventory.refresh(connection, "1")

    engine.before = nothing = Gate("none")
    engine.there["1"] = box(state=S.PAUSED)
    assert (await inventory.refresh(connection, "1")).published.state == S.PAUSED
    assert nothing.most == 0


async def test_refresh_of_unknown_id_returns_none(engine, connection, follow):
    inventory = await follow()

    assert await inventory.refresh(connection, "1") is None
    assert inventory.history.revision == 0


async def test_refresh_after_driver_fault_is_retried(engine, connection, follow):
    engine.put(box())
    inventory = await follow()
    broken = [True]

    async def break_once(method, id):
        if broken:
            broken.pop()
            raise ZeroDivisionError

    engine.before = break_once
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(inventory.refresh(connection, "1"), 2)
    broken.append(True)
    engine.put(box(state=S.STOPPED))

    await until(lambda: inventory.entry(connection, "1").published.state == S.STOPPED)


async def test_refresh_under_way_ends_with_inventory(engine, connection):
    engine.put(box())
    inventory = Inventory([connection])
    async with inventory.following():
        engine.before = Gate()
        engine.tell("1")
        await engine.before.reached.wait()
        assert engine.before.waiting

    assert engine.before.waiting == 0
    assert inventory.entry(connection, "1") is not None

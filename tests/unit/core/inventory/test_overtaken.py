"""Reads that are overtaken by the result of a verb."""

import asyncio

import pytest

from proad.model import ResourceState as S
from unit.core.inventory.scripted import Gate, box, quiet


@pytest.fixture
async def overtaken(engine, connection, follow):
    """An inventory in which a read has found that "1" runs, but is not applied yet."""
    engine.put(box())
    inventory = await follow()
    engine.after = Gate()
    engine.tell("1")
    await engine.after.reached.wait()
    return inventory


async def pause(inventory, connection):
    """Do an own pause that succeeds, beside another verb."""
    entry, begun = inventory.entry(connection, "1"), inventory.begin()
    observed = box(state=S.PAUSED)
    await inventory.finish(connection, entry, observed, begun, ends_activity=False)


def states(inventory):
    entries = inventory.history.after(0, 99)
    return [entry.after and entry.after.state for entry in entries]


async def test_refresh_overtaken_by_verb_keeps_its_result(engine, connection, overtaken):
    engine.put(box(state=S.PAUSED), tell=False)
    await pause(overtaken, connection)

    engine.after.open.set()
    await quiet(overtaken)

    assert states(overtaken) == [S.RUNNING, S.PAUSED]


async def test_refresh_overtaken_by_delete_does_not_resurrect(engine, connection, overtaken):
    engine.take("1", tell=False)
    overtaken.remove(connection, "1")

    engine.after.open.set()
    await quiet(overtaken)

    assert states(overtaken) == [S.RUNNING, None]


async def test_refresh_overtaken_by_verb_returns_its_result(engine, connection, follow):
    engine.put(box())
    inventory = await follow()
    engine.after = Gate()
    waiting = asyncio.create_task(inventory.refresh(connection, "1"))
    await engine.after.reached.wait()
    engine.put(box(state=S.PAUSED), tell=False)
    await pause(inventory, connection)

    engine.after.open.set()

    assert (await waiting).published.state is S.PAUSED
    assert states(inventory) == [S.RUNNING, S.PAUSED]


async def test_refresh_overtaken_by_verb_is_repeated(engine, connection, follow):
    """The state that the read found is newer than the verb's, and no further event reports it."""
    engine.put(box())
    inventory = await follow(busy_delay=0.0)
    begun, entry = inventory.begin(), inventory.entry(connection, "1")
    engine.after = Gate()
    engine.put(box(state=S.STOPPED))
    await engine.after.reached.wait()
    await inventory.finish(connection, entry, box(state=S.PAUSED), begun, ends_activity=False)

    engine.after.open.set()
    await quiet(inventory)

    assert states(inventory) == [S.RUNNING, S.PAUSED, S.STOPPED]

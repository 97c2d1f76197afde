"""Looks that are overtaken by what a verb tells at its end."""

import asyncio

import pytest

from proad.model import ResourceState as S
from unit.core.inventory.scripted import Gate, box, quiet


@pytest.fixture
async def overtaken(engine, link, follow):
    """An inventory in which a look has read that "1" runs, but has not told it yet."""
    engine.put(box())
    inventory = await follow()
    engine.after = Gate()
    engine.tell("1")
    await engine.after.reached.wait()
    return inventory


def states(inventory):
    entries = inventory.journal.after(0, 99)
    return [entry.after and entry.after.state for entry in entries]


async def test_what_a_verb_told_is_not_taken_back(engine, link, overtaken):
    engine.put(box(state=S.PAUSED), tell=False)
    overtaken.looks(link).apply(box(state=S.PAUSED))

    engine.after.open.set()
    await quiet(overtaken)

    assert states(overtaken) == [S.RUNNING, S.PAUSED]


async def test_what_a_verb_deleted_does_not_come_back(engine, link, overtaken):
    engine.take("1", tell=False)
    overtaken.looks(link).drop("1")

    engine.after.open.set()
    await quiet(overtaken)

    assert states(overtaken) == [S.RUNNING, None]


async def test_who_waits_gets_the_later_word(engine, link, follow):
    engine.put(box())
    inventory = await follow()
    engine.after = Gate()
    waiting = asyncio.create_task(inventory.looks(link).look("1"))
    await engine.after.reached.wait()
    engine.put(box(state=S.PAUSED), tell=False)
    inventory.looks(link).apply(box(state=S.PAUSED))

    engine.after.open.set()

    assert (await waiting).shown.state is S.PAUSED
    assert states(inventory) == [S.RUNNING, S.PAUSED]

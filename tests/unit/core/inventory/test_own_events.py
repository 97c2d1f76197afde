"""Events of resources under own verbs and creates."""

import asyncio

import pytest

from proad.core.actor import act_for
from proad.errors import EngineConflictError
from proad.model import ChangeCause, ResourceState, Subject, Verb
from unit.core.inventory.scripted import Gate, box, names, quiet, steps, until

S = ResourceState
ANN = (ChangeCause.API, "ann")
NOBODY = (ChangeCause.EXTERNAL, "")
LONG = 3600.0


def causes(inventory, after=0):
    """Return the cause of the last change of each resource."""
    return {
        (entry.after or entry.before).id: (entry.cause, entry.actor)
        for entry in inventory.history.after(after, 100)
    }


async def pause(engine, inventory, connection, id="1"):
    """Do a pause that the engine reports."""
    entry = inventory.entry(connection, id)
    with inventory.activity(entry, Verb.PAUSE):
        begun = inventory.begin()
        engine.put(box(id, entry.observed.name, S.PAUSED))
        await inventory.finish(connection, entry, engine.there[id], begun)


async def test_event_during_verb_is_refreshed_after_busy_delay(engine, connection, follow):
    engine.put(box())
    inventory = await follow(busy_delay=0.05)

    await pause(engine, inventory, connection)
    assert engine.asked["summary"] == 0
    await quiet(inventory)

    assert engine.asked["summary"] == 1
    assert steps(inventory) == [S.RUNNING, S.RUNNING, S.PAUSED]


async def test_event_after_verb_is_refreshed_after_busy_delay(engine, connection, follow):
    engine.put(box())
    engine.put(box("2", "other"))
    inventory = await follow(busy_delay=LONG)
    await pause(engine, inventory, connection)

    engine.tell("1")
    engine.put(box("2", "other", S.PAUSED))
    await until(lambda: inventory.entry(connection, "2").published.state is S.PAUSED)

    assert engine.asked["summary"] == 1  # of the other resource


async def test_event_long_after_verb_is_refreshed_at_once(engine, connection, follow):
    engine.put(box())
    inventory = await follow(busy_delay=0.0)
    await pause(engine, inventory, connection)
    await quiet(inventory)

    engine.put(box(state=S.STOPPED))
    await until(lambda: inventory.entry(connection, "1").published.state is S.STOPPED)


async def test_event_during_long_verb_is_refreshed_before_its_end(engine, connection, follow):
    engine.put(box())
    inventory = await follow(busy_delay=0.02)

    with inventory.activity(inventory.entry(connection, "1"), Verb.STOP):
        engine.put(box(state=S.STOPPING))
        await until(lambda: inventory.entry(connection, "1").published.state is S.STOPPING)


async def test_refresh_by_caller_during_verb_is_not_delayed(engine, connection, follow):
    """A refresh on request also ends the delay: a verb that refreshes at its end does not wait."""
    for id in ("1", "2"):
        engine.put(box(id, id))
    inventory = await follow(busy_delay=LONG)

    with inventory.activity(inventory.entry(connection, "1"), Verb.PAUSE):
        engine.put(box("1", "1", S.PAUSED))
        assert (await inventory.refresh(connection, "1")).published.state is S.PAUSED
        await quiet(inventory)


async def test_refresh_by_caller_with_delayed_event_is_immediate(engine, connection, follow):
    engine.put(box())
    inventory = await follow(busy_delay=LONG)

    with inventory.activity(inventory.entry(connection, "1"), Verb.PAUSE):
        engine.put(box(state=S.PAUSED))
        await asyncio.sleep(0)  # the delay has begun
        assert (await inventory.refresh(connection, "1")).published.state is S.PAUSED


async def test_finish_after_another_read_was_applied_refreshes(engine, connection, follow):
    engine.put(box())
    inventory = await follow()
    entry = inventory.entry(connection, "1")

    with inventory.activity(entry, Verb.PAUSE):
        begun = inventory.begin()
        engine.put(box(state=S.PAUSED), tell=False)
        observed = engine.there["1"]
        engine.put(box(state=S.STOPPED), tell=False)
        await inventory.refresh(connection, "1")
        await inventory.finish(connection, entry, observed, begun)

    assert entry.published.state is S.STOPPED
    assert engine.asked["summary"] == 2


@pytest.mark.parametrize("mark", ["1", "nonce"])
async def test_attribution_during_create_before_answer_is_its_caller(
    engine, connection, follow, mark
):
    """Docker reports a new container before it answers with its id."""
    inventory = await follow()
    act_for(Subject("ann"))

    async with inventory.recorder.creating(connection) as expect:
        await expect(mark)
        engine.put(box("1", "web", S.STOPPED, creation="nonce"))
        engine.put(box("2", "web", creation="another"))
        await quiet(inventory)
        assert causes(inventory) == {"1": ANN, "2": NOBODY}
        engine.put(box("1", "web", S.RUNNING, creation="nonce"))
        await quiet(inventory)
        assert causes(inventory)["1"] == ANN
    engine.put(box("1", "web", S.STOPPED, creation="nonce"))
    await quiet(inventory)

    assert causes(inventory) == {"1": NOBODY, "2": NOBODY}


async def test_attribution_of_failed_create_cleanup_is_its_caller(engine, connection, follow):
    inventory = await follow()
    act_for(Subject("ann"))

    async def create():
        async with inventory.recorder.creating(connection) as expect:
            await expect("1")
            engine.put(box())
            await quiet(inventory)
            engine.take("1", tell=False)
            raise EngineConflictError("scripted", "no such network")

    with pytest.raises(EngineConflictError):
        await create()

    assert names(inventory, connection) == []
    assert causes(inventory) == {"1": ANN}


async def test_create_failed_on_hung_engine_raises_soon(engine, connection, follow):
    inventory = await follow(settles_within=0.01)

    async def create():
        async with inventory.recorder.creating(connection) as expect:
            await expect("1")
            engine.put(box())
            await quiet(inventory)
            engine.before = Gate()
            raise EngineConflictError("scripted", "no such network")

    with pytest.raises(EngineConflictError):
        await create()

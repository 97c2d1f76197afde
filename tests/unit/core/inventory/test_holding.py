"""Verbs and creates under way: what they are about to tell, and whose doing it is."""

import asyncio

import pytest

from proad.core.actor import act_for
from proad.core.inventory import holds as module
from proad.model import Activity, ChangeCause, ResourceState, Verb
from unit.core.inventory.scripted import box, names, quiet, steps, until

S = ResourceState


async def test_a_look_waits_a_moment_for_the_verb_that_is_about_to_tell(engine, connection, follow):
    engine.put(box())
    inventory = await follow()
    refresher, entry = inventory.refresher(connection), inventory.entry(connection, "1")

    with refresher.holding("1"):
        engine.put(box(state=S.PAUSED))
        await asyncio.sleep(module.HOLD / 4)
        assert engine.asked["summary"] == 0
        refresher.finish(entry, box(state=S.PAUSED))
    await quiet(inventory)

    assert steps(inventory) == [S.RUNNING, S.PAUSED]


async def test_a_look_does_not_wait_for_a_long_verb(engine, connection, follow):
    engine.put(box())
    inventory = await follow()

    with inventory.refresher(connection).holding("1"):
        engine.put(box(state=S.STOPPING))
        await until(lambda: inventory.entry(connection, "1").published.state == S.STOPPING)


async def test_who_asks_does_not_wait_for_a_verb(engine, connection, follow, monkeypatch):
    for patience in ("HOLD", "HOLD_AT_MOST"):  # longer than any machine takes for a look
        monkeypatch.setattr(module, patience, 30.0)
    engine.put(box())
    inventory = await follow()
    loop = asyncio.get_running_loop()

    with inventory.refresher(connection).holding("1"):
        engine.put(box(state=S.PAUSED), tell=False)
        began = loop.time()
        entry = await inventory.refresher(connection).refresh("1")
        assert loop.time() - began < module.HOLD

    assert entry.published.state == S.PAUSED


async def test_a_look_that_was_put_off_goes_on_when_somebody_asks(
    engine, connection, follow, monkeypatch
):
    """A verb that looks at its end must not wait for itself to be over."""
    for patience in ("HOLD", "HOLD_AT_MOST"):
        monkeypatch.setattr(module, patience, 3600.0)
    engine.put(box())
    inventory = await follow()
    refresher = inventory.refresher(connection)

    with refresher.holding("1"), refresher.making():
        for id in ("1", "2"):
            engine.put(box(id, id, state=S.PAUSED))
        await until(lambda: {"1", "2"} <= refresher._refreshing.keys())
        assert engine.asked["summary"] == 0
        for id in ("1", "2"):
            assert (await asyncio.wait_for(refresher.refresh(id), 60)).published.state is S.PAUSED


async def test_what_is_there_already_is_not_what_a_create_makes(engine, connection, follow):
    engine.put(box("1", "web"))
    inventory = await follow()

    async def make():
        act_for("ann")
        with inventory.refresher(connection).making() as on_made:
            engine.put(box("1", "web", S.PAUSED))
            await until(lambda: inventory.entry(connection, "1").published.state is S.PAUSED)
            on_made("2")
            engine.put(box("2", "web", S.STOPPED))
            await until(lambda: inventory.entry(connection, "2") is not None)
            engine.put(box("2", "web", S.RUNNING))
            await until(lambda: inventory.entry(connection, "2").published.state is S.RUNNING)

    await asyncio.create_task(make())

    told = [(e.after.id, e.cause, e.actor) for e in inventory.journal.after(1, 10)]
    assert told == [
        ("1", ChangeCause.EXTERNAL, ""),
        ("2", ChangeCause.API, "ann"),
        ("2", ChangeCause.API, "ann"),
    ]


def origins(inventory, after=0):
    return {
        (entry.after or entry.before).id: (entry.cause, entry.actor)
        for entry in inventory.journal.after(after, 100)
    }


ANN = (ChangeCause.API, "ann")
NOBODY = (ChangeCause.EXTERNAL, "")


@pytest.fixture
def patience(monkeypatch):
    """Longer than any machine takes for a look."""
    for hold in ("HOLD_NEW", "HOLD_AT_MOST"):
        monkeypatch.setattr(module, hold, 30.0)


async def test_what_is_made_is_its_makers_however_late_the_engine_gives_the_id(
    engine, connection, follow, patience
):
    """Docker tells of a new container before it answers with its id."""
    inventory = await follow()
    act_for("ann")

    with inventory.refresher(connection).making() as on_made:
        for id in ("1", "2"):
            engine.put(box(id, "web"))
        on_made("1")
        await until(lambda: names(inventory, connection))
    await quiet(inventory)

    assert origins(inventory) == {"1": ANN, "2": NOBODY}


async def test_a_create_that_takes_long_is_its_callers(engine, connection, follow, monkeypatch):
    """Until it knows the id it hides nothing for long; from then on all of it is its doing."""
    monkeypatch.setattr(module, "HOLD_NEW", 0.05)
    inventory = await follow()
    act_for("ann")

    with inventory.refresher(connection).making() as on_made:
        engine.put(box("other", "web"))
        await until(lambda: names(inventory, connection))
        on_made("1")
        for state in (S.STOPPED, S.RUNNING):
            engine.put(box("1", "web", state))
            await quiet(inventory)
            assert origins(inventory) == {"other": NOBODY, "1": ANN}
        engine.put(box("other", "web", S.STOPPED))
        engine.put(box("1", "web", S.STOPPED))
        await quiet(inventory)

    assert origins(inventory) == {"other": NOBODY, "1": NOBODY}


async def test_what_a_thread_says_after_its_call_is_over_harms_nobody(engine, connection, follow):
    inventory = await follow()
    with inventory.refresher(connection).making() as on_made:
        pass

    on_made("1")
    engine.put(box("1"))
    await quiet(inventory)

    assert origins(inventory) == {"1": NOBODY}


async def test_what_is_pruned_bears_the_name_of_who_did_it(engine, connection, follow, patience):
    for id in ("1", "2"):
        engine.put(box(id, id, S.STOPPED))
    inventory = await follow()
    refresher, before = inventory.refresher(connection), inventory.journal.revision
    act_for("ann")

    with refresher.pruning():
        engine.take("1")
        engine.take("2")
        refresher.drop("1", actor="ann")
    await quiet(inventory)

    assert origins(inventory, before) == {"1": ANN, "2": NOBODY}


async def test_what_goes_during_a_prune_that_takes_long_is_its_doing(
    engine, connection, follow, monkeypatch
):
    monkeypatch.setattr(module, "HOLD_AT_MOST", 0.05)
    engine.put(box("1", "1", S.STOPPED))
    engine.put(box("2", "2", S.RUNNING))
    inventory = await follow()
    before = inventory.journal.revision
    act_for("ann")

    with inventory.refresher(connection).pruning():
        engine.take("1")
        engine.take("2")
        await until(lambda: not names(inventory, connection))

    assert origins(inventory, before) == {"1": ANN, "2": NOBODY}


async def test_changes_during_an_activity_are_its_doing(engine, connection, follow):
    engine.put(box())
    inventory = await follow()
    entry = inventory.entry(connection, "1")
    inventory.store.set_activity(entry, Activity(verb=Verb.STOP, actor="ann"))

    engine.put(box(state=S.STOPPING))
    await quiet(inventory)

    *_, last = inventory.journal.after(0, 10)
    assert (last.after.state, last.cause, last.actor) == (S.STOPPING, ChangeCause.API, "ann")

"""Verbs and creates under way: what they are about to tell, and whose doing it is."""

import asyncio

from proad.core.actor import act_for
from proad.core.inventory import holds as module
from proad.model import Activity, ChangeCause, ResourceState, Verb
from unit.core.inventory.scripted import box, quiet, until
from unit.core.inventory.test_mirror import names, steps

S = ResourceState


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


async def test_who_asks_does_not_wait_for_a_verb(engine, link, follow, monkeypatch):
    for patience in ("HOLD", "HOLD_AT_MOST"):  # longer than any machine takes for a look
        monkeypatch.setattr(module, patience, 30.0)
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
    monkeypatch.setattr(module, "HOLD_AT_MOST", 0.05)
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

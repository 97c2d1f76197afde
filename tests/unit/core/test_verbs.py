"""Verbs and what the inventory makes of them, while events come and go."""

import asyncio
from dataclasses import replace

import pytest

from proad.core.actor import act_for
from proad.core.resolver import ResolvedResource
from proad.errors import (
    ResourceAlreadyRunningError,
    ResourceNotFoundError,
)
from proad.model import ChangeCause, Lifetime, ResourceState, Verb
from unit.core.inventory.scripted import becomes, box, quiet, until

S = ResourceState


def states(inventory):
    return [
        entry.after and (entry.after.state, entry.after.activity and entry.after.activity.verb)
        for entry in inventory.journal.after(0, 1000)
    ]


async def test_a_verb_is_two_changes(engine, verbs, inventory, found):
    """It is being done; it is done. The event that it causes adds nothing."""
    answer = await verbs.transition(Verb.PAUSE, found, becomes(engine, S.PAUSED))
    await quiet(inventory)

    assert answer is inventory.entry(found.connection, "1").published
    assert states(inventory) == [(S.RUNNING, None), (S.RUNNING, Verb.PAUSE), (S.PAUSED, None)]


async def test_a_verb_costs_the_engine_no_reading_of_ours(engine, verbs, inventory, found):
    await verbs.transition(Verb.PAUSE, found, becomes(engine, S.PAUSED, tell=False))

    assert engine.asked["summary"] == engine.asked["full"] == 0


async def test_what_was_read_before_a_verb_does_not_undo_it(engine, verbs, inventory, found):
    """A look that is on its way with the old state while the verb is done."""
    release = asyncio.Event()

    async def slow(method, id):
        if engine.there["1"].state is S.RUNNING:
            await release.wait()

    engine.after = slow
    engine.tell("1")
    await asyncio.sleep(0.01)

    answer = await verbs.transition(Verb.PAUSE, found, becomes(engine, S.PAUSED))
    assert answer.state == S.PAUSED
    release.set()
    await quiet(inventory)

    assert inventory.entry(found.connection, "1").published.state == S.PAUSED


async def test_what_was_read_during_a_verb_makes_it_look_again(engine, verbs, inventory, found):
    """Somebody stopped it between the verb's own reading and its end."""

    async def act(before, on_step):
        engine.put(box(state=S.PAUSED))
        observed = engine.there[before.id]
        engine.put(box(state=S.STOPPED))
        await inventory.refresh(found.connection, before.id)
        return observed

    answer = await verbs.transition(Verb.PAUSE, found, act)
    await quiet(inventory)

    assert answer.state == inventory.entry(found.connection, "1").published.state == S.STOPPED


async def test_changes_of_a_verb_are_its_callers(engine, verbs, inventory, found):
    act_for("ann")

    async def act(before, on_step):
        engine.put(box(state=S.STOPPING))
        on_step("asked")
        # Looks are put off, but not for as long as a stop takes.
        await until(
            lambda: inventory.entry(found.connection, before.id).published.state is S.STOPPING
        )
        engine.put(box(state=S.STOPPED))
        return engine.there[before.id]

    await verbs.transition(Verb.STOP, found, act)
    await quiet(inventory)

    entries = inventory.journal.after(1, 100)
    assert {(entry.cause, entry.actor) for entry in entries} == {(ChangeCause.API, "ann")}
    assert S.STOPPING in {entry.after.state for entry in entries}


async def test_a_step_is_shown(engine, verbs, inventory, found):
    told = []

    async def act(before, on_step):
        for percent in (None, 50):
            on_step("saving", percent)
            activity = inventory.entry(found.connection, before.id).published.activity
            told.append((activity.step, activity.percent))
        return engine.there[before.id]

    await verbs.transition(Verb.STOP, found, act)

    assert told == [("saving", None), ("saving", 50)]
    assert inventory.entry(found.connection, "1").published.activity is None


async def test_a_transient_one_that_stops_is_gone(engine, verbs, inventory, connection):
    engine.put(box("2", "brief", lifetime=Lifetime.TRANSIENT))
    await quiet(inventory)

    async def act(before, on_step):
        last = replace(engine.there[before.id], state=S.STOPPED)
        engine.take(before.id)
        return last

    found = ResolvedResource(connection, inventory.entry(connection, "2").published, "2")
    answer = await verbs.transition(Verb.STOP, found, act)

    assert (answer.state, answer.activity, answer.allowed_verbs) == (S.STOPPED, None, ())
    assert inventory.entry(connection, "2") is None


async def test_what_is_deleted_while_it_stops_is_told_stopped(engine, verbs, inventory, found):
    async def act(before, on_step):
        engine.put(box(state=S.STOPPED))
        observed = engine.there[before.id]
        engine.take(before.id)
        inventory.remove(found.connection, before.id)
        return observed

    answer = await verbs.transition(Verb.STOP, found, act)

    assert (answer.state, answer.activity) == (S.STOPPED, None)
    assert inventory.entry(found.connection, "1") is None


async def test_what_is_made_anew_while_it_is_deleted_stays(engine, verbs, inventory, found):
    """A domain under its old UUID, while the volumes of the one before are removed."""

    async def act(id, on_step):
        last = engine.there[id]
        engine.take(id)
        await until(lambda: inventory.entry(found.connection, id) is None)
        engine.put(box(name="anew"))
        await until(lambda: inventory.entry(found.connection, id) is not None)
        return last

    assert (await verbs.delete(found, act, force=True)).name == "web"
    assert inventory.entry(found.connection, "1").published.name == "anew"


async def test_what_is_removed_while_it_is_killed_does_not_come_back(
    engine, verbs, inventory, found
):
    """By force, beside a graceful stop."""
    asked, over = asyncio.Event(), asyncio.Event()

    async def graceful(before, on_step):
        asked.set()
        await over.wait()
        return replace(before, state=S.STOPPED)

    async def force(before, on_step):
        engine.take(before.id)
        await until(lambda: inventory.entry(found.connection, before.id) is None)
        return replace(before, state=S.STOPPED)

    stopping = asyncio.create_task(verbs.transition(Verb.STOP, found, graceful))
    await asked.wait()
    answer = await verbs.transition(Verb.STOP, found, force, force=True)
    over.set()
    assert {answer.state, (await stopping).state} == {S.STOPPED}
    assert not list(inventory.all(found.connection))


async def test_a_delete_is_known_at_once(engine, verbs, inventory, found):
    act_for("ann")

    async def act(id, on_step):
        last = engine.there[id]
        engine.take(id)
        return last

    answer = await verbs.delete(found, act, force=True)
    await quiet(inventory)

    assert (answer.name, answer.activity) == ("web", None)
    assert inventory.entry(found.connection, "1") is None
    *_, last = inventory.journal.after(0, 100)
    assert (last.after, last.cause, last.actor) == (None, ChangeCause.API, "ann")


async def test_no_refusal_without_a_look(engine, verbs, inventory, found):
    """The engine is ahead of its own events."""
    engine.put(box(state=S.STOPPED), tell=False)

    answer = await verbs.transition(Verb.START, found, becomes(engine, S.RUNNING))

    assert answer.state == S.RUNNING


async def test_a_refusal_reaches_no_engine(engine, verbs, inventory, found):
    async def act(before, on_step):
        raise AssertionError("it was asked")

    with pytest.raises(ResourceAlreadyRunningError):
        await verbs.transition(Verb.START, found, act)
    assert inventory.journal.revision == 1  # nor is it told as an activity


async def test_what_is_gone_by_then_is_not_found(engine, verbs, inventory, found):
    engine.take("1")
    await quiet(inventory)

    with pytest.raises(ResourceNotFoundError):
        await verbs.transition(Verb.PAUSE, found, becomes(engine, S.PAUSED))

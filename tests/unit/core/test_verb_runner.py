"""Verbs and their results in the inventory, while events come and go."""

import asyncio
from dataclasses import replace

import pytest

from proad.core.actor import act_for
from proad.core.resolver import ResolvedResource
from proad.errors import (
    ResourceAlreadyRunningError,
    ResourceNotFoundError,
)
from proad.model import ChangeCause, Lifetime, ResourceState, Subject, Verb
from unit.core.inventory.scripted import becomes, box, quiet, until

S = ResourceState


def states(inventory):
    return [
        entry.after and (entry.after.state, entry.after.activity and entry.after.activity.verb)
        for entry in inventory.history.after(0, 1000)
    ]


async def test_transition_publishes_its_begin_and_its_end(engine, verbs, inventory, resolved):
    """The event that the verb causes adds no change."""
    answer = await verbs.transition(Verb.PAUSE, resolved, becomes(engine, S.PAUSED))
    await quiet(inventory)

    assert answer is inventory.entry(resolved.connection, "1").published
    assert states(inventory) == [(S.RUNNING, None), (S.RUNNING, Verb.PAUSE), (S.PAUSED, None)]


async def test_transition_reads_nothing_again(engine, verbs, inventory, resolved):
    await verbs.transition(Verb.PAUSE, resolved, becomes(engine, S.PAUSED, tell=False))

    assert engine.asked["summary"] == engine.asked["full"] == 0


async def test_transition_read_begun_before_does_not_undo_it(engine, verbs, inventory, resolved):
    reading, release = asyncio.Event(), asyncio.Event()

    async def slow(method, id):
        if engine.there["1"].state is S.RUNNING:
            reading.set()
            await release.wait()

    engine.after = slow
    engine.tell("1")
    await reading.wait()

    answer = await verbs.transition(Verb.PAUSE, resolved, becomes(engine, S.PAUSED))
    assert answer.state == S.PAUSED
    release.set()
    await quiet(inventory)

    assert inventory.entry(resolved.connection, "1").published.state == S.PAUSED


async def test_transition_read_during_it_refreshes_once_more(engine, verbs, inventory, resolved):
    """Another actor stops the resource between the last read of the verb and its end."""

    async def act(before, on_step):
        engine.put(box(state=S.PAUSED))
        observed = engine.there[before.id]
        engine.put(box(state=S.STOPPED))
        await inventory.refresh(resolved.connection, before.id)
        return observed

    answer = await verbs.transition(Verb.PAUSE, resolved, act)
    await quiet(inventory)

    assert answer.state == inventory.entry(resolved.connection, "1").published.state == S.STOPPED


async def test_transition_changes_on_the_way_are_attributed_to_the_caller(
    engine, verbs, inventory, resolved
):
    act_for(Subject("ann"))

    async def act(before, on_step):
        engine.put(box(state=S.STOPPING))
        on_step("asked")
        # Refreshes are delayed, but not for as long as a stop takes.
        await until(
            lambda: inventory.entry(resolved.connection, before.id).published.state is S.STOPPING
        )
        engine.put(box(state=S.STOPPED))
        return engine.there[before.id]

    await verbs.transition(Verb.STOP, resolved, act)
    await quiet(inventory)

    entries = inventory.history.after(1, 100)
    assert {(entry.cause, entry.actor) for entry in entries} == {(ChangeCause.API, "ann")}
    assert S.STOPPING in {entry.after.state for entry in entries}


async def test_transition_step_is_published(engine, verbs, inventory, resolved):
    told = []

    async def act(before, on_step):
        for percent in (None, 50):
            on_step("saving", percent)
            activity = inventory.entry(resolved.connection, before.id).published.activity
            told.append((activity.step, activity.percent))
        return engine.there[before.id]

    await verbs.transition(Verb.STOP, resolved, act)

    assert told == [("saving", None), ("saving", 50)]
    assert inventory.entry(resolved.connection, "1").published.activity is None


async def test_transition_transient_resource_stopped_is_removed(
    engine, verbs, inventory, connection
):
    engine.put(box("2", "brief", lifetime=Lifetime.TRANSIENT))
    await quiet(inventory)

    async def act(before, on_step):
        last = replace(engine.there[before.id], state=S.STOPPED)
        engine.take(before.id)
        return last

    resolved = ResolvedResource(connection, inventory.entry(connection, "2").published, "2")
    answer = await verbs.transition(Verb.STOP, resolved, act)

    assert (answer.state, answer.activity, answer.allowed_verbs) == (S.STOPPED, None, ())
    assert inventory.entry(connection, "2") is None


async def test_transition_resource_deleted_during_it_returns_the_last_state(
    engine, verbs, inventory, resolved
):
    async def act(before, on_step):
        engine.put(box(state=S.STOPPED))
        observed = engine.there[before.id]
        engine.take(before.id)
        inventory.remove(resolved.connection, before.id)
        return observed

    answer = await verbs.transition(Verb.STOP, resolved, act)

    assert (answer.state, answer.activity) == (S.STOPPED, None)
    assert inventory.entry(resolved.connection, "1") is None


async def test_delete_resource_recreated_meanwhile_keeps_the_new_one(
    engine, verbs, inventory, resolved
):
    """A domain is defined under the same UUID while the volumes of the former are deleted."""

    async def act(id, on_step):
        last = engine.there[id]
        engine.take(id)
        await until(lambda: inventory.entry(resolved.connection, id) is None)
        engine.put(box(name="anew"))
        await until(lambda: inventory.entry(resolved.connection, id) is not None)
        return last

    assert (await verbs.delete(resolved, act, force=True)).name == "web"
    assert inventory.entry(resolved.connection, "1").published.name == "anew"


async def test_transition_resource_removed_by_force_does_not_come_back(
    engine, verbs, inventory, resolved
):
    """FORCE goes beside a graceful stop."""
    asked, over = asyncio.Event(), asyncio.Event()

    async def graceful(before, on_step):
        asked.set()
        await over.wait()
        return replace(before, state=S.STOPPED)

    async def force(before, on_step):
        engine.take(before.id)
        await until(lambda: inventory.entry(resolved.connection, before.id) is None)
        return replace(before, state=S.STOPPED)

    stopping = asyncio.create_task(verbs.transition(Verb.STOP, resolved, graceful))
    await asked.wait()
    answer = await verbs.transition(Verb.STOP, resolved, force, force=True)
    over.set()
    assert {answer.state, (await stopping).state} == {S.STOPPED}
    assert not list(inventory.all(resolved.connection))


async def test_delete_removes_the_resource_at_once(engine, verbs, inventory, resolved):
    act_for(Subject("ann"))

    async def act(id, on_step):
        last = engine.there[id]
        engine.take(id)
        return last

    answer = await verbs.delete(resolved, act, force=True)
    await quiet(inventory)

    assert (answer.name, answer.activity) == ("web", None)
    assert inventory.entry(resolved.connection, "1") is None
    *_, last = inventory.history.after(0, 100)
    assert (last.after, last.cause, last.actor) == (None, ChangeCause.API, "ann")


async def test_transition_inventory_behind_the_engine_refreshes_before_refusing(
    engine, verbs, inventory, resolved
):
    engine.put(box(state=S.STOPPED), tell=False)

    answer = await verbs.transition(Verb.START, resolved, becomes(engine, S.RUNNING))

    assert answer.state == S.RUNNING


async def test_transition_illegal_calls_no_driver_and_publishes_nothing(
    engine, verbs, inventory, resolved
):
    async def act(before, on_step):
        raise AssertionError("the driver was called")

    with pytest.raises(ResourceAlreadyRunningError):
        await verbs.transition(Verb.START, resolved, act)
    assert inventory.history.revision == 1


async def test_transition_resource_gone_raises_not_found(engine, verbs, inventory, resolved):
    engine.take("1")
    await quiet(inventory)

    with pytest.raises(ResourceNotFoundError):
        await verbs.transition(Verb.PAUSE, resolved, becomes(engine, S.PAUSED))

"""Verbs that fail: the error that their callers get, and the refresh before it."""

from dataclasses import replace

import pytest

from proad.core.actor import act_for
from proad.core.verb_runner import VerbTiming
from proad.errors import (
    EngineConflictError,
    EngineTimedOutError,
    EngineUnreachableError,
)
from proad.model import ChangeCause, ResourceState, Subject, Verb
from unit.core.inventory.scripted import Gate, box, until
from unit.core.verb_caller import VerbCaller

S = ResourceState


async def test_verb_fails_refreshes_before_it_raises(engine, verbs, inventory, resolved):
    act_for(Subject("ann"))

    async def act(id, on_step):
        engine.put(replace(engine.there[id], name="renamed"), tell=False)
        raise EngineConflictError("scripted", "half done")

    with pytest.raises(EngineConflictError):
        await verbs.do(Verb.UPDATE, resolved, act)

    published = inventory.entry(resolved.connection, "1").published
    assert (published.name, published.activity) == ("renamed", None)
    renamed = next(e for e in inventory.history.after(0, 100) if e.after.name == "renamed")
    assert (renamed.cause, renamed.actor) == (ChangeCause.API, "ann")


async def test_verb_fails_refreshes_the_full_view_too(engine, verbs, inventory, resolved):
    before = await inventory.full(resolved.connection, "1")

    async def act(id, on_step):
        engine.commands[id] = "second"
        raise EngineConflictError("scripted", "half done")

    with pytest.raises(EngineConflictError):
        await verbs.do(Verb.UPDATE, resolved, act)

    assert inventory.entry(resolved.connection, "1").published.etag != before.etag
    assert (await inventory.full(resolved.connection, "1")).container.command == ("second",)


@pytest.mark.parametrize("error", [EngineUnreachableError("scripted"), ZeroDivisionError()])
async def test_verb_fails_and_refresh_fails_raises_the_first_error(engine, verbs, resolved, error):
    async def fail(method, id):
        raise error

    async def act(before, on_step):
        engine.before = fail
        raise EngineConflictError("scripted", "half done")

    with pytest.raises(EngineConflictError):
        await verbs.transition(Verb.PAUSE, resolved, act)


async def test_verb_fails_and_refresh_hangs_raises_after_refresh_within(
    engine, connection, inventory, resolved
):
    verbs = VerbCaller(inventory, connection, VerbTiming(refresh_within=0.01))
    engine.before = gate = Gate()

    async def act(before, on_step):
        engine.put(box(state=S.STOPPED), tell=False)
        raise EngineConflictError("scripted", "half done")

    with pytest.raises(EngineConflictError):
        await verbs.transition(Verb.PAUSE, resolved, act)
    assert inventory.entry(resolved.connection, "1").published.state is S.RUNNING

    gate.open.set()
    await until(lambda: inventory.entry(resolved.connection, "1").published.state is S.STOPPED)


@pytest.mark.parametrize("error", [EngineUnreachableError, EngineTimedOutError])
async def test_verb_engine_does_not_answer_refreshes_later(
    engine, verbs, inventory, resolved, error
):
    engine.before = gate = Gate()

    async def act(before, on_step):
        engine.put(box(state=S.STOPPED), tell=False)
        raise error("scripted")

    with pytest.raises(error):
        await verbs.transition(Verb.PAUSE, resolved, act)
    assert not gate.reached.is_set()

    gate.open.set()
    await until(lambda: inventory.entry(resolved.connection, "1").published.state is S.STOPPED)

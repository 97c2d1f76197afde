"""Verbs that fail: what their callers hear, and what is looked at for it."""

from dataclasses import replace

import pytest

from proad.core.actor import act_for
from proad.core.verb_runner import VerbTiming
from proad.errors import (
    EngineConflictError,
    EngineTimedOutError,
    EngineUnreachableError,
)
from proad.model import ChangeCause, ResourceState, Verb
from unit.core.inventory.scripted import Gate, box, until
from unit.core.verb_caller import VerbCaller

S = ResourceState


async def test_a_failure_is_told_when_what_became_of_it_is_known(engine, verbs, inventory, found):
    act_for("ann")

    async def act(id, on_step):
        engine.put(replace(engine.there[id], name="renamed"), tell=False)
        raise EngineConflictError("scripted", "half done")

    with pytest.raises(EngineConflictError):
        await verbs.do(Verb.UPDATE, found, act)

    published = inventory.entry(found.connection, "1").published
    assert (published.name, published.activity) == ("renamed", None)
    renamed = next(e for e in inventory.journal.after(0, 100) if e.after.name == "renamed")
    assert (renamed.cause, renamed.actor) == (ChangeCause.API, "ann")


async def test_a_failure_may_change_what_a_summary_does_not_show(engine, verbs, inventory, found):
    before = await inventory.full(found.connection, "1")

    async def act(id, on_step):
        engine.commands[id] = "second"
        raise EngineConflictError("scripted", "half done")

    with pytest.raises(EngineConflictError):
        await verbs.do(Verb.UPDATE, found, act)

    assert inventory.entry(found.connection, "1").published.etag != before.etag
    assert (await inventory.full(found.connection, "1")).container.command == ("second",)


@pytest.mark.parametrize("error", [EngineUnreachableError("scripted"), ZeroDivisionError()])
async def test_a_look_that_fails_does_not_hide_the_failure(engine, verbs, found, error):
    async def fail(method, id):
        raise error

    async def act(before, on_step):
        engine.before = fail
        raise EngineConflictError("scripted", "half done")

    with pytest.raises(EngineConflictError):
        await verbs.transition(Verb.PAUSE, found, act)


async def test_a_failure_does_not_wait_long_for_a_look(engine, connection, inventory, found):
    verbs = VerbCaller(inventory, connection, VerbTiming(refresh_within=0.01))
    engine.before = gate = Gate()

    async def act(before, on_step):
        engine.put(box(state=S.STOPPED), tell=False)
        raise EngineConflictError("scripted", "half done")

    with pytest.raises(EngineConflictError):
        await verbs.transition(Verb.PAUSE, found, act)
    assert inventory.entry(found.connection, "1").published.state is S.RUNNING

    gate.open.set()
    await until(lambda: inventory.entry(found.connection, "1").published.state is S.STOPPED)


@pytest.mark.parametrize("error", [EngineUnreachableError, EngineTimedOutError])
async def test_an_engine_that_does_not_answer_is_looked_at_later(
    engine, verbs, inventory, found, error
):
    engine.before = gate = Gate()

    async def act(before, on_step):
        engine.put(box(state=S.STOPPED), tell=False)
        raise error("scripted")

    with pytest.raises(error):
        await verbs.transition(Verb.PAUSE, found, act)
    assert not gate.reached.is_set()

    gate.open.set()
    await until(lambda: inventory.entry(found.connection, "1").published.state is S.STOPPED)

"""Verbs whose callers go away: up to where they are given up, and from where they are not."""

import asyncio

import pytest

from proad.model import ResourceState, Verb
from unit.core.inventory.scripted import Gate, becomes, until

S = ResourceState


async def gone(caller):
    """Have a caller go away."""
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_what_has_not_begun_is_given_up_with_its_caller(engine, verbs, inventory, found):
    stopping, over, done = asyncio.Event(), asyncio.Event(), []

    async def stop(before, on_step):
        stopping.set()
        await over.wait()
        return engine.there[before.id]

    async def update(id, on_step):
        done.append(id)

    first = asyncio.ensure_future(verbs.transition(Verb.STOP, found, stop))
    await stopping.wait()
    second = asyncio.ensure_future(verbs.do(Verb.UPDATE, found, update))
    third = asyncio.ensure_future(verbs.transition(Verb.PAUSE, found, becomes(engine, S.PAUSED)))
    await asyncio.sleep(0)
    await gone(second)
    over.set()
    await asyncio.gather(first, third)

    assert done == []


async def test_a_verb_that_still_asks_whether_it_may_is_given_up_with_its_caller(
    engine, verbs, inventory, found
):
    engine.before = gate = Gate()
    done = []

    async def update(id, on_step):
        done.append(id)

    caller = asyncio.ensure_future(verbs.do(Verb.UPDATE, found, update, etag=found.resource.etag))
    await gate.reached.wait()
    await gone(caller)
    gate.open.set()
    await verbs.transition(Verb.PAUSE, found, becomes(engine, S.PAUSED))

    assert done == []


async def test_a_verb_that_has_begun_goes_to_its_end(engine, verbs, inventory, found):
    asked, let_go = asyncio.Event(), asyncio.Event()

    async def pause(before, on_step):
        asked.set()
        await let_go.wait()
        return await becomes(engine, S.PAUSED)(before, on_step)

    caller = asyncio.ensure_future(verbs.transition(Verb.PAUSE, found, pause))
    await asked.wait()
    await gone(caller)
    let_go.set()

    await until(lambda: inventory.entry(found.connection, "1").published.state is S.PAUSED)

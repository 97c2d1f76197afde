"""Verbs whose callers go away: cancelled before they begin, and run to their end after."""

import asyncio

import pytest

from proad.model import ResourceState, Verb
from unit.core.inventory.scripted import Gate, becomes, until

S = ResourceState


async def go_away(caller):
    """Cancel a caller, and wait until it has gone."""
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_verb_caller_cancelled_while_it_waits_is_not_run(engine, verbs, inventory, resolved):
    stopping, over, done = asyncio.Event(), asyncio.Event(), []

    async def stop(before, on_step):
        stopping.set()
        await over.wait()
        return engine.there[before.id]

    async def update(id, on_step):
        done.append(id)

    first = asyncio.ensure_future(verbs.transition(Verb.STOP, resolved, stop))
    await stopping.wait()
    second = asyncio.ensure_future(verbs.do(Verb.UPDATE, resolved, update))
    third = asyncio.ensure_future(verbs.transition(Verb.PAUSE, resolved, becomes(engine, S.PAUSED)))
    await asyncio.sleep(0)
    await go_away(second)
    over.set()
    await asyncio.gather(first, third)

    assert done == []


async def test_verb_caller_cancelled_before_permission_is_not_run(
    engine, verbs, inventory, resolved
):
    engine.before = gate = Gate()
    done = []

    async def update(id, on_step):
        done.append(id)

    caller = asyncio.ensure_future(
        verbs.do(Verb.UPDATE, resolved, update, etag=resolved.resource.etag)
    )
    await gate.reached.wait()
    await go_away(caller)
    gate.open.set()
    await verbs.transition(Verb.PAUSE, resolved, becomes(engine, S.PAUSED))

    assert done == []


async def test_verb_caller_cancelled_after_its_begin_goes_to_its_end(
    engine, verbs, inventory, resolved
):
    asked, release = asyncio.Event(), asyncio.Event()

    async def pause(before, on_step):
        asked.set()
        await release.wait()
        return await becomes(engine, S.PAUSED)(before, on_step)

    caller = asyncio.ensure_future(verbs.transition(Verb.PAUSE, resolved, pause))
    await asked.wait()
    await go_away(caller)
    release.set()

    await until(lambda: inventory.entry(resolved.connection, "1").published.state is S.PAUSED)

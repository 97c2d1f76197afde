"""Hints that wait for a reader: one for each resource, void with the stream."""

import asyncio

import pytest

from proad.drivers.hints import Hints
from proad.errors import EngineUnreachableError
from proad.model import EngineEvent

GONE = EngineUnreachableError("docker", "gone")


async def test_a_slow_reader_has_one_hint_for_each():
    hints = Hints()
    for number in range(1000):
        hints.add(EngineEvent(id="one", ended=number == 3, reconfigured=number == 5))
        hints.add(EngineEvent(id="other"))
    hints.add(EngineEvent(id="one", removed=True))
    assert await anext(hints) == EngineEvent(id="one", ended=True, reconfigured=True, removed=True)
    assert await anext(hints) == EngineEvent(id="other")


async def test_what_was_heard_is_not_said_again():
    hints = Hints()
    hints.add(EngineEvent(id="one", ended=True))
    await anext(hints)
    late = asyncio.ensure_future(anext(hints))
    await asyncio.sleep(0)
    assert not late.done()
    hints.add(EngineEvent(id="one"))
    assert await late == EngineEvent(id="one")


async def test_a_reader_that_gives_up_takes_nothing_with_it():
    hints = Hints()
    waiting = asyncio.ensure_future(anext(hints))
    await asyncio.sleep(0)
    hints.add(EngineEvent(id="one"))
    waiting.cancel()
    await asyncio.wait([waiting])
    assert await anext(hints) == EngineEvent(id="one")


async def test_a_loss_is_told_at_once_and_ever_after_and_voids_what_waits():
    hints = Hints()
    blocked = asyncio.ensure_future(anext(hints))
    await asyncio.sleep(0)
    hints.add(EngineEvent(id="one"))
    hints.lose(GONE)
    hints.lose(EngineUnreachableError("docker", "later"))
    hints.add(EngineEvent(id="two"))
    for reader in (blocked, anext(hints), anext(hints)):
        with pytest.raises(EngineUnreachableError, match="gone"):
            await reader

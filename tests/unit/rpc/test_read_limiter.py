"""Slots for messages that are read: few, and nobody keeps all of them."""

import asyncio

import pytest

from proad.errors import TooManyCallsError
from proad.rpc import read_limiter as module
from proad.rpc.read_limiter import ReadLimiter


class Readings:
    """Messages that are sent in part, and never the rest."""

    def __init__(self, most, most_waiting=10):
        self.limiter = ReadLimiter(most=most, most_waiting=most_waiting)
        self.begun = []
        self.tasks = {}

    async def come(self, *names):
        """Begin to read: `a1` and `a2` are both sent by `a`."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._read(name))
        await self.settle()

    async def _read(self, name):
        async with self.limiter.one(name[0], 60):
            self.begun.append(name)
            await asyncio.Event().wait()

    async def settle(self):
        for _ in range(8):
            await asyncio.sleep(0)

    async def cancel(self, *names):
        for name in names:
            self.tasks[name].cancel()
        await self.settle()

    async def leave(self):
        """Let all go, and count the seats that are free."""
        await self.cancel(*self.tasks)
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        assert not self.limiter._waiting
        assert not self.limiter._taken
        assert not self.limiter._staying
        assert not self.limiter._leaving
        return self.limiter._free


async def test_a_seat_that_is_free_is_taken_at_once():
    readings = Readings(2)

    await readings.come("a1", "b1", "c1")

    assert readings.begun == ["a1", "b1"]
    assert await readings.leave() == 2


async def test_whoever_has_the_most_seats_makes_room(monkeypatch):
    monkeypatch.setattr(module, "_TENURE", 0)
    readings = Readings(3)
    await readings.come("b1", "a1", "a2")

    await readings.come("c1")
    await readings.settle()

    with pytest.raises(TimeoutError):
        await readings.tasks["a1"]
    assert readings.begun == ["b1", "a1", "a2", "c1"]
    assert not readings.tasks["a2"].done()
    assert await readings.leave() == 3


async def test_a_message_has_some_time_also_when_others_wait():
    readings = Readings(1)
    loop = asyncio.get_running_loop()
    await readings.come("a1")
    began = loop.time()
    await readings.come("b1")

    with pytest.raises(TimeoutError):
        await readings.tasks["a1"]

    assert loop.time() - began > module._TENURE * 0.8
    assert await readings.leave() == 1


async def test_the_next_seat_is_for_whoever_has_the_fewest():
    readings = Readings(2)
    await readings.come("a1", "a2", "a3", "b1", "a4")

    await readings.cancel("a1")

    assert readings.begun == ["a1", "a2", "b1"]
    assert await readings.leave() == 2


async def test_those_who_have_as_many_take_turns():
    readings = Readings(1)
    await readings.come("x1", "a1", "a2", "b1", "b2")

    for name in ("x1", "a1", "b1", "a2"):
        await readings.cancel(name)

    assert readings.begun == ["x1", "a1", "b1", "a2", "b2"]
    assert await readings.leave() == 1


async def test_more_than_may_wait_are_refused():
    readings = Readings(1, most_waiting=2)
    await readings.come("a1", "a2", "a3", "a4", "b1")

    with pytest.raises(TooManyCallsError) as caught:
        await readings.tasks["a4"]
    assert caught.value.retry_after

    assert not readings.tasks["b1"].done()
    assert await readings.leave() == 1


async def test_whoever_goes_while_they_wait_takes_no_seat():
    readings = Readings(1)
    await readings.come("a1", "b1", "c1")
    await readings.cancel("b1")

    await readings.cancel("a1")

    assert readings.begun == ["a1", "c1"]
    assert await readings.leave() == 1


async def test_whoever_goes_when_their_seat_comes_passes_it_on():
    readings = Readings(1)
    await readings.come("a1", "b1", "c1")
    readings.tasks["a1"].cancel()
    while readings.limiter._waiting.keys() != {"c"}:  # noqa: ASYNC110 - within one step of the loop
        await asyncio.sleep(0)
    readings.tasks["b1"].cancel()
    await readings.settle()

    assert readings.begun[-1] == "c1"
    assert await readings.leave() == 1

"""Slots for messages that are read: few, and no caller keeps all of them."""

import asyncio

import pytest

from proad.errors import TooManyCallsError
from proad.rpc.read_limiter import ReadLimiter
from proad.rpc.timing import RpcTiming


class Readings:
    """Messages that are sent in part, and never the rest."""

    def __init__(self, slots, most_waiting=10, min_time=0.5):
        timing = RpcTiming(contended_read_timeout=min_time)
        self.limiter = ReadLimiter(slots=slots, most_waiting=most_waiting, timing=timing)
        self.begun = []
        self.tasks = {}

    async def come(self, *names):
        """Begin to read: `a1` and `a2` are both sent by `a`."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._read(name))
        await self.settle()

    async def _read(self, name):
        async with self.limiter.slot(name[0], 60):
            self.begun.append(name)
            await asyncio.Event().wait()

    async def settle(self):
        for _ in range(8):
            await asyncio.sleep(0)

    async def cancel(self, *names):
        for name in names:
            self.tasks[name].cancel()
        await self.settle()

    async def all_released(self):
        """End all; return whether every slot is free again."""
        await self.cancel(*self.tasks)
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        return self.limiter.idle


async def test_slot_that_is_free_is_acquired_at_once():
    readings = Readings(2)

    await readings.come("a1", "b1", "c1")

    assert readings.begun == ["a1", "b1"]
    assert await readings.all_released()


async def test_caller_with_the_most_slots_is_preempted():
    readings = Readings(3, min_time=0)
    await readings.come("b1", "a1", "a2")

    await readings.come("c1")
    await readings.settle()

    with pytest.raises(TimeoutError):
        await readings.tasks["a1"]
    assert readings.begun == ["b1", "a1", "a2", "c1"]
    assert not readings.tasks["a2"].done()
    assert await readings.all_released()


async def test_read_that_is_preempted_has_its_minimum_time():
    readings = Readings(1, min_time=0.2)
    loop = asyncio.get_running_loop()
    await readings.come("a1")
    began = loop.time()
    await readings.come("b1")

    with pytest.raises(TimeoutError):
        await readings.tasks["a1"]

    assert loop.time() - began > 0.2 * 0.8
    assert await readings.all_released()


async def test_next_slot_goes_to_the_caller_with_the_fewest():
    readings = Readings(2)
    await readings.come("a1", "a2", "a3", "b1", "a4")

    await readings.cancel("a1")

    assert readings.begun == ["a1", "a2", "b1"]
    assert await readings.all_released()


async def test_callers_with_as_many_slots_get_them_in_turn():
    readings = Readings(1)
    await readings.come("x1", "a1", "a2", "b1", "b2")

    for name in ("x1", "a1", "b1", "a2"):
        await readings.cancel(name)

    assert readings.begun == ["x1", "a1", "b1", "a2", "b2"]
    assert await readings.all_released()


async def test_reads_over_the_most_waiting_are_refused():
    readings = Readings(1, most_waiting=2)
    await readings.come("a1", "a2", "a3", "a4", "b1")

    with pytest.raises(TooManyCallsError) as caught:
        await readings.tasks["a4"]
    assert caught.value.retry_after

    assert not readings.tasks["b1"].done()
    assert await readings.all_released()


async def test_read_that_is_cancelled_while_it_waits_takes_no_slot():
    readings = Readings(1)
    await readings.come("a1", "b1", "c1")
    await readings.cancel("b1")

    await readings.cancel("a1")

    assert readings.begun == ["a1", "c1"]
    assert await readings.all_released()


async def test_read_that_is_cancelled_when_its_slot_is_granted_passes_it_on():
    readings = Readings(1)
    await readings.come("a1", "b1", "c1")
    readings.tasks["a1"].cancel()
    while readings.limiter.waiting != 1:  # noqa: ASYNC110 - within one step of the loop
        await asyncio.sleep(0)
    readings.tasks["b1"].cancel()
    await readings.settle()

    assert readings.begun[-1] == "c1"
    assert await readings.all_released()

"""Turns: a few at a time for each key, in order, and none is ever lost."""

import asyncio
from datetime import timedelta

import pytest

from proad.drivers.turns import Turns
from proad.errors import EngineTimedOutError

LONG, SHORT = timedelta(minutes=5), timedelta(seconds=0.01)


@pytest.fixture
def turns() -> Turns:
    return Turns("docker", 2)


async def waits(turns: Turns, count: int) -> list["asyncio.Task[object]"]:
    """Let so many wait for a turn, in this order."""
    tasks: list[asyncio.Task[object]] = []
    for _ in range(count):
        tasks.append(asyncio.create_task(turns.wait("key", LONG)))
        await asyncio.sleep(0)
    return tasks


def come(tasks: list["asyncio.Task[object]"]) -> list[bool]:
    return [task.done() for task in tasks]


async def test_so_many_at_a_time_in_order(turns: Turns):
    tasks = await waits(turns, 5)
    assert come(tasks) == [True, True, False, False, False]
    for count in (3, 4, 5):
        turns.end("key")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert come(tasks) == [True] * count + [False] * (5 - count)
    await asyncio.gather(*tasks)


async def test_other_keys_wait_for_nobody(turns: Turns):
    tasks = await waits(turns, 3)
    assert await turns.wait("other", LONG) == LONG
    turns.end("key")
    await asyncio.gather(*tasks)


async def test_a_turn_that_does_not_come_in_time(turns: Turns):
    await waits(turns, 2)
    for _ in range(3):
        with pytest.raises(EngineTimedOutError):
            await turns.wait("key", SHORT)
    assert not turns._gates["key"].waiting  # nothing is kept of those who gave up
    turns.end("key")
    await turns.wait("key", LONG)


async def test_what_is_left_of_the_time(turns: Turns):
    tasks = await waits(turns, 3)
    await asyncio.sleep(0.01)
    turns.end("key")
    assert await tasks[0] == LONG
    assert await tasks[2] < LONG


async def test_who_is_cancelled_leaves_the_turn_to_the_next(turns: Turns):
    tasks = await waits(turns, 5)
    tasks[2].cancel()
    await asyncio.wait([tasks[2]])
    turns.end("key")
    # It is given to the fourth, who gives up at this very moment.
    tasks[3].cancel()
    await asyncio.gather(*tasks[:2], tasks[4])
    assert tasks[3].cancelled()


async def test_nothing_is_kept_when_all_have_gone(turns: Turns):
    tasks = await waits(turns, 4)
    tasks[3].cancel()
    for _ in range(3):
        turns.end("key")
        await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert turns._gates == {}

"""Turns: a few at a time for each key, in order, and none is ever lost."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import pytest

from proad.drivers.threads import DEFAULT_TIMEOUT, EngineThreads
from proad.drivers.turns import Turns
from proad.errors import EngineTimedOutError

LONG, SHORT = timedelta(minutes=5), timedelta(seconds=0.01)

T = TypeVar("T")


class Pool(EngineThreads):
    """More threads than turns; notes the time that calls get, and acts when one has ended."""

    def __init__(self) -> None:
        super().__init__("docker", size=8)
        self.limits: list[timedelta] = []
        self.at_end: Callable[[], object] = lambda: None

    async def run(
        self,
        call: Callable[[], T],
        *,
        timeout: timedelta = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - as in EngineThreads
        ended: Callable[[], None] = lambda: None,
    ) -> T:
        self.limits.append(timeout)

        def end() -> None:
            ended()
            self.at_end()

        return await super().run(call, timeout=timeout, ended=end)


class Calls:
    """Calls that take their turns; each goes on until it is let go."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.turns = Turns("docker", 2)
        self.begun: list[int] = []
        self.gates: list[threading.Event] = []

    async def make(self, count: int, key: str = "key") -> list["asyncio.Task[None]"]:
        """Make so many, in this order."""
        tasks = []
        for _ in range(count):
            number, gate = len(self.gates), threading.Event()
            self.gates.append(gate)
            tasks.append(asyncio.create_task(self._make(key, number, gate)))
            await asyncio.sleep(0)
        return tasks

    async def have_begun(self, numbers: set[int]) -> None:
        """Wait until these have, and no others."""
        deadline = time.monotonic() + 30
        while len(self.begun) < len(numbers):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.001)
        assert set(self.begun) == numbers

    async def _make(self, key: str, number: int, gate: threading.Event) -> None:
        def call() -> None:
            self.begun.append(number)
            gate.wait()

        await self.turns.run(key, self.pool, call, LONG)


@pytest.fixture
def calls() -> Iterator[Calls]:
    with Pool() as pool:
        calls = Calls(pool)
        yield calls
        for gate in calls.gates:
            gate.set()


async def test_so_many_at_a_time_in_order(calls: Calls):
    tasks = await calls.make(5)
    for number in range(3):
        await calls.have_begun({0, 1, *range(2, 2 + number)})
        calls.gates[number].set()
        await tasks[number]
    await calls.have_begun({0, 1, 2, 3, 4})


async def test_other_keys_wait_for_nobody(calls: Calls):
    await calls.make(3)
    await calls.have_begun({0, 1})
    await calls.make(1, "other")
    await calls.have_begun({0, 1, 3})
    assert calls.pool.limits[2] == LONG


async def test_a_turn_that_does_not_come_in_time(calls: Calls):
    await calls.make(2)
    for _ in range(3):
        with pytest.raises(EngineTimedOutError, match="too busy to begin"):
            await calls.turns.run("key", calls.pool, lambda: None, SHORT)
    assert not calls.turns._gates["key"].waiting  # nothing is kept of those who gave up
    calls.gates[0].set()
    assert await calls.turns.run("key", calls.pool, lambda: "came", LONG) == "came"


async def test_what_is_left_of_the_time(calls: Calls):
    await calls.make(3)
    await asyncio.sleep(0.01)
    calls.gates[0].set()
    await calls.have_begun({0, 1, 2})
    assert calls.pool.limits[:2] == [LONG, LONG]
    assert calls.pool.limits[2] < LONG


async def test_who_is_cancelled_leaves_the_turn_to_the_next(calls: Calls):
    tasks = await calls.make(5)
    tasks[2].cancel()
    await asyncio.wait([tasks[2]])
    # It is given to the fourth, who gives up at this very moment.
    calls.pool.at_end = tasks[3].cancel
    calls.gates[0].set()
    await calls.have_begun({0, 1, 4})
    assert tasks[3].cancelled()


async def test_whose_call_goes_on_keeps_the_turn(calls: Calls):
    tasks = await calls.make(3)
    await calls.have_begun({0, 1})
    tasks[0].cancel()
    await asyncio.wait([tasks[0]])
    with pytest.raises(EngineTimedOutError):
        await calls.turns.run("key", calls.pool, lambda: None, SHORT)
    assert len(calls.begun) == 2
    calls.gates[0].set()
    await calls.have_begun({0, 1, 2})


async def test_nothing_is_kept_when_all_have_gone(calls: Calls):
    tasks = await calls.make(4)
    await calls.have_begun({0, 1})
    tasks[3].cancel()
    for gate in calls.gates:
        gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert calls.turns._gates == {}

"""KeyedLimiter: a few calls at a time for each key, in order, without losing a call."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import pytest

from eventually import eventually
from proad.drivers.keyed_limiter import KeyedLimiter
from proad.drivers.threads import DEFAULT_TIMEOUT, EngineThreads
from proad.errors import EngineTimedOutError

LONG, SHORT = timedelta(minutes=5), timedelta(seconds=0.01)

T = TypeVar("T")


class Pool(EngineThreads):
    """More threads than slots; records the time that calls get, and acts when one has ended."""

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
    """Calls of keys; each runs until its gate is opened."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.limiter = KeyedLimiter("docker", 2)
        self.begun: list[int] = []
        self.gates: list[threading.Event] = []

    async def make(self, count: int, key: str = "key") -> list["asyncio.Task[None]"]:
        """Begin this many calls in order."""
        tasks = []
        for _ in range(count):
            number, gate = len(self.gates), threading.Event()
            self.gates.append(gate)
            tasks.append(asyncio.create_task(self._make(key, number, gate)))
            await asyncio.sleep(0)
        return tasks

    async def have_begun(self, numbers: set[int]) -> None:
        """Wait until exactly these calls have begun."""
        await eventually(lambda: len(self.begun) >= len(numbers), every=0.001)
        assert set(self.begun) == numbers

    async def _make(self, key: str, number: int, gate: threading.Event) -> None:
        def call() -> None:
            self.begun.append(number)
            gate.wait()

        await self.limiter.run(key, self.pool, call, LONG)


@pytest.fixture
def calls() -> Iterator[Calls]:
    with Pool() as pool:
        calls = Calls(pool)
        yield calls
        for gate in calls.gates:
            gate.set()


async def test_run_beyond_the_limit_waits_in_order(calls: Calls):
    tasks = await calls.make(5)
    for number in range(3):
        await calls.have_begun({0, 1, *range(2, 2 + number)})
        calls.gates[number].set()
        await tasks[number]
    await calls.have_begun({0, 1, 2, 3, 4})


async def test_run_of_another_key_does_not_wait(calls: Calls):
    await calls.make(3)
    await calls.have_begun({0, 1})
    await calls.make(1, "other")
    await calls.have_begun({0, 1, 3})
    assert calls.pool.limits[2] == LONG


async def test_run_without_a_slot_in_time_times_out(calls: Calls):
    await calls.make(2)
    for _ in range(3):
        with pytest.raises(EngineTimedOutError, match="too busy to begin"):
            await calls.limiter.run("key", calls.pool, lambda: None, SHORT)
    assert calls.limiter.waiting("key") == 0  # a cancelled caller leaves no waiter behind
    calls.gates[0].set()
    assert await calls.limiter.run("key", calls.pool, lambda: "came", LONG) == "came"


async def test_run_after_a_wait_gets_the_rest_of_the_timeout(calls: Calls):
    await calls.make(3)
    calls.gates[0].set()
    await calls.have_begun({0, 1, 2})
    assert calls.pool.limits[:2] == [LONG, LONG]
    assert calls.pool.limits[2] < LONG


async def test_run_cancelled_while_waiting_leaves_the_slot_to_the_next(calls: Calls):
    tasks = await calls.make(5)
    tasks[2].cancel()
    await asyncio.wait([tasks[2]])
    # The slot is assigned to the fourth call, which is cancelled at the same moment.
    calls.pool.at_end = tasks[3].cancel
    calls.gates[0].set()
    await calls.have_begun({0, 1, 4})
    assert tasks[3].cancelled()


async def test_run_whose_caller_has_gone_keeps_the_slot(calls: Calls):
    tasks = await calls.make(3)
    await calls.have_begun({0, 1})
    tasks[0].cancel()
    await asyncio.wait([tasks[0]])
    with pytest.raises(EngineTimedOutError):
        await calls.limiter.run("key", calls.pool, lambda: None, SHORT)
    assert len(calls.begun) == 2
    calls.gates[0].set()
    await calls.have_begun({0, 1, 2})


async def test_limiter_after_all_calls_holds_no_keys(calls: Calls):
    tasks = await calls.make(4)
    await calls.have_begun({0, 1})
    tasks[3].cancel()
    for gate in calls.gates:
        gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(calls.limiter) == 0

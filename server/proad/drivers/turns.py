"""Taking turns: what hangs may hold a few of a driver's threads, never all of them."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TypeVar

from proad.drivers.threads import EngineThreads
from proad.errors import EngineTimedOutError

T = TypeVar("T")


@dataclass(slots=True)
class _Gate:
    """How many more may pass, and who waits to, the longest first."""

    free: int
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class Turns:
    """Lets a few calls at a time through for each key, in the order in which they came.

    Args:
        engine: name of the engine, for errors.
        size: how many.
    """

    def __init__(self, engine: str, size: int = 1) -> None:
        self._engine = engine
        self._size = size
        self._gates: dict[Hashable, _Gate] = {}

    async def run(
        self,
        key: Hashable,
        pool: EngineThreads,
        call: Callable[[], T],
        timeout: timedelta,  # noqa: ASYNC109 - raises our own error
    ) -> T:
        """Run a call in its turn, which it keeps until it has ended, whoever still waits.

        Raises:
            EngineTimedOutError: no result within `timeout`, its turn and a thread
                waited for included.
        """
        left = await self._wait(key, timeout)
        return await pool.run(call, timeout=left, ended=partial(self._end, key))

    def fail(self, why: Callable[[], Exception]) -> None:
        """Let all who wait go with an error, each with one of its own. Turns are kept."""
        for gate in self._gates.values():
            for waiter in gate.waiting:
                if not waiter.done():
                    waiter.set_exception(why())

    async def _wait(self, key: Hashable, timeout: timedelta) -> timedelta:  # noqa: ASYNC109 - raises our own error
        """Wait for a turn, and give what is left of `timeout`."""
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = _Gate(self._size)
        if gate.free:
            gate.free -= 1
            return timeout
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout.total_seconds()
        waiter: asyncio.Future[None] = loop.create_future()
        gate.waiting.append(waiter)
        timer = loop.call_at(deadline, self._time_out, waiter)
        try:
            await waiter
        except BaseException:
            with suppress(ValueError):
                gate.waiting.remove(waiter)
            if not waiter.cancelled() and waiter.exception() is None:
                self._end(key)  # it came at the moment in which its caller gave up
            raise
        finally:
            timer.cancel()
        return timedelta(seconds=max(deadline - loop.time(), 0))

    def _end(self, key: Hashable) -> None:
        """Pass a turn on. Runs on the event loop."""
        gate = self._gates[key]
        while gate.waiting:
            waiter = gate.waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        gate.free += 1
        if gate.free == self._size:
            del self._gates[key]

    def _time_out(self, waiter: "asyncio.Future[None]") -> None:
        if not waiter.done():
            waiter.set_exception(EngineTimedOutError(self._engine, begun=False))

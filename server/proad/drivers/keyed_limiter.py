"""A limit of concurrent calls per key, so that a resource that hangs cannot take all threads."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Protocol, TypeVar

from proad.errors import EngineTimedOutError

T = TypeVar("T")


class Threads(Protocol):
    """Threads that run calls."""

    async def run(
        self,
        call: Callable[[], T],
        *,
        timeout: timedelta,  # noqa: ASYNC109 - raises our own error
        ended: Callable[[], None],
    ) -> T:
        """See `EngineThreads.run`."""


@dataclass(slots=True)
class _Slots:
    """The free slots of a key, and the waiters in order of arrival."""

    free: int
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class KeyedLimiter:
    """Limits the concurrent calls of each key; waiters are served in order of arrival.

    Args:
        engine: name of the engine, for errors.
        size: number of concurrent calls per key.
    """

    def __init__(self, engine: str, size: int = 1) -> None:
        self._engine = engine
        self._size = size
        self._slots: dict[Hashable, _Slots] = {}

    def __len__(self) -> int:
        """Return the number of keys in use."""
        return len(self._slots)

    def waiting(self, key: Hashable) -> int:
        """Return the number of calls that wait for a slot of a key."""
        slots = self._slots.get(key)
        return len(slots.waiting) if slots is not None else 0

    async def run(
        self,
        key: Hashable,
        pool: Threads,
        call: Callable[[], T],
        timeout: timedelta,  # noqa: ASYNC109 - raises our own error
    ) -> T:
        """Run a call in a slot of its key.

        The call keeps the slot until it has ended, even when its caller has gone.

        Raises:
            EngineTimedOutError: no result within `timeout`, which includes the wait for a
                slot and for a thread.
        """
        left = await self._acquire(key, timeout)
        return await pool.run(call, timeout=left, ended=partial(self._release, key))

    def fail(self, why: Callable[[], Exception]) -> None:
        """Fail all waiters, each with an error of its own. Running calls keep their slots."""
        for slots in self._slots.values():
            for waiter in slots.waiting:
                if not waiter.done():
                    waiter.set_exception(why())

    async def _acquire(self, key: Hashable, timeout: timedelta) -> timedelta:  # noqa: ASYNC109 - raises our own error
        """Wait for a slot; return the rest of `timeout`."""
        slots = self._slots.get(key)
        if slots is None:
            slots = self._slots[key] = _Slots(self._size)
        if slots.free:
            slots.free -= 1
            return timeout
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout.total_seconds()
        waiter: asyncio.Future[None] = loop.create_future()
        slots.waiting.append(waiter)
        timer = loop.call_at(deadline, self._time_out, waiter)
        try:
            await waiter
        except BaseException:
            with suppress(ValueError):
                slots.waiting.remove(waiter)
            if not waiter.cancelled() and waiter.exception() is None:
                self._release(key)  # the slot was granted at the moment of the cancellation
            raise
        finally:
            timer.cancel()
        return timedelta(seconds=max(deadline - loop.time(), 0))

    def _release(self, key: Hashable) -> None:
        """Pass a slot on to the next waiter. Runs on the event loop."""
        slots = self._slots[key]
        while slots.waiting:
            waiter = slots.waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        slots.free += 1
        if slots.free == self._size:
            del self._slots[key]

    def _time_out(self, waiter: "asyncio.Future[None]") -> None:
        if not waiter.done():
            waiter.set_exception(EngineTimedOutError(self._engine, begun=False))

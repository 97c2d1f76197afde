"""Long work on the event loop, in slices between which the loop serves others."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

from proad.core.actor import current_actor

T = TypeVar("T")


class TimeSlicer:
    """Shares the event loop's time among all who have long work.

    Between two slices of anybody's work the loop serves everything else: the work of a hundred
    callers delays others no more than that of one. Slices go to the actors in turn, so that a
    user with much work does not delay one with little.

    Args:
        slice_seconds: how long one slice lasts.
    """

    def __init__(self, slice_seconds: float = 0.002) -> None:
        self._slice_seconds = slice_seconds
        self._end: float | None = None  # of the current slice; None: no slice has begun
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # by actor

    async def each(self, items: Iterable[T]) -> AsyncIterator[T]:
        """Yield items one by one, and wait for the next slice whenever one is over."""
        for item in items:
            yield item
            if self._is_over():
                await self._next_slice()

    async def turn(self) -> None:
        """Wait for the next slice if this one is over: for short work that many have at once."""
        if self._is_over():
            await self._next_slice()

    def _is_over(self) -> bool:
        now = time.perf_counter()
        if self._end is None:
            self._end = now + self._slice_seconds
            asyncio.get_running_loop().call_soon(self._begin_next)
        return now > self._end

    async def _next_slice(self) -> None:
        begins = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(current_actor(), deque()).append(begins)
        await begins

    def _begin_next(self) -> None:
        """Begin the next slice: the loop has served everything that was ready."""
        self._end = None
        while self._waiting:
            actor = next(iter(self._waiting))
            queue = self._waiting.pop(actor)
            begins = queue.popleft()
            if queue:  # to the end of the turn
                self._waiting[actor] = queue
            if not begins.done():  # a caller that was cancelled leaves a future that is done
                begins.set_result(None)
                if self._waiting:
                    self._is_over()
                return

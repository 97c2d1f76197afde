"""Long work on the event loop, in slices between which others get their turn."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

from proad.core.actor import current_actor

T = TypeVar("T")

# Seconds of one slice.
_SLICE = 0.002


class TimeSlicer:
    """Shares the time for long work among all who have some.

    Between two slices, of whomever, the loop serves everybody else: long work of a hundred
    callers at once holds others up no more than that of one. Those on whose behalf it is
    done take turns, so that a user with much of it does not hold up one with little.
    """

    def __init__(self) -> None:
        self._end: float | None = None  # of the present slice; None: there is none
        self._resting: dict[str, deque[asyncio.Future[None]]] = {}  # by actor

    async def each(self, items: Iterable[T]) -> AsyncIterator[T]:
        """Give items one by one, and others their turn whenever a slice is over."""
        for item in items:
            yield item
            if self._over():
                await self._rest()

    def _over(self) -> bool:
        now = time.perf_counter()
        if self._end is None:
            self._end = now + _SLICE
            asyncio.get_running_loop().call_soon(self._go_on)
        return now > self._end

    async def _rest(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._resting.setdefault(current_actor(), deque()).append(turn)
        await turn

    def _go_on(self) -> None:
        """Give the next slice: the loop has served all who were ready."""
        self._end = None
        while self._resting:
            actor = next(iter(self._resting))
            queue = self._resting.pop(actor)
            turn = queue.popleft()
            if queue:  # behind those of others
                self._resting[actor] = queue
            if not turn.done():  # else its caller has gone
                turn.set_result(None)
                if self._resting:
                    self._over()
                return

"""Fair queueing for slow work that any caller may request: comparing passwords."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from proad.errors import TooManyLoginsError

T = TypeVar("T")

# Flows with a record of their last dispatch; a flow without a record counts as new.
_MAX_FLOWS = 4096


@dataclass(eq=False, slots=True)
class _Waiter:
    """A queued request.

    Attributes:
        admitted: completes when the work may begin.
    """

    user: str
    address: str
    admitted: asyncio.Future[None] = field(default_factory=asyncio.Future)


class FairQueue:
    """Runs a bounded number of works at a time and queues the others fairly.

    Each pair of user and address is a flow, and each address is one. The lowest priority value
    goes first; within it, the flow that was dispatched least recently: thirty logins of one
    user delay another user's login by one. Against starvation, one dispatch in four takes the
    first request with a priority value other than zero, and one in four the oldest request.
    When the queue is full, the request that would be dispatched last is refused.

    Args:
        concurrency: how many works run at a time.
        priority: returns the priority value of a user at an address; evaluated for each dispatch.
        max_waiting: how many requests may be queued.
    """

    def __init__(
        self, *, concurrency: int, priority: Callable[[str, str], int], max_waiting: int = 128
    ) -> None:
        self._free = concurrency
        self._priority = priority
        self._max_waiting = max_waiting
        self._dispatched = 0
        self._last_dispatch = OrderedDict[tuple[str, ...], int]()  # number of the last dispatch
        self._waiting: list[_Waiter] = []  # in order of arrival
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, user: str, address: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run the work once it is dispatched, and return its result.

        Work that has begun is never cancelled, even if its caller is: its outcome counts, and
        its slot is free only when it has really ended.

        Raises:
            TooManyLoginsError: the queue is full.
        """
        await self._acquire(user, address)
        task = asyncio.create_task(work())
        self._running.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    async def settle(self) -> None:
        """Wait for running work whose callers were cancelled."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _acquire(self, user: str, address: str) -> None:
        if self._free:
            self._free -= 1
            self._record(user, address)
            return
        mine = _Waiter(user, address)
        self._waiting.append(mine)
        if len(self._waiting) > self._max_waiting:
            last = self._in_order()[-1]
            self._waiting.remove(last)
            if not last.admitted.done():  # the caller may have been cancelled just now
                last.admitted.set_exception(TooManyLoginsError())
        try:
            await mine.admitted
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            elif not mine.admitted.cancelled() and mine.admitted.exception() is None:
                self._dispatch()  # dispatched in the moment of the cancellation
            raise

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        self._dispatch()

    def _dispatch(self) -> None:
        """Pass a free slot to the next request."""
        ready = [waiter for waiter in self._in_order() if not waiter.admitted.done()]
        if not ready:
            self._free += 1
            return
        chosen = ready[0]
        match self._dispatched % 4:
            case 2:
                later = (each for each in ready if self._priority(each.user, each.address))
                chosen = next(later, chosen)
            case 0:
                chosen = next(each for each in self._waiting if not each.admitted.done())
        self._waiting.remove(chosen)
        self._record(chosen.user, chosen.address)
        chosen.admitted.set_result(None)

    def _record(self, user: str, address: str) -> None:
        """Record a dispatch for both flows of a request."""
        self._dispatched += 1
        for flow in ((user, address), (address,)):
            self._last_dispatch[flow] = self._dispatched
            self._last_dispatch.move_to_end(flow)
        while len(self._last_dispatch) > _MAX_FLOWS:
            self._last_dispatch.popitem(last=False)

    def _in_order(self) -> list[_Waiter]:
        """Return the queued requests in the order in which they would be dispatched."""
        ahead: Counter[tuple[str, ...]] = Counter()  # by flow
        keys = {}
        for waiter in self._waiting:
            flows = ((waiter.user, waiter.address), (waiter.address,))
            positions = [(ahead[flow], self._last_dispatch.get(flow, 0)) for flow in flows]
            keys[waiter] = (self._priority(waiter.user, waiter.address), *positions)
            ahead.update(flows)
        return sorted(self._waiting, key=keys.__getitem__)

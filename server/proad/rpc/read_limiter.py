"""A concurrency limit for request messages: gRPC keeps in memory what has come of each."""

import asyncio
import math
from collections import Counter, deque
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from proad.errors import TooManyCallsError
from proad.rpc.timing import RpcTiming


class ReadLimiter:
    """Limits how many messages are read at a time, fairly among callers, with preemption.

    gRPC keeps a message that has come in part until the rest comes, up to the size of the
    largest message that any method takes. A caller who sends parts alone keeps a slot for as
    long as nobody waits. When others wait, the caller with the most slots loses the one that
    was taken first. The next slot goes to the caller with the fewest.

    Nearly all messages have come when they are read, and a timer for each would cost more than
    the read. So one timer, set for the first read that is due, ends those that are late.

    Args:
        slots: how many messages are read at a time.
        most_waiting: how many reads of one caller wait at most; of all callers, eight times as
            many. For each, gRPC keeps as much as an HTTP/2 window takes.
        timing: durations.
    """

    def __init__(
        self, *, slots: int = 64, most_waiting: int = 4096, timing: RpcTiming = RpcTiming()
    ) -> None:
        self._slots = self._free = slots
        self._most_waiting = most_waiting
        self._min_time = timing.contended_read_timeout
        self._taken = Counter[str]()  # slots by caller
        self._running: dict[_Read, None] = {}  # in the order in which they began
        self._preempted: set[_Read] = set()
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}  # by caller
        self._queued = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether all slots are free, and no caller is remembered."""
        return self._free == self._slots and not (
            self._taken or self._running or self._preempted or self._queues
        )

    @property
    def waiting(self) -> int:
        """How many reads wait for a slot."""
        return self._queued

    def slot(self, caller: str, timeout: float = math.inf) -> AbstractAsyncContextManager[None]:
        """Wait for a slot and keep it while the block reads a message.

        Args:
            caller: sends the message.
            timeout: seconds that the block may take when nobody waits.

        Raises:
            TooManyCallsError: too many reads wait.
            TimeoutError: the block took too long.
        """
        return _Read(self, caller, timeout)

    async def acquire(self, caller: str) -> None:
        """Wait for a slot.

        Raises:
            TooManyCallsError: too many reads wait.
        """
        if self._free:
            self._free -= 1
            self._taken[caller] += 1
        else:
            await self._wait(caller)

    def begin(self, read: "_Read") -> None:
        """Begin a read in the slot that was acquired."""
        self._running[read] = None
        if self._queued:
            self._preempt()
        if self._timer is None or read.due < self._timer.when():
            self._set_timer(read.due)

    def end(self, read: "_Read") -> None:
        """End a read and release its slot."""
        self._running.pop(read, None)
        self._preempted.discard(read)
        self._release(read.caller)

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due < math.inf:
            self._timer = asyncio.get_running_loop().call_at(due, self._end_late)

    def _end_late(self) -> None:
        """End the reads that are due. Preempted ones have a time limit already."""
        now = asyncio.get_running_loop().time()
        late = [read for read in self._running if read.due <= now]
        for read in late:
            del self._running[read]
            read.end_at(now)
        self._timer = None
        self._set_timer(min((read.due for read in self._running), default=math.inf))

    async def _wait(self, caller: str) -> None:
        if (
            len(self._queues.get(caller, ())) >= self._most_waiting
            or self._queued >= 8 * self._most_waiting
        ):
            raise TooManyCallsError
        granted = asyncio.get_running_loop().create_future()
        self._queues.setdefault(caller, deque()).append(granted)
        self._queued += 1
        self._preempt()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._dequeue(caller, granted)
            else:
                self._release(caller)  # granted at the moment of the cancellation
            raise

    def _release(self, caller: str) -> None:
        """Release a slot of a caller, or pass it to the next caller that waits."""
        self._taken[caller] -= 1
        if not self._taken[caller]:
            del self._taken[caller]
        for following in sorted(self._queues, key=self._taken.__getitem__):
            for granted in self._queues[following]:
                if granted.done():
                    continue  # cancelled, and about to be dequeued
                self._dequeue(following, granted)
                if following in self._queues:  # behind callers with as many slots
                    self._queues[following] = self._queues.pop(following)
                self._taken[following] += 1
                granted.set_result(None)
                return
        self._free += 1

    def _dequeue(self, caller: str, granted: asyncio.Future[None]) -> None:
        self._queues[caller].remove(granted)
        self._queued -= 1
        if not self._queues[caller]:
            del self._queues[caller]

    def _preempt(self) -> None:
        """Preempt as many reads as there are waiting ones."""
        while self._running and len(self._preempted) < self._queued:
            read = max(self._running, key=lambda each: self._taken[each.caller])
            del self._running[read]
            self._preempted.add(read)
            now = asyncio.get_running_loop().time()
            read.end_at(max(read.began + self._min_time, now))


class _Read:
    """One read of a message, as a context.

    Attributes:
        caller: sends the message.
        began: the event loop's time when the slot was acquired.
        due: the event loop's time after which the read is late, whether others wait or not.
    """

    __slots__ = ("_limit", "_limiter", "_timeout", "began", "caller", "due")

    def __init__(self, limiter: ReadLimiter, caller: str, timeout: float) -> None:
        self._limiter = limiter
        self._timeout = timeout
        self._limit = asyncio.timeout(None)
        self.caller = caller
        self.began = self.due = 0.0

    def end_at(self, when: float) -> None:
        """Raise a TimeoutError in the block at a time of the event loop, or when it is due."""
        if not self._limit.expired():
            self._limit.reschedule(min(when, self.due))

    async def __aenter__(self) -> None:
        await self._limiter.acquire(self.caller)
        await self._limit.__aenter__()
        self.began = asyncio.get_running_loop().time()
        self.due = self.began + self._timeout
        self._limiter.begin(self)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._limiter.end(self)
        await self._limit.__aexit__(kind, error, traceback)

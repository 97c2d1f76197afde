"""How many request messages are read at a time: what has come of one is in memory."""

import asyncio
import math
from collections import Counter, deque
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from proad.errors import TooManyCallsError

# Seconds that a message has to come whole when others wait: more than a busy loop takes until
# it looks at one that has come.
_TENURE = 0.5


class ReadLimiter:
    """Lets a few messages be read at a time, and others wait.

    gRPC keeps a message that has come in part until the rest comes, up to the size of the
    largest that any method takes. Who sends parts alone has a seat for as long as nobody
    needs it: when others wait, the one with the most seats loses the one that has been taken
    for longest. The next seat is for the one with the fewest.

    Nearly all messages are there when they are read. Each sets a limit that has no time; one
    timer, for whichever is over first, gives the time to those that are late.

    Args:
        most: how many are read at a time.
        most_waiting: how many wait of one, and eight times as many of all. Of each, gRPC keeps
            as much as a window of HTTP/2 lets come.
    """

    def __init__(self, *, most: int = 64, most_waiting: int = 4096) -> None:
        self._free = most
        self._most_waiting = most_waiting
        self._taken = Counter[str]()
        self._staying: dict[_Reading, None] = {}  # in the order in which they began
        self._leaving: set[_Reading] = set()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._queued = 0
        self._timer: asyncio.TimerHandle | None = None

    def one(self, who: str, patience: float = math.inf) -> AbstractAsyncContextManager[None]:
        """Read a message as long as this is entered, which waits for a seat.

        Args:
            who: sends it.
            patience: how many seconds it may take when nobody waits.

        Raises:
            TooManyCallsError: too many wait.
            TimeoutError: it took too long.
        """
        return _Reading(self, who, patience)

    async def take(self, who: str) -> None:
        """Wait for a seat.

        Raises:
            TooManyCallsError: too many wait.
        """
        if self._free:
            self._free -= 1
            self._taken[who] += 1
        else:
            await self._turn(who)

    def stay(self, reading: "_Reading") -> None:
        """Let somebody stay on the seat that they took, but not for ever."""
        self._staying[reading] = None
        if self._queued:
            self._make_room()
        if self._timer is None or reading.end < self._timer.when():
            self._wait_for(reading.end)

    def give_back(self, reading: "_Reading") -> None:
        """Give a seat to the next."""
        self._staying.pop(reading, None)
        self._leaving.discard(reading)
        self._leave(reading.who)

    def _wait_for(self, end: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if end < math.inf:
            self._timer = asyncio.get_running_loop().call_at(end, self._end_late)

    def _end_late(self) -> None:
        """End what has taken too long; what leaves has its time already."""
        now = asyncio.get_running_loop().time()
        late = [reading for reading in self._staying if reading.end <= now]
        for reading in late:
            del self._staying[reading]
            reading.end_at(now)
        self._timer = None
        self._wait_for(min((reading.end for reading in self._staying), default=math.inf))

    async def _turn(self, who: str) -> None:
        if (
            len(self._waiting.get(who, ())) >= self._most_waiting
            or self._queued >= 8 * self._most_waiting
        ):
            raise TooManyCallsError
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(mine)
        self._queued += 1
        self._make_room()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.cancelled():
                self._forget(who, mine)
            else:
                self._leave(who)  # it had come at the moment when the caller went
            raise

    def _leave(self, who: str) -> None:
        """Give a seat to the next."""
        self._taken[who] -= 1
        if not self._taken[who]:
            del self._taken[who]
        for follower in sorted(self._waiting, key=self._taken.__getitem__):
            for future in self._waiting[follower]:
                if future.done():
                    continue  # its caller has just gone
                self._forget(follower, future)
                if follower in self._waiting:  # its others come after those of others
                    self._waiting[follower] = self._waiting.pop(follower)
                self._taken[follower] += 1
                future.set_result(None)
                return
        self._free += 1

    def _forget(self, who: str, future: asyncio.Future[None]) -> None:
        self._waiting[who].remove(future)
        self._queued -= 1
        if not self._waiting[who]:
            del self._waiting[who]

    def _make_room(self) -> None:
        """Have as many seats left as others wait for."""
        while self._staying and len(self._leaving) < self._queued:
            reading = max(self._staying, key=lambda one: self._taken[one.who])
            del self._staying[reading]
            self._leaving.add(reading)
            reading.end_at(max(reading.began + _TENURE, asyncio.get_running_loop().time()))


class _Reading:
    """A message that is being read, from when this is entered until it is left.

    Attributes:
        who: sends it.
        began: the event loop's time when its seat was taken.
        end: the same, when it is late whoever waits.
    """

    __slots__ = ("_limit", "_limiter", "_patience", "began", "end", "who")

    def __init__(self, limiter: ReadLimiter, who: str, patience: float) -> None:
        self._limiter = limiter
        self._patience = patience
        self._limit = asyncio.timeout(None)
        self.who = who
        self.began = self.end = 0.0

    def end_at(self, when: float) -> None:
        """Have it end with a TimeoutError then, or when it is late if that is before."""
        if not self._limit.expired():
            self._limit.reschedule(min(when, self.end))

    async def __aenter__(self) -> None:
        await self._limiter.take(self.who)
        await self._limit.__aenter__()
        self.began = asyncio.get_running_loop().time()
        self.end = self.began + self._patience
        self._limiter.stay(self)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        way: TracebackType | None,
    ) -> None:
        self._limiter.give_back(self)
        await self._limit.__aexit__(kind, error, way)

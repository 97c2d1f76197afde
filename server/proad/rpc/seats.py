"""How many request messages are read at a time: what has come of one is in memory."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from proad.errors import TooManyCallsError

# Seconds that a message has to come whole when others wait: more than a busy loop takes until
# it looks at one that has come.
_TENURE = 0.5


@dataclass(eq=False, slots=True)
class _Reading:
    """A message that is being read."""

    who: str
    began: float
    limit: asyncio.Timeout


class Seats:
    """Lets a few messages be read at a time, and others wait.

    gRPC keeps a message that has come in part until the rest comes, up to the size of the
    largest that any method takes. Who sends parts alone has a seat for as long as nobody
    needs it: when others wait, the one with the most seats loses the one that has been taken
    for longest. The next seat is for the one with the fewest.

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

    @asynccontextmanager
    async def one(self, who: str, patience: float | None) -> AsyncIterator[None]:
        """Read a message as long as this is entered, which waits for a seat.

        Args:
            who: sends it.
            patience: how many seconds it may take when nobody waits; None: for ever.

        Raises:
            TooManyCallsError: too many wait.
            TimeoutError: it took too long.
        """
        if self._free:
            self._free -= 1
            self._taken[who] += 1
        else:
            await self._turn(who)
        try:
            async with asyncio.timeout(patience) as limit:
                reading = _Reading(who, asyncio.get_running_loop().time(), limit)
                self._staying[reading] = None
                self._make_room()
                try:
                    yield
                finally:
                    self._staying.pop(reading, None)
                    self._leaving.discard(reading)
        finally:
            self._leave(who)

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
            if not reading.limit.expired():
                end = max(reading.began + _TENURE, asyncio.get_running_loop().time())
                reading.limit.reschedule(min(end, reading.limit.when() or end))

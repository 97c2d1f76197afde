"""Threads that wait for guests, of which slow ones get few.

What an agent answers, and when, is up to its guest, and so is when a console takes its input. Whoever
has several guests that take their time would otherwise hold all threads, one after the other, and
nobody else's guest be heard.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Self, TypeVar

from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.threads import EngineThreads

T = TypeVar("T")

_USUAL = 8
_SLOW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What makes a domain a slow one.

    Attributes:
        free: how long one call may hold a thread, and count for nothing.
        most: what a domain's calls may have held beyond that before it is a slow one.
        largest: bound of what is counted.
        paid: what is taken off the count in a second, in seconds.
    """

    free: timedelta = timedelta(seconds=0.5)
    most: timedelta = timedelta(seconds=3)
    largest: timedelta = timedelta(minutes=1)
    paid: float = 1 / 60


class AgentThreads:
    """Threads for the agents or consoles of usual domains, and a few others for slow ones.

    Args:
        patience: what makes a domain a slow one.
        sort: purpose of the threads, for their names.
        clock: monotonic time in seconds.
        usual: number of threads for usual domains.
        slow: number of threads for slow ones.
    """

    def __init__(
        self,
        patience: Patience = Patience(),
        sort: str = "agent",
        clock: Callable[[], float] = time.monotonic,
        *,
        usual: int = _USUAL,
        slow: int = _SLOW,
    ) -> None:
        self._patience = patience
        self._clock = clock
        self._usual = EngineThreads(ENGINE, sort, size=usual)
        self._slow = EngineThreads(ENGINE, f"slow-{sort}", size=slow)
        # By domain: what it has held beyond what is free, and when that was counted.
        self._held: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._usual.__enter__()
        self._slow.__enter__()
        return self

    @property
    def counted(self) -> int:
        """How many domains something is counted of."""
        return len(self._held)

    def __exit__(self, *_: object) -> None:
        """End idle threads; a hung one is left behind."""
        self._usual.__exit__()
        self._slow.__exit__()

    def fail(self, why: Callable[[], Exception]) -> None:
        """Fail all waiting callers, each with an error of its own. For the event loop."""
        self._usual.fail(why)
        self._slow.fail(why)

    def of(self, id: str) -> "DomainThreads":
        """Return the threads for the agent of a domain."""
        return DomainThreads(self, id)

    async def run(
        self,
        id: str,
        call: Callable[[], T],
        *,
        timeout: timedelta,  # noqa: ASYNC109 - raises our own error
        ended: Callable[[], None],
    ) -> T:
        """Run a call about a domain on a thread; see `EngineThreads.run`."""

        def timed() -> T:
            begun = self._clock()
            try:
                return call()
            finally:
                self._count(id, self._clock() - begun)

        with self._lock:
            is_slow = self._left(id) > self._patience.most.total_seconds()
        pool = self._slow if is_slow else self._usual
        return await pool.run(timed, timeout=timeout, ended=ended)

    def _count(self, id: str, seconds: float) -> None:
        """Count what a call has held; on its thread, one at a time for each domain."""
        beyond = seconds - self._patience.free.total_seconds()
        if beyond > 0:
            with self._lock:
                held = min(self._left(id) + beyond, self._patience.largest.total_seconds())
                self._held[id] = (held, self._clock())
                for other in [*self._held]:  # those that nobody asks any more are forgotten
                    self._left(other)

    def _left(self, id: str) -> float:
        """Return what counts of a domain by now, and forget one of which nothing does."""
        held, when = self._held.get(id, (0.0, 0.0))
        left = held - (self._clock() - when) * self._patience.paid
        if left <= 0:
            self._held.pop(id, None)
        return max(left, 0.0)


class DomainThreads:
    """The threads for the agent of one domain, which are chosen when a call has its turn.

    Args:
        threads: the threads.
        id: the domain.
    """

    def __init__(self, threads: AgentThreads, id: str) -> None:
        self._threads = threads
        self._id = id

    async def run(
        self,
        call: Callable[[], T],
        *,
        timeout: timedelta,  # noqa: ASYNC109 - raises our own error
        ended: Callable[[], None],
    ) -> T:
        """Run a call on a thread; see `EngineThreads.run`."""
        return await self._threads.run(self._id, call, timeout=timeout, ended=ended)

"""The driver's threads in lanes, so that what hangs holds up nothing but its like.

A domain whose QEMU hangs keeps the thread of each call that waits for QEMU: pause,
resume, update, snapshots, memory statistics. Hence such calls go one at a time for each
domain, which is how libvirt does them anyway, and questions that libvirt answers by
itself have threads of their own.
"""

import asyncio
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import Generic, TypeVar

from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.threads import EngineThreads
from proad.errors import EngineTimedOutError

T = TypeVar("T")

READERS = 4
_AGENTS = 4
_SAMPLERS = 4


class Lane(Enum):
    """Which threads a call takes."""

    # What changes something, or waits for a QEMU. One at a time for each domain.
    WORK = auto()
    # What libvirtd answers by itself.
    READ = auto()
    # What may wait for a QEMU and is not worth waiting for: statistics, progress.
    SAMPLE = auto()
    # A question to a guest agent, which may let libvirt wait for a minute.
    AGENT = auto()
    # A FORCE stop.
    URGENT = auto()


@dataclass(slots=True)
class _Turn:
    """Whose turn it is; `users` counts who has it or waits for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Lanes:
    """All threads of the driver.

    Args:
        size: number of threads of the lane WORK.
    """

    def __init__(self, size: int) -> None:
        self._pools = {
            Lane.WORK: EngineThreads(ENGINE, size=size),
            Lane.READ: EngineThreads(f"{ENGINE}-read", size=READERS),
            Lane.SAMPLE: EngineThreads(f"{ENGINE}-sample", size=_SAMPLERS),
            Lane.AGENT: EngineThreads(f"{ENGINE}-agent", size=_AGENTS),
        }
        # Ending a QEMU that hangs takes libvirt ten seconds. Each pool has a thread for
        # what is urgent: the least busy one takes it.
        self._urgent = dict.fromkeys(self._pools, 0)
        self._turns: dict[Hashable, _Turn] = {}

    def start(self) -> None:
        """Start the threads."""
        for pool in self._pools.values():
            pool.__enter__()

    def end(self) -> None:
        """Let idle threads end; a hung one is left behind."""
        for pool in self._pools.values():
            pool.__exit__()

    async def run(
        self,
        call: Callable[[], T],
        *,
        lane: Lane,
        id: str,
        timeout: timedelta,  # noqa: ASYNC109 - raises our own error
    ) -> T:
        """Run a blocking call about a domain, or about none if `id` is empty.

        Raises:
            EngineTimedOutError: no result within `timeout`, its turn and a thread
                waited for included.
        """
        if lane is Lane.URGENT:
            return await self._run_urgent(call, timeout)
        pool = self._pools[lane]
        if lane not in {Lane.WORK, Lane.AGENT} or not id:
            return await pool.run(call, timeout=timeout)
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout.total_seconds()
        job = _Job(call, await self._turn((lane, id), deadline))
        try:
            return await pool.run(job, timeout=timedelta(seconds=deadline - clock()))
        finally:
            job.give_up()

    async def _run_urgent(self, call: Callable[[], T], timeout: timedelta) -> T:  # noqa: ASYNC109 - raises our own error
        lane = min(self._urgent, key=lambda lane: self._urgent[lane])
        self._urgent[lane] += 1

        def done() -> None:
            self._urgent[lane] -= 1

        job = _Job(call, done)
        try:
            return await self._pools[lane].run(job, timeout=timeout, urgent=True)
        finally:
            job.give_up()

    async def _turn(self, key: Hashable, deadline: float) -> Callable[[], None]:
        """Wait for the turn at a domain and give what gives it back."""
        turn = self._turns.setdefault(key, _Turn())
        turn.users += 1

        def leave() -> None:
            turn.users -= 1
            if not turn.users:
                del self._turns[key]

        def done() -> None:
            turn.lock.release()
            leave()

        try:
            async with asyncio.timeout_at(deadline):
                await turn.lock.acquire()
        except TimeoutError:
            leave()
            raise EngineTimedOutError(ENGINE) from None
        except BaseException:
            leave()
            raise
        return done


class _Job(Generic[T]):
    """A call that says when it has ended, which may be long after its caller has gone.

    Args:
        call: what to do on a thread.
        done: called once on the asyncio loop, when `call` has ended or never will begin.
    """

    def __init__(self, call: Callable[[], T], done: Callable[[], None]) -> None:
        self._call = call
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._taken = threading.Lock()

    def __call__(self) -> T:
        """Do it, unless it has been given up."""
        if not self._taken.acquire(blocking=False):
            raise asyncio.CancelledError
        try:
            return self._call()
        finally:
            with suppress(RuntimeError):  # the loop is closed: nobody waits for a turn
                self._loop.call_soon_threadsafe(self._done)

    def give_up(self) -> None:
        """Say that nobody waits any more: what has not begun never will."""
        if self._taken.acquire(blocking=False):
            self._done()

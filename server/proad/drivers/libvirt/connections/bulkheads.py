"""The driver's threads in bulkheads, so that what hangs holds up nothing but its like.

A domain whose QEMU hangs keeps the thread of each call that waits for QEMU: pause,
resume, update, snapshots, memory statistics. Hence such calls go one at a time for each
domain, which is how libvirt does them anyway, and questions that libvirt answers by
itself have threads of their own.
"""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum, auto
from typing import TypeVar

from proad.drivers.keyed_limiter import KeyedLimiter
from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.threads import EngineThreads

T = TypeVar("T")

READERS = 4
_AGENTS = 4
_SAMPLERS = 4
# Ending a QEMU that hangs takes libvirt ten seconds.
_URGENT = 4


class Bulkhead(StrEnum):
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


class Bulkheads:
    """All threads of the driver.

    Args:
        size: number of threads of the bulkhead WORK.
    """

    def __init__(self, size: int) -> None:
        self._pools = {
            Bulkhead.WORK: EngineThreads(ENGINE, "work", size=size),
            Bulkhead.READ: EngineThreads(ENGINE, "read", size=READERS),
            Bulkhead.SAMPLE: EngineThreads(ENGINE, "sample", size=_SAMPLERS),
            Bulkhead.AGENT: EngineThreads(ENGINE, "agent", size=_AGENTS),
            Bulkhead.URGENT: EngineThreads(ENGINE, "urgent", size=_URGENT),
        }
        self._limiter = KeyedLimiter(ENGINE)

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
        bulkhead: Bulkhead,
        id: str,
        timeout: timedelta,  # noqa: ASYNC109 - raises our own error
    ) -> T:
        """Run a blocking call about a domain, or about none if `id` is empty.

        Raises:
            EngineTimedOutError: no result within `timeout`, which includes the wait for
                a slot and for a thread.
        """
        pool = self._pools[bulkhead]
        if not id or (bulkhead is not Bulkhead.WORK and bulkhead is not Bulkhead.AGENT):
            return await pool.run(call, timeout=timeout)
        return await self._limiter.run((bulkhead, id), pool, call, timeout)

    def fail(self, why: Callable[[], Exception]) -> None:
        """Let all callers go with an error, those who wait for a turn, too."""
        for pool in self._pools.values():
            pool.fail(why)
        self._limiter.fail(why)

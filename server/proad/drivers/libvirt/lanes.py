"""The driver's threads in lanes, so that what hangs holds up nothing but its like.

A domain whose QEMU hangs keeps the thread of each call that waits for QEMU: pause,
resume, update, snapshots, memory statistics. Hence such calls go one at a time for each
domain, which is how libvirt does them anyway, and questions that libvirt answers by
itself have threads of their own.
"""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum, auto
from typing import TypeVar

from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.threads import EngineThreads
from proad.drivers.turns import Turns

T = TypeVar("T")

READERS = 4
_AGENTS = 4
_SAMPLERS = 4
# Ending a QEMU that hangs takes libvirt ten seconds.
_URGENT = 4


class Lane(StrEnum):
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


class Lanes:
    """All threads of the driver.

    Args:
        size: number of threads of the lane WORK.
    """

    def __init__(self, size: int) -> None:
        self._pools = {
            Lane.WORK: EngineThreads(ENGINE, "work", size=size),
            Lane.READ: EngineThreads(ENGINE, "read", size=READERS),
            Lane.SAMPLE: EngineThreads(ENGINE, "sample", size=_SAMPLERS),
            Lane.AGENT: EngineThreads(ENGINE, "agent", size=_AGENTS),
            Lane.URGENT: EngineThreads(ENGINE, "urgent", size=_URGENT),
        }
        self._turns = Turns(ENGINE)

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
        pool = self._pools[lane]
        if not id or (lane is not Lane.WORK and lane is not Lane.AGENT):
            return await pool.run(call, timeout=timeout)
        return await self._turns.run((lane, id), pool, call, timeout)

    def fail(self, why: Callable[[], Exception]) -> None:
        """Let all callers go with an error, those who wait for a turn, too."""
        for pool in self._pools.values():
            pool.fail(why)
        self._turns.fail(why)

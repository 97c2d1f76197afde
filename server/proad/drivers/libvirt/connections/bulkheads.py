"""The driver's threads in bulkheads, so that a call that hangs delays only calls of its kind.

A domain whose QEMU hangs blocks the thread of each call that waits for QEMU: pause, resume,
update, snapshots, memory statistics. Such calls therefore run one at a time per domain, as
they do in libvirt, and calls that libvirtd answers by itself have threads of their own.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from enum import StrEnum, auto
from typing import TypeVar

from proad.drivers.keyed_limiter import KeyedLimiter
from proad.drivers.libvirt.connections.agent_threads import AgentThreads, Patience
from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.threads import EngineThreads

T = TypeVar("T")

READERS = 4
_SAMPLERS = 4
# libvirt takes ten seconds to kill a QEMU that hangs.
_URGENT = 4
_CLOSERS = 2
# A domain that kept a question waiting once is a slow one for ten minutes.
_LITTLE_PATIENCE = Patience(most=timedelta(milliseconds=500), paid=1 / 600)


class Bulkhead(StrEnum):
    """The pool of threads for a kind of call."""

    # Calls that change something or wait for a QEMU. One at a time per domain.
    WORK = auto()
    # Calls that libvirtd answers by itself.
    READ = auto()
    # Calls that may wait for a QEMU and have a short limit: statistics, progress.
    SAMPLE = auto()
    # Requests to a guest agent, for which libvirt may wait for a minute. One at a time per domain.
    AGENT = auto()
    # Questions to guest agents that nobody waits for long. One at a time per domain.
    ASIDE = auto()
    # Input of consoles, which guests take when they like. One at a time per domain.
    CONSOLE = auto()
    # Ends of consoles, which may wait for input that no guest has taken.
    CLOSE = auto()
    # What frees others that wait: FORCE stops, ends of input that no guest takes.
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
            Bulkhead.CLOSE: EngineThreads(ENGINE, "close-console", size=_CLOSERS),
            Bulkhead.URGENT: EngineThreads(ENGINE, "urgent", size=_URGENT),
        }
        # A guest that hangs keeps one for some ten seconds.
        self._of_guests = {
            Bulkhead.AGENT: AgentThreads(),
            Bulkhead.ASIDE: AgentThreads(_LITTLE_PATIENCE, "aside", usual=4, slow=1),
            Bulkhead.CONSOLE: AgentThreads(sort="console"),
        }
        self._limiter = KeyedLimiter(ENGINE)

    def start(self) -> None:
        """Start the threads."""
        for pool in self._all():
            pool.__enter__()

    def end(self) -> None:
        """End idle threads; a hung one is left behind."""
        for pool in self._all():
            pool.__exit__()

    async def run(
        self,
        call: Callable[[], T],
        *,
        bulkhead: Bulkhead,
        id: str,
        timeout: timedelta,  # noqa: ASYNC109 - raises our own error
    ) -> T:
        """Run a blocking call about a domain; an empty `id` means no domain.

        Raises:
            EngineTimedOutError: no result within `timeout`, which includes the wait for
                a slot and for a thread.
        """
        if threads := self._of_guests.get(bulkhead):
            return await self._limiter.run((bulkhead, id), threads.of(id), call, timeout)
        pool = self._pools[bulkhead]
        if not id or bulkhead is not Bulkhead.WORK:
            return await pool.run(call, timeout=timeout)
        return await self._limiter.run((bulkhead, id), pool, call, timeout)

    def fail(self, why: Callable[[], Exception]) -> None:
        """Fail all callers, including those that wait for a slot."""
        for pool in self._all():
            pool.fail(why)
        self._limiter.fail(why)

    def _all(self) -> Iterator[EngineThreads | AgentThreads]:
        yield from self._pools.values()
        yield from self._of_guests.values()

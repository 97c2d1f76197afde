"""The line to the imitated engine: what it tells those who follow it, and how it is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Never

from proad.drivers.subscriber import Subscriber
from proad.errors import EngineUnreachableError
from proad.model import EngineEvent
from proad.ports import OnEvent

NAME = "memory"


class Line:
    """What all parts of the driver reach the imitated engine by. It can be cut."""

    def __init__(self) -> None:
        self._subscribers: set[Subscriber] = set()
        self._cut = asyncio.Event()

    @asynccontextmanager
    async def subscribe(self, on_event: OnEvent) -> AsyncIterator[asyncio.Future[Never]]:
        """Call `on_event` for each event of a workload while the block lasts."""
        self._reach()
        subscriber = Subscriber(on_event)
        self._subscribers.add(subscriber)
        try:
            yield subscriber.lost
        finally:
            self._subscribers.discard(subscriber)
            subscriber.close()

    def lose(self) -> None:
        """Cut the line: calls, waiting ones too, and subscriptions end in
        EngineUnreachableError. The workloads live on.
        """
        self._cut.set()
        for subscriber in self._subscribers:
            subscriber.lose(_cut_off())
        self._subscribers.clear()

    def come_back(self) -> None:
        """Mend the line. What ended by `lose` stays ended: subscribe and call anew."""
        self._cut = asyncio.Event()

    def _reach(self) -> None:
        """Raise where the line is cut. Every public method begins with it."""
        _require(self._cut)

    def _tell(self, event: EngineEvent) -> None:
        for subscriber in tuple(self._subscribers):
            subscriber.publish(event)

    async def _happens(self, what: asyncio.Event, within: timedelta) -> bool:
        """Wait for something, and tell whether it came in time."""
        cut = self._cut
        waits = [asyncio.ensure_future(each.wait()) for each in (what, cut)]
        try:
            await asyncio.wait(
                waits, timeout=within.total_seconds(), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for wait in waits:
                wait.cancel()
        _require(cut)
        return what.is_set()


def _require(cut: asyncio.Event) -> None:
    if cut.is_set():
        raise _cut_off()


def _cut_off() -> EngineUnreachableError:
    return EngineUnreachableError(NAME, "its line was cut")

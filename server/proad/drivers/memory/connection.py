"""The connection to the imitated engine, with its events and its loss."""

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


class MemoryConnection:
    """The connection of all parts of the driver to the imitated engine. It can be lost."""

    def __init__(self) -> None:
        self._subscribers: set[Subscriber] = set()
        self._lost = asyncio.Event()

    @asynccontextmanager
    async def subscribe(self, on_event: OnEvent) -> AsyncIterator[asyncio.Future[Never]]:
        """Call `on_event` for each event of a workload while the block lasts."""
        self.check()
        subscriber = Subscriber(on_event)
        self._subscribers.add(subscriber)
        try:
            yield subscriber.lost
        finally:
            self._subscribers.discard(subscriber)
            subscriber.close()

    def lose(self) -> None:
        """Lose the connection, which ends subscriptions and calls in EngineUnreachableError."""
        self._lost.set()
        for subscriber in self._subscribers:
            subscriber.lose(_unreachable())
        self._subscribers.clear()

    def come_back(self) -> None:
        """Restore the connection. Calls and subscriptions that `lose` ended stay ended."""
        self._lost = asyncio.Event()

    def check(self) -> None:
        """Raise EngineUnreachableError if the connection is lost.

        Every method of the driver that needs the engine begins with this check.
        """
        _require(self._lost)

    def publish(self, event: EngineEvent) -> None:
        """Send an event to all subscribers."""
        for subscriber in tuple(self._subscribers):
            subscriber.publish(event)

    async def wait(self, event: asyncio.Event, within: timedelta) -> bool:
        """Wait for an event, and return whether it came in time.

        Raises:
            EngineUnreachableError: the connection was lost during the wait.
        """
        lost = self._lost
        waits = [asyncio.ensure_future(each.wait()) for each in (event, lost)]
        try:
            await asyncio.wait(
                waits, timeout=within.total_seconds(), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for wait in waits:
                wait.cancel()
        _require(lost)
        return event.is_set()


def _require(lost: asyncio.Event) -> None:
    if lost.is_set():
        raise _unreachable()


def _unreachable() -> EngineUnreachableError:
    return EngineUnreachableError(NAME, "its connection was cut")

"""Subscriptions: hints for readers that may be slow, gone, or cut off from libvirt."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from proad.drivers.libvirt.errors import ENGINE
from proad.errors import EngineUnreachableError
from proad.model import EngineEvent


class Subscription:
    """What one reader has yet to hear: one hint for each resource, the oldest first."""

    def __init__(self) -> None:
        self._pending: dict[str, EngineEvent] = {}
        self._something = asyncio.Event()
        self._lost = ""

    def add(self, event: EngineEvent) -> None:
        """Have the reader told of an event, together with what it has not heard yet."""
        before = self._pending.get(event.id)
        self._pending[event.id] = event if before is None else before | event
        self._something.set()

    def end(self, why: str) -> None:
        """Tell the reader that the stream is lost; what it has not heard is void."""
        self._lost = why
        self._something.set()

    def __aiter__(self) -> "Subscription":
        """Give the iterator: itself."""
        return self

    async def __anext__(self) -> EngineEvent:
        """Wait for the next hint.

        Raises:
            EngineUnreachableError: the stream is lost.
        """
        await self._something.wait()
        if self._lost:
            raise EngineUnreachableError(ENGINE, self._lost)
        event = self._pending.pop(next(iter(self._pending)))
        if not self._pending:
            self._something.clear()
        return event


class Subscriptions:
    """All open subscriptions; used on the asyncio loop."""

    def __init__(self) -> None:
        self._open: set[Subscription] = set()

    def publish(self, event: EngineEvent) -> None:
        """Tell every reader."""
        for subscription in self._open:
            subscription.add(event)

    def end(self, why: str) -> None:
        """Tell every reader that it may have missed something."""
        for subscription in self._open:
            subscription.end(why)
        self._open.clear()

    @contextmanager
    def opened(self) -> Iterator[Subscription]:
        """Collect what happens for as long as the block lasts."""
        subscription = Subscription()
        self._open.add(subscription)
        try:
            yield subscription
        finally:
            self._open.discard(subscription)

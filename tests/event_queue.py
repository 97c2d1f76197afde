"""The events of a subscription as an asynchronous iterator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Never, Self

from proad.model import EngineEvent
from proad.ports import Driver


class EventQueue(AsyncIterator[EngineEvent]):
    """Returns events in the order in which they came, and then raises what ended them."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[Never]
        self._events: asyncio.Queue[EngineEvent] = asyncio.Queue()

    @classmethod
    @asynccontextmanager
    async def of(cls, driver: Driver) -> AsyncIterator[Self]:
        """Subscribe to a driver's events while the block lasts."""
        events = cls()
        async with driver.subscribe(events._events.put_nowait) as events.lost:
            yield events

    @property
    def empty(self) -> bool:
        """Whether all events that have come were returned."""
        return self._events.empty()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EngineEvent:
        event = asyncio.ensure_future(self._events.get())
        try:
            ends: set[asyncio.Future[Any]] = {event, self.lost}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return event.result() if event.done() else self.lost.result()
        finally:
            event.cancel()

"""The events of a subscription as an asynchronous iterator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Never, Self

from proad.model import EngineEvent
from proad.ports import Driver


class EventQueue(AsyncIterator[EngineEvent]):
    """Returns events in the order in which they came, and then raises what ended them."""

    def __init__(self, events: asyncio.Queue[EngineEvent], lost: asyncio.Future[Never]) -> None:
        self._events = events
        self._lost = lost

    @classmethod
    @asynccontextmanager
    async def of(cls, driver: Driver) -> AsyncIterator[Self]:
        """Subscribe to a driver's events while the block lasts."""
        events: asyncio.Queue[EngineEvent] = asyncio.Queue()
        async with driver.subscribe(events.put_nowait) as lost:
            yield cls(events, lost)

    @property
    def empty(self) -> bool:
        """Whether all events that have come were returned."""
        return self._events.empty()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EngineEvent:
        event = asyncio.ensure_future(self._events.get())
        try:
            ends: set[asyncio.Future[Any]] = {event, self._lost}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return event.result() if event.done() else self._lost.result()
        finally:
            event.cancel()

"""What a thread has read, on its way to the event loop."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from proad.drivers.threads import call_soon_threadsafe

T = TypeVar("T")


class EventInbox(Generic[T]):
    """Passes events of a thread on to the event loop, in order.

    A storm of events costs one wake-up. Only a limited number are passed on in one callback:
    between two the loop serves others, however many events wait.

    Args:
        loop: the event loop.
        receive: called on the loop with each event.
        batch_size: events in one callback.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, receive: Callable[[T], None], batch_size: int = 256
    ) -> None:
        self._loop = loop
        self._receive = receive
        self._batch_size = batch_size
        self._lock = threading.Lock()
        self._events: deque[T] = deque()

    def put(self, event: T) -> None:
        """Add an event. Called on the thread."""
        with self._lock:
            first = not self._events
            self._events.append(event)
        if first:
            call_soon_threadsafe(self._loop, self._pass_on)

    def _pass_on(self) -> None:
        with self._lock:
            count = min(len(self._events), self._batch_size)
            batch = [self._events.popleft() for _ in range(count)]
            more = bool(self._events)
        if more:
            self._loop.call_soon(self._pass_on)
        for event in batch:
            self._receive(event)

"""The hints of one subscription that wait for their reader.

What is lost, and when: hints of one resource that wait together become one that says all
that they said; none of them is dropped. Where the stream itself is lost, all that waits is
void, and the reader is told of the loss at once and ever after: it must read everything
anew, which says more than any hint. Nothing is kept after that.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Self

from proad.errors import EngineUnreachableError
from proad.model import EngineEvent


class Hints(AsyncIterator[EngineEvent]):
    """At most one hint for each resource, the one that has waited longest first.

    To be used on the event loop, like all of asyncio.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, EngineEvent] = {}
        self._something = asyncio.Event()
        self._lost: EngineUnreachableError | None = None

    def add(self, event: EngineEvent) -> None:
        """Tell the reader of an event, together with what it has not heard of that resource."""
        if self._lost is None:
            self._waiting[event.id] = self._waiting.get(event.id, event) | event
            self._something.set()

    def lose(self, error: EngineUnreachableError) -> None:
        """Tell the reader that events may be missing from here on. The first loss counts."""
        if self._lost is None:
            self._lost = error
            self._waiting.clear()
            self._something.set()

    def __aiter__(self) -> Self:
        """Give the iterator: itself."""
        return self

    async def __anext__(self) -> EngineEvent:
        """Wait for the next hint.

        Raises:
            EngineUnreachableError: the stream is lost.
        """
        while self._lost is None and not self._waiting:
            self._something.clear()
            await self._something.wait()
        if self._lost is not None:
            raise self._lost.with_traceback(None)  # it may be raised many times
        return self._waiting.pop(next(iter(self._waiting)))

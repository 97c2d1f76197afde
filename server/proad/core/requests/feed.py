"""The progress of a request, followed by each of its callers."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable

# Progress that a follower who joins late, or is slow, still gets; the older is left out.
_KEPT = 256


class Feed:
    """The last items of progress, numbered, for all followers together."""

    def __init__(self) -> None:
        self._items: deque[bytes] = deque(maxlen=_KEPT)
        self._count = 0
        self._news = asyncio.Event()

    def append(self, item: bytes) -> None:
        """Add an item, and wake the followers."""
        self._items.append(item)
        self._count += 1
        self._news.set()
        self._news.clear()  # the followers are woken all the same

    async def until(self, end: Awaitable[object]) -> AsyncIterator[bytes]:
        """Yield the items that are kept, and those that come until `end` is done."""
        ended = asyncio.ensure_future(end)
        place = 0
        while True:
            place = max(place, self._count - len(self._items))
            while place < self._count:
                # By its place from the end: items are left out while this one is sent.
                yield self._items[place - self._count]
                place = max(place + 1, self._count - len(self._items))
            if ended.done():
                return
            news = asyncio.ensure_future(self._news.wait())
            try:
                await asyncio.wait({news, ended}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                news.cancel()

"""Streams that anybody may open: how many, and for how long."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proad.errors import TooManyStreamsError

# Seconds after which such a stream ends. Whoever still listens begins it anew.
_LIFETIME = 300.0
# For one address: a host has a few who ask, and no reason to keep them all.
_MOST_PER_PEER = 64


class PublicStreamLimiter:
    """Counts the public streams of each place, and ends those that have lasted."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @asynccontextmanager
    async def one(self, place: str) -> AsyncIterator[None]:
        """Count a stream as long as this is entered, and leave it when its time is over.

        Args:
            place: where it comes from.

        Raises:
            TooManyStreamsError: there are as many from there as there may be.
        """
        if self._open[place] >= _MOST_PER_PEER:
            raise TooManyStreamsError(_MOST_PER_PEER)
        self._open[place] += 1
        try:
            async with asyncio.timeout(_LIFETIME) as limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            self._open[place] -= 1
            if not self._open[place]:
                del self._open[place]

"""Limits of streams that need no token."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proad.errors import TooManyStreamsError

# The most streams from one address: a host has few clients that need no token.
MOST_PER_ADDRESS = 64


class PublicStreamLimiter:
    """Limits the number of public streams from one address, and their lifetime.

    Args:
        lifetime: seconds after which a stream ends.
    """

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._open: Counter[str] = Counter()

    @asynccontextmanager
    async def stream(self, address: str) -> AsyncIterator[None]:
        """Count a stream while the block runs, and leave the block when its lifetime is over.

        Args:
            address: the client's address.

        Raises:
            TooManyStreamsError: the address has the most streams that it may have.
        """
        if self._open[address] >= MOST_PER_ADDRESS:
            raise TooManyStreamsError(MOST_PER_ADDRESS)
        self._open[address] += 1
        try:
            async with asyncio.timeout(self._lifetime) as limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

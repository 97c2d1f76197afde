"""Long work on the event loop, in slices between which others get their turn."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")

# Seconds of one slice.
_SLICE = 0.005


async def in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    """Give items one by one, and others their turn whenever 5 ms went by since the last."""
    began = time.perf_counter()
    for item in items:
        yield item
        if time.perf_counter() - began > _SLICE:
            await asyncio.sleep(0)
            began = time.perf_counter()

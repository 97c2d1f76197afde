"""Long work on the event loop, in slices between which others get their turn."""

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any, TypeVar

T = TypeVar("T")

# Seconds of one slice.
_SLICE = 0.005
# Items that are sorted in one go.
_RUN = 512


async def in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    """Give items one by one, and others their turn whenever 5 ms went by since the last."""
    began = time.perf_counter()
    for item in items:
        yield item
        if time.perf_counter() - began > _SLICE:
            await asyncio.sleep(0)
            began = time.perf_counter()


async def sorted_in_slices(items: Sequence[T], key: Callable[[T], Any]) -> list[T]:
    """Sort items: in runs, which are merged."""
    if len(items) <= _RUN:
        return sorted(items, key=key)
    by_key = itemgetter(0)
    runs = [
        sorted(((key(item), item) for item in items[begin : begin + _RUN]), key=by_key)
        async for begin in in_slices(range(0, len(items), _RUN))
    ]
    return [item async for _, item in in_slices(heapq.merge(*runs, key=by_key))]

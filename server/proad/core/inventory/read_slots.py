"""A limit of the reads at a time, whose queue callers go ahead of."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ReadSlots:
    """Limits how many resources are read at a time.

    After a loss, thousands of resources may be due. Reads that callers wait for therefore get
    every other free slot before all reads that only events asked for, which go on meanwhile.

    Args:
        count: reads at a time.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._awaited: OrderedDict[str, asyncio.Future[None]] = OrderedDict()
        self._others: OrderedDict[str, asyncio.Future[None]] = OrderedDict()
        self._awaited_next = True

    @asynccontextmanager
    async def slot(self, id: str, *, awaited: bool) -> AsyncIterator[None]:
        """Wait for a slot and keep it during the block.

        Args:
            id: the resource; one read of each waits at a time.
            awaited: a caller waits for the read.
        """
        if self._free:
            self._free -= 1
        else:
            await self._wait(id, self._awaited if awaited else self._others)
        try:
            yield
        finally:
            self._release()

    def promote(self, id: str) -> None:
        """Note that a caller waits for a read by now."""
        if (granted := self._others.pop(id, None)) is not None:
            self._awaited[id] = granted

    async def _wait(self, id: str, queue: OrderedDict[str, asyncio.Future[None]]) -> None:
        granted = queue[id] = asyncio.get_running_loop().create_future()
        try:
            await granted
        except asyncio.CancelledError:
            if not granted.cancelled():
                self._release()  # granted at the moment of the cancellation
            raise
        finally:
            self._awaited.pop(id, None)
            self._others.pop(id, None)

    def _release(self) -> None:
        queues = self._awaited, self._others
        for queue in queues if self._awaited_next else reversed(queues):
            while queue:
                _id, granted = queue.popitem(last=False)
                if not granted.done():  # one that was cancelled is done
                    self._awaited_next = queue is self._others
                    granted.set_result(None)
                    return
        self._free += 1

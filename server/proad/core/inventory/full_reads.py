"""Bounded reads of FULL views, for comparison: some of them may hang."""

import asyncio

from proad.core.engine_connection import EngineConnection
from proad.core.inventory.read_slots import ReadSlots
from proad.errors import EngineTimedOutError
from proad.model import Resource, ResourceView

AT_A_TIME = 2
"""Reads at a time."""
HUNG = 6
"""Reads that may hang besides, before no more are begun: verbs must find a thread, too."""


class FullReads:
    """Reads FULL views of one engine's resources.

    A read that hangs holds a thread of its driver even after its waiter has given up: the
    number of such reads is bounded, to one for each resource.

    Args:
        connection: the engine.
        within: the seconds that are waited for a read.
    """

    def __init__(self, connection: EngineConnection, within: float) -> None:
        self._connection = connection
        self._within = within
        self._slots = ReadSlots(AT_A_TIME)
        self._reading: set[asyncio.Task[Resource]] = set()
        self._hung: dict[str, asyncio.Task[Resource]] = {}

    async def read(self, id: str, *, awaited: bool) -> Resource:
        """Return a FULL view, or give up soon.

        Args:
            id: the resource.
            awaited: a caller waits for the read.

        Raises:
            EngineTimedOutError: the read hangs, or too many others do.
            ResourceNotFoundError: the resource is gone.
        """
        async with self._slots.slot(id, awaited=awaited):
            if id in self._hung or len(self._hung) >= HUNG:
                raise EngineTimedOutError(self._connection.driver.name)
            reading = asyncio.create_task(self._ask(id))
            self._reading.add(reading)
            reading.add_done_callback(lambda done: self._forget(id, done))
            done, _late = await asyncio.wait({reading}, timeout=self._within)
            if not done:
                self._hung[id] = reading
                raise EngineTimedOutError(self._connection.driver.name)
            return reading.result()

    def promote(self, id: str) -> None:
        """Note that a caller waits for a read by now."""
        self._slots.promote(id)

    async def close(self) -> None:
        """Cancel the reads under way."""
        reading = list(self._reading)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    async def _ask(self, id: str) -> Resource:
        driver = self._connection.driver
        return await self._connection.read(lambda: driver.get_resource(id, ResourceView.FULL))

    def _forget(self, id: str, reading: "asyncio.Task[Resource]") -> None:
        self._reading.discard(reading)
        self._hung.pop(id, None)
        if not reading.cancelled():
            reading.exception()  # retrieved: the waiter may have gone

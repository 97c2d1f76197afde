"""A watcher that reads a container again at each event, as the inventory does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from event_queue import EventQueue
from eventually import eventually
from proad.drivers.docker import DockerDriver
from proad.errors import ResourceNotFoundError
from proad.model import EngineEvent, Resource, ResourceState, ResourceView

SETTLED = 0.4  # seconds after which no more events come


def in_state(state: ResourceState) -> Callable[[Resource | None], bool]:
    """Return a predicate: the container exists and is in a state."""
    return lambda it: it is not None and it.state is state


class ContainerWatcher:
    """Reads a container again at each event, as the inventory does."""

    def __init__(
        self, driver: DockerDriver, id: str, view: ResourceView = ResourceView.SUMMARY
    ) -> None:
        self._view = view
        self.events: list[EngineEvent] = []
        self.seen: list[Resource | None] = []
        self._driver = driver
        self._id = id
        self._come = asyncio.Event()

    async def follow(self, events: AsyncIterator[EngineEvent]) -> None:
        async for event in events:
            if event.id != self._id:
                continue
            self.events.append(event)
            self._come.set()
            try:
                found = await self._driver.get_resource(self._id, self._view)
            except ResourceNotFoundError:
                found = None
            self.seen.append(found)
            self._come.set()

    async def quiet(self) -> None:
        """Wait until nothing has come for a while."""
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(SETTLED):
                    await self._come.wait()
                self._come.clear()

    async def settled(
        self, such: Callable[[Resource | None], bool] = lambda _: True, *, after: int = 0
    ) -> Resource | None:
        """Wait for a matching read after the given count, then for quiet; return the last read."""

        async def come() -> bool:
            return len(self.seen) > after and such(self.seen[-1])

        try:
            await eventually(come, every=0.01)
        except TimeoutError:
            pytest.fail(f"heard {self.events}, read {self.seen}")
        await self.quiet()
        assert such(self.seen[-1])
        return self.seen[-1]


@asynccontextmanager
async def watched(
    driver: DockerDriver, id: str, view: ResourceView = ResourceView.SUMMARY
) -> AsyncIterator[ContainerWatcher]:
    watcher = ContainerWatcher(driver, id, view)
    async with EventQueue.of(driver) as events:
        following = asyncio.create_task(watcher.follow(events))
        await watcher.quiet()  # the events of the second before, repeated
        watcher.events.clear()
        watcher.seen.clear()
        yield watcher
        assert not following.done()
        following.cancel()

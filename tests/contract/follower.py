"""One who follows a driver as the inventory does: subscribe, list, read again what is told of."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from proad.core.ports import Driver
from proad.errors import ResourceNotFoundError
from proad.model import EngineEvent, Resource, ResourceView

_WITHIN = 30.0


class Follower:
    """Knows of a resource only what it read after it was told to, so that what it knows
    is right at the end if nothing was left untold.

    Attributes:
        known: the resources, by id.
        told: all that it was told, in order.
    """

    def __init__(self, driver: Driver, view: ResourceView) -> None:
        self._driver = driver
        self._view = view
        self._news = asyncio.Event()
        self.known: dict[str, Resource] = {}
        self.told: list[EngineEvent] = []

    @classmethod
    @asynccontextmanager
    async def of(
        cls, driver: Driver, view: ResourceView = ResourceView.SUMMARY
    ) -> AsyncIterator["Follower"]:
        """Follow a driver for as long as the block lasts."""
        follower = cls(driver, view)
        async with driver.subscribe() as events:
            follower.known = {each.id: each for each in await driver.list_resources(view)}
            task = asyncio.create_task(follower._follow(events))
            try:
                yield follower
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def about(self, id: str) -> EngineEvent:
        """Give all that was told of a resource, as one event."""
        told = [event for event in self.told if event.id == id]
        assert told, "nothing was told of it"
        return EngineEvent(
            id=id,
            removed=any(event.removed for event in told),
            ended=any(event.ended for event in told),
            reconfigured=any(event.reconfigured for event in told),
        )

    async def hears(self, id: str, *flags: str) -> None:
        """Wait until it was told of a resource with these flags.

        What it knows may be right before: by what it read after another event.
        """
        await self._told_until(
            lambda: any(
                event.id == id and all(getattr(event, flag) for flag in flags)
                for event in self.told
            )
        )

    async def sees(self, id: str, such: Callable[[Resource], bool]) -> None:
        """Wait until it knows a resource as it must be, and as the driver gives it."""
        await self._told_until(lambda: id in self.known and such(self.known[id]))
        await self.agrees(id)

    async def misses(self, id: str) -> None:
        """Wait until it knows a resource no more, and the driver neither."""
        await self._told_until(lambda: id not in self.known)
        await self.agrees(id)

    async def agrees(self, id: str) -> None:
        """Wait until what it knows of a resource is what the driver gives."""
        known: Resource | None = None
        now: Resource | None = None
        try:
            async with asyncio.timeout(_WITHIN):
                while True:
                    now = await self._read(id)
                    known = self.known.get(id)
                    if self._comparable(known) == self._comparable(now):
                        return
                    await asyncio.sleep(0.02)
        except TimeoutError:
            assert known == now, "no event led to this"

    async def _told_until(self, so: Callable[[], bool]) -> None:
        async with asyncio.timeout(_WITHIN):
            while not so():
                self._news.clear()
                await self._news.wait()

    async def _follow(self, events: AsyncIterator[EngineEvent]) -> None:
        async for event in events:
            self.told.append(event)
            now = await self._read(event.id)
            if now is None:
                self.known.pop(event.id, None)
            else:
                self.known[event.id] = now
            self._news.set()

    def _comparable(self, resource: Resource | None) -> Resource | None:
        """Leave out what may change without an event, if the driver says that something does."""
        if resource is None or resource.domain is None or self._driver.full_view_age is None:
            return resource
        told = replace(resource.domain, disks=(), networks=(), snapshot_count=0)
        return replace(resource, domain=told)

    async def _read(self, id: str) -> Resource | None:
        try:
            return await self._driver.get_resource(id, self._view)
        except ResourceNotFoundError:
            return None


async def unread(events: AsyncIterator[EngineEvent], id: str) -> list[EngineEvent]:
    """Read until nothing comes for a while, and give what was about a resource."""
    found = []
    with suppress(TimeoutError):
        async with asyncio.timeout(3):  # others use the engine too
            while True:
                event = await asyncio.wait_for(anext(events), 0.5)
                if event.id == id:
                    found.append(event)
    return found

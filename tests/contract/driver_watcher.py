"""A consumer of a driver's events that works like the inventory: subscribe, list, read on event."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from event_queue import EventQueue
from eventually import eventually
from proad.errors import ResourceNotFoundError
from proad.model import EngineEvent, Resource, ResourceView
from proad.ports import Driver

_WITHIN = 30.0


class DriverWatcher:
    """Keeps the resources of a driver by reading each one again on every event about it.

    If the driver reports every change, the kept resources are equal to the driver's own in
    the end.

    Attributes:
        resources: as last read, by id.
        events: all events, in order.
    """

    def __init__(self, driver: Driver, view: ResourceView) -> None:
        self._driver = driver
        self._view = view
        self._changed = asyncio.Event()
        self.resources: dict[str, Resource] = {}
        self.events: list[EngineEvent] = []

    @classmethod
    @asynccontextmanager
    async def of(
        cls, driver: Driver, view: ResourceView = ResourceView.SUMMARY
    ) -> AsyncIterator["DriverWatcher"]:
        """Watch a driver until the block ends."""
        watcher = cls(driver, view)
        async with EventQueue.of(driver) as events:
            watcher.resources = {each.id: each for each in await driver.list_resources(view)}
            task = asyncio.create_task(watcher.follow(events))
            try:
                yield watcher
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def merged_event(self, id: str) -> EngineEvent:
        """Return all events about a resource as one."""
        events = [event for event in self.events if event.id == id]
        assert events, "no event was about the resource"
        return EngineEvent(
            id=id,
            removed=any(event.removed for event in events),
            ended=any(event.ended for event in events),
            reconfigured=any(event.reconfigured for event in events),
        )

    async def wait_event(self, id: str, *flags: str) -> None:
        """Wait for an event about a resource that has these flags.

        The resource may have been read in its new state before, on another event.
        """
        await self._until(
            lambda: any(
                event.id == id and all(getattr(event, flag) for flag in flags)
                for event in self.events
            )
        )

    async def wait_for(self, id: str, such: Callable[[Resource], bool]) -> None:
        """Wait until a resource fulfils a condition and equals what the driver returns."""
        await self._until(lambda: id in self.resources and such(self.resources[id]))
        await self.wait_consistent(id)

    async def wait_removed(self, id: str) -> None:
        """Wait until a resource is gone here and in the driver."""
        await self._until(lambda: id not in self.resources)
        await self.wait_consistent(id)

    async def wait_consistent(self, id: str) -> None:
        """Wait until a resource equals what the driver returns."""
        kept: Resource | None = None
        now: Resource | None = None

        async def consistent() -> bool:
            nonlocal kept, now
            now = await self._read(id)
            kept = self.resources.get(id)
            return self._comparable(kept) == self._comparable(now)

        try:
            await eventually(consistent, within=_WITHIN, every=0.02)
        except TimeoutError:
            assert kept == now, "no event led to this"

    async def _until(self, so: Callable[[], bool]) -> None:
        async with asyncio.timeout(_WITHIN):
            while not so():
                self._changed.clear()
                await self._changed.wait()

    async def follow(self, events: AsyncIterator[EngineEvent]) -> None:
        """Read each resource again that an event is about."""
        async for event in events:
            self.events.append(event)
            now = await self._read(event.id)
            if now is None:
                self.resources.pop(event.id, None)
            else:
                self.resources[event.id] = now
            self._changed.set()

    def _comparable(self, resource: Resource | None) -> Resource | None:
        """Return a resource without the fields that may change without an event in this driver."""
        if resource is None or resource.domain is None or self._driver.full_view_age is None:
            return resource
        domain = replace(resource.domain, disks=(), networks=(), snapshot_count=0)
        return replace(resource, domain=domain)

    async def _read(self, id: str) -> Resource | None:
        try:
            return await self._driver.get_resource(id, self._view)
        except ResourceNotFoundError:
            return None

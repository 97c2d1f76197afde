"""An engine whose events and answers a test releases in any order."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from proad.errors import EngineConflictError, EngineUnreachableError, ResourceNotFoundError
from proad.model import (
    Capability,
    EngineEvent,
    EngineInfo,
    ResourceKind,
    ResourceView,
    StopMode,
)
from unit.core.inventory.scripted import box


@dataclass(eq=False)
class Read:
    """A read under way: the state that the engine has read by now, if any, and the answer."""

    look: Any
    seen: Any = None
    answer: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def sample(self):
        if self.seen is None:
            self.seen = (self.look(),)

    def end(self):
        self.sample()
        if not self.answer.done():
            self.answer.set_result(self.seen[0])

    def fail(self):
        if not self.answer.done():
            self.answer.set_exception(EngineConflictError("late", "not now"))


class ReorderingEngine:
    """Has the resources `there`, with a version label; events and reads wait in lists."""

    name = "late"
    endpoint = "late:"
    kinds = (ResourceKind.CONTAINER,)
    stop_modes = frozenset(StopMode)
    lacks: frozenset[Capability] = frozenset()
    full_view_age = None

    def __init__(self):
        self.there = {}
        self.commands = {}
        self.events = []
        self.reads = []
        self.lost = False
        self.looks_at_once = False
        self._version = 0
        self._subscriptions = []

    async def identity(self):
        return "scripted"

    async def probe(self):
        self._reach()
        return EngineInfo(version="1")

    async def list_resources(self, view=ResourceView.SUMMARY):
        return await self._read(lambda: list(self.there.values()))

    async def get_resource(self, id, view=ResourceView.FULL):
        seen = await self._read(lambda: self.look(id, view))
        if seen is None:
            raise ResourceNotFoundError(id)
        return seen

    def look(self, id, view=ResourceView.SUMMARY):
        resource = self.there.get(id)
        if resource is None or view is ResourceView.SUMMARY:
            return resource
        container = replace(resource.container, command=(self.commands.get(id, "first"),))
        return replace(resource, container=container)

    @asynccontextmanager
    async def subscribe(self, on_event):
        self._reach()
        subscription = on_event, asyncio.get_running_loop().create_future()
        self._subscriptions.append(subscription)
        self.events.clear()  # changes before the subscription are not reported
        try:
            yield subscription[1]
        finally:
            self._subscriptions.remove(subscription)

    def put(self, id, state, name, **event):
        """Create or change a resource."""
        self._version += 1
        labels = {"version": str(self._version)}
        old = self.there.get(id)
        self.there[id] = (
            replace(old, state=state, name=name, labels=labels)
            if old
            else box(id, name, state, labels=labels)
        )
        self.events.append(EngineEvent(id=id, **event))

    def take(self, id):
        """Remove a resource."""
        if self.there.pop(id, None) is not None:
            self.events.append(EngineEvent(id=id, removed=True))

    def configure(self, id, command):
        """Change a field that only the FULL view shows."""
        if id in self.there:
            self.commands[id] = command
            self.events.append(EngineEvent(id=id, reconfigured=True))

    def deliver(self, event):
        for on_event, _lost in list(self._subscriptions):
            on_event(event)

    def cut(self):
        """Lose the event stream, with the events in flight."""
        self.events.clear()
        for _on_event, lost in self._subscriptions:
            if not lost.done():
                lost.set_exception(EngineUnreachableError(self.name, "the stream broke"))
                lost.exception()  # it may have no waiter yet

    async def _read(self, look):
        self._reach()
        read = Read(look)
        if self.looks_at_once:
            read.sample()
        self.reads.append(read)
        try:
            return await read.answer
        finally:
            self.reads.remove(read)

    def _reach(self):
        if self.lost:
            raise EngineUnreachableError(self.name, "it is lost")

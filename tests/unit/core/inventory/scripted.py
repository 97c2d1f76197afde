"""An engine scripted by a test."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace

from proad.core.engine_connection import EngineConnection
from proad.errors import EngineUnreachableError, ResourceNotFoundError
from proad.model import (
    Capability,
    Container,
    ContainerSpec,
    EngineEvent,
    EngineInfo,
    EngineRef,
    Resource,
    ResourceKind,
    ResourceState,
    ResourceView,
    StopMode,
)

ENGINE = EngineRef("local", "scripted")
FAR = EngineRef("far", "scripted")


def box(id="1", name="web", state=ResourceState.RUNNING, **others):
    others.setdefault("kind", ResourceKind.CONTAINER)
    others.setdefault(
        "container", Container(image="i", image_id="sha256:0", spec=ContainerSpec(image="i"))
    )
    return Resource(id=id, name=name, state=state, **others)


class Scripted:
    """Has what `there` says, tells what `tell` is called with, and counts what it is asked.

    `before` and `after` are awaited around each reading, with the method and the id.
    """

    name = "scripted"
    endpoint = "scripted:"
    kinds = (ResourceKind.CONTAINER,)
    stop_modes = frozenset(StopMode)
    lacks: frozenset[Capability] = frozenset()

    def __init__(self, *resources):
        self.there = {resource.id: resource for resource in resources}
        self.commands = {}
        self.full_view_age = None
        self.lost = False
        self.asked: Counter[str] = Counter()
        self.before = self.after = nothing
        self._subscriptions = []

    async def identity(self):
        return "scripted"

    async def probe(self):
        self._reach()
        return EngineInfo(version="1")

    async def list_resources(self, view=ResourceView.SUMMARY):
        return await self._read("list", "", lambda: list(self.there.values()))

    async def get_resource(self, id, view=ResourceView.FULL):
        return await self._read(view.lower(), id, lambda: self.published(id, view))

    async def find_id(self, name):
        ids = [each.id for each in self.there.values() if each.name == name]
        return await self._read("name", name, lambda: ids[0] if ids else "")

    def published(self, id, view=ResourceView.SUMMARY):
        if id not in self.there:
            raise ResourceNotFoundError(id)
        resource = self.there[id]
        if view is ResourceView.SUMMARY:
            return resource
        command = (self.commands.get(id, "first"),)
        spec = ContainerSpec(image="i", name=resource.name)
        full = replace(resource.container, command=command, spec=spec)
        return replace(resource, container=full)

    @asynccontextmanager
    async def subscribe(self, on_event):
        self._reach()
        self.asked["subscribe"] += 1
        subscription = on_event, asyncio.get_running_loop().create_future()
        self._subscriptions.append(subscription)
        try:
            yield subscription[1]
        finally:
            self._subscriptions = [s for s in self._subscriptions if s[1] is not subscription[1]]

    def put(self, resource, *, tell=True, **event):
        """Add or change a resource."""
        self.there[resource.id] = resource
        if tell:
            self.tell(resource.id, **event)

    def take(self, id, *, tell=True):
        """Remove a resource."""
        del self.there[id]
        if tell:
            self.tell(id, removed=True)

    def tell(self, id, **event):
        for on_event, _lost in self._subscriptions:
            on_event(EngineEvent(id=id, **event))

    def break_streams(self, error=None):
        """Lose the event streams; the engine itself continues."""
        for _on_event, lost in self._subscriptions:
            if not lost.done():
                lost.set_exception(error or EngineUnreachableError(self.name, "the stream broke"))

    def silence_streams(self):
        """Send no more events to the current subscriptions, without an error."""
        self._subscriptions = [(lambda event: None, lost) for _, lost in self._subscriptions]

    @property
    def followers(self):
        return len(self._subscriptions)

    async def _read(self, method, id, read):
        self._reach()
        self.asked[method] += 1
        await self.before(method, id)
        self._reach()
        answer = read()
        await self.after(method, id)
        return answer

    def _reach(self):
        if self.lost:
            raise EngineUnreachableError(self.name, "it is lost")


async def nothing(method, id):
    """Delay nothing."""


class Gate:
    """Delays reads until it is opened."""

    def __init__(self, method="summary", id=None):
        self.method, self.id = method, id
        self.waiting = 0
        self.most = 0
        self.open = asyncio.Event()
        self.reached = asyncio.Event()

    async def __call__(self, method, id):
        if method != self.method or self.id not in {None, id}:
            return
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        self.reached.set()
        try:
            await self.open.wait()
        finally:
            self.waiting -= 1


async def linked(engine, host="local"):
    """Return a connection whose engine has been probed."""
    connection = EngineConnection(host, engine)
    await connection.probe()
    return connection


async def quiet(inventory, seconds=30):
    """Wait until nothing is dirty and no read is under way."""
    async with asyncio.timeout(seconds):
        await inventory.idle()


async def until(condition, seconds=30):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


def names(inventory, connection):
    return sorted(resource.name for resource in inventory.all(connection))


def steps(inventory, id="1"):
    """Return the states of a resource in the history; None where it is absent."""
    told = []
    for entry in inventory.history.after(0, 10_000):
        resource = getattr(entry, "after", None) or getattr(entry, "before", None)
        if resource is not None and resource.id == id:
            told.append(entry.after and entry.after.state)
    return told


def gaps(inventory):
    entries = inventory.history.after(0, 10_000)
    return [entry.gap.kind for entry in entries if hasattr(entry, "gap")]


def becomes(engine, state, *, tell=True):
    """Return a transition that sets the resource, and reads it."""

    async def act(before, on_step):
        engine.put(replace(engine.there[before.id], state=state), tell=tell)
        return engine.there[before.id]

    return act

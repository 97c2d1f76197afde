"""An inventory whose every change a test makes, and a watcher of it."""

import asyncio
from datetime import timedelta
from typing import Any

from proad.core.inventory import ChangeHistory, Inventory, ResumePoint, Selection, Store, watch
from proad.model import ResourceFilter
from unit.core.inventory import stored
from unit.core.inventory.scripted import box

ALL = ResourceFilter()
NEVER = timedelta(minutes=5)


class Watched(Inventory):
    """An inventory without a reflector: the test makes each change."""

    def __init__(self, connections, size=50):
        self.store = Store(ChangeHistory(size))
        self.connections = connections
        super().__init__(connections, self.store)


def put(inventory, *args, **others):
    return stored.put(inventory.store, box(*args, **others))


def remove(inventory, id):
    stored.take(inventory.store, id)


def said(batch):
    """Return a batch in short form."""
    return [
        event.gap.kind
        if event.gap
        else ("synced" if event.bookmark.synced else "heartbeat")
        if event.bookmark
        else (event.change.type, event.change.resource.id, event.change.resource.state)
        for _revision, event in batch.events
    ]


class Watcher:
    """Reads batches on demand."""

    def __init__(self, inventory, which=ALL, connections=None, heartbeat=NEVER, revision=None):
        connections = connections or inventory.connections
        self.batches: Any = watch(
            inventory,
            Selection(which, connections),
            heartbeat=heartbeat,
            after=None if revision is None else ResumePoint(inventory.epoch, revision),
        )
        self.revision = revision

    async def next(self, seconds=30):
        batch = await asyncio.wait_for(anext(self.batches), seconds)
        self.revision = batch.revision
        return batch

    async def said(self, seconds=30):
        return said(await self.next(seconds))

    async def initial(self, seconds=30):
        """Return all events up to and including the bookmark `synced`."""
        told = []
        while "synced" not in told:
            told += await self.said(seconds)
        return told

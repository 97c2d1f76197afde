"""Telling a watcher what there is and what changes."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace
from datetime import timedelta

from proad.core.engine_connection import EngineConnection
from proad.core.inventory.inventory import Inventory
from proad.core.inventory.journal import Change, JournalEntry, Notice
from proad.errors import RevisionCompactedError
from proad.model import (
    Bookmark,
    ChangeType,
    Gap,
    GapKind,
    Resource,
    ResourceChange,
    ResourceFilter,
    WatchEvent,
)

MOST = 256
"""Events in a batch: messages stay small."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in order.

    Attributes:
        events: the events, each with the revision that it came from; 0 for those that no
            other watcher gets.
        revision: how far the watcher has come with them; None in the initial state, in
            the middle of which nobody can go on.
    """

    events: tuple[tuple[int, WatchEvent], ...]
    revision: int | None


async def watch(
    inventory: Inventory,
    which: ResourceFilter,
    connections: Collection[EngineConnection],
    *,
    heartbeat: timedelta,
    revision: int | None = None,
) -> AsyncIterator[Batch]:
    """Give what there is, a bookmark, and then each change, for ever.

    A watcher costs nothing while it does not read: it is a place in the journal. If the
    journal is short of that place when it reads on, it is told so and begins anew.

    Args:
        inventory: what is watched.
        which: the resources that the watcher wants to hear of.
        connections: the engines that have such resources.
        heartbeat: how long nothing may come.
        revision: go on after this one, without the initial state.

    Raises:
        RevisionCompactedError: the journal does not reach back to `revision`.
    """
    journal = inventory.journal
    engines = {connection.name for connection in connections}
    if revision is None:
        place = journal.revision
        async for batch in _initial(inventory, which, connections, place):
            yield batch
    elif journal.holds(revision):
        place = revision
        # Who was away learns at once that it goes on.
        yield Batch(((0, WatchEvent(bookmark=Bookmark())),), place)
    else:
        raise RevisionCompactedError
    clock = asyncio.get_running_loop().time
    spoken = clock()
    while True:
        try:
            async with asyncio.timeout_at(spoken + heartbeat.total_seconds()):
                await journal.beyond(place)
        except TimeoutError:
            yield Batch(((0, WatchEvent(bookmark=Bookmark())),), place)
            spoken = clock()
            continue
        if not journal.holds(place):
            restarted = Gap(
                kind=GapKind.WATCH_RESTARTED,
                message="the watcher reads more slowly than things change",
            )
            yield Batch(((0, WatchEvent(gap=restarted)),), None)
            place = journal.revision  # only now: it may have taken its time again
            async for batch in _initial(inventory, which, connections, place):
                yield batch
            spoken = clock()
            continue
        entries = journal.after(place, MOST)
        place = entries[-1].revision
        told = tuple(
            (recorded.revision, event)
            for recorded in entries
            if (event := _event(recorded, which, engines)) is not None
        )
        if told:
            yield Batch(told, place)
            spoken = clock()


async def _initial(
    inventory: Inventory,
    which: ResourceFilter,
    connections: Collection[EngineConnection],
    revision: int,
) -> AsyncIterator[Batch]:
    """Yield the state at `revision`, which is the present one, in batches."""
    there = [r for connection in connections for r in inventory.all(connection)]
    lost = [
        (0, WatchEvent(gap=gap))
        for connection in connections
        if (gap := inventory.gap(connection)) is not None
    ]
    async for start in inventory.slicer.each(range(0, len(there), MOST)):
        found = [_existing(r) for r in there[start : start + MOST] if which.matches(r)]
        if found:
            yield Batch(tuple(found), None)
    synced = WatchEvent(bookmark=Bookmark(synced=True))
    yield Batch((*lost, (0, synced)), revision)


def _existing(resource: Resource) -> tuple[int, WatchEvent]:
    change = ResourceChange(type=ChangeType.EXISTING, resource=resource)
    return 0, WatchEvent(change=change)


def _event(
    recorded: JournalEntry, which: ResourceFilter, engines: Collection[str]
) -> WatchEvent | None:
    """Make of a journal's entry what this watcher is told, if it is."""
    match recorded:
        case Notice(gap=gap):
            return WatchEvent(gap=gap) if gap.engine in engines else None
        case Change():
            return _change(recorded, which)


def _change(recorded: Change, which: ResourceFilter) -> WatchEvent | None:
    before, after = recorded.before, recorded.after
    was = before is not None and which.matches(before)
    resource: Resource
    if after is not None and which.matches(after):
        type, resource = ChangeType.MODIFIED if was else ChangeType.ADDED, after
    elif was and before is not None:
        type, resource = ChangeType.REMOVED, after or replace(before, revision=recorded.revision)
    else:
        return None
    return WatchEvent(
        change=ResourceChange(
            type=type,
            resource=resource,
            previous_state=before.state if before is not None else None,
            cause=recorded.cause,
            actor=recorded.actor,
        )
    )

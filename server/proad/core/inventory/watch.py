"""What a watcher receives: the present state, then every change."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from proad.core.engine_connection import EngineConnection
from proad.core.inventory.history import Change, HistoryEntry, Notice
from proad.core.inventory.inventory import Inventory
from proad.core.tenancy import EVERYTHING, Visibility
from proad.errors import RevisionCompactedError
from proad.model import (
    Bookmark,
    ChangeType,
    EngineRef,
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
class ResumePoint:
    """Where a watch goes on.

    Attributes:
        epoch: the run of the daemon within which the revision is valid.
        revision: the revision that the watcher has reached.
        incomplete: the watcher lacks resources of engines that a list left out.
        visibility: digest of what the watcher may see; watchers who see something else lack
            resources, or have too many.
    """

    epoch: str
    revision: int
    incomplete: bool = False
    visibility: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in order.

    Attributes:
        events: the events, each with its revision; 0 for events of this watcher alone.
        revision: the revision that the watcher has reached with them; None within the
            initial state, where no watch can resume.
    """

    events: tuple[tuple[int, WatchEvent], ...]
    revision: int | None


@dataclass(frozen=True, slots=True)
class Selection:
    """What a watcher is told of.

    Attributes:
        which: the filter.
        connections: the engines that may have such resources.
        visibility: what the watcher may see; what passes out of sight is told as REMOVED.
    """

    which: ResourceFilter
    connections: Collection[EngineConnection]
    visibility: Visibility = EVERYTHING

    def visible(self, resource: Resource | None) -> Resource | None:
        """Return a resource, unless the watcher may not see it."""
        if resource is None or not self.visibility.shows(resource):
            return None
        return resource


async def watch(
    inventory: Inventory,
    selection: Selection,
    *,
    heartbeat: timedelta,
    after: ResumePoint | None = None,
) -> AsyncIterator[Batch]:
    """Yield the present state, a bookmark, and then each change, for ever.

    A watcher that does not read costs nothing: it is a position in the history. If the
    history no longer reaches back to that position, the watcher receives a gap and the
    present state again.

    Args:
        inventory: the inventory.
        selection: the resources to watch.
        heartbeat: the time without an event after which a bookmark is sent.
        after: resume after this point, without the initial state.

    Raises:
        RevisionCompactedError: the history does not reach back to `after`, or the watcher saw
            something else then.
    """
    history = inventory.history
    place = 0
    async for batch in _begin(inventory, selection, after):
        place = batch.revision or place  # the last one has a revision
        yield batch
    clock = asyncio.get_running_loop().time
    spoken = clock()
    while True:
        try:
            async with asyncio.timeout_at(spoken + heartbeat.total_seconds()):
                await history.beyond(place)
        except TimeoutError:
            yield Batch(((0, WatchEvent(bookmark=Bookmark())),), place)
            spoken = clock()
            continue
        if not history.holds(place):
            restarted = Gap(
                kind=GapKind.WATCH_RESTARTED,
                message="the watcher reads more slowly than things change",
            )
            yield Batch(((0, WatchEvent(gap=restarted)),), None)
            place = history.revision  # only now: reading the batch may have taken long
            async for batch in _initial(inventory, selection, place):
                yield batch
            spoken = clock()
            continue
        entries = history.after(place, MOST)
        place = entries[-1].revision
        if told := _events(entries, selection):
            yield Batch(told, place)
            spoken = clock()


async def _begin(
    inventory: Inventory, selection: Selection, after: ResumePoint | None
) -> AsyncIterator[Batch]:
    """Yield the initial state, or what follows the point at which the watch resumes."""
    history = inventory.history
    if after is None:
        async for batch in _initial(inventory, selection, history.revision):
            yield batch
        return
    sees_the_same = after.visibility == selection.visibility.digest
    if after.epoch != history.epoch or not history.holds(after.revision) or not sees_the_same:
        raise RevisionCompactedError
    # The caller learns at once that its watch has resumed.
    resumed = ((0, WatchEvent(bookmark=Bookmark())),)
    if not after.incomplete:
        yield Batch(resumed, after.revision)
        return
    yield Batch(resumed, None)
    # What has changed since comes first, for what has gone; then all that there is.
    place = history.revision
    missed = history.after(after.revision, place - after.revision)
    for start in range(0, len(missed), MOST):
        if told := _events(missed[start : start + MOST], selection):
            yield Batch(told, None)
    # What changes while these are read is told once more, after the initial state.
    async for batch in _initial(inventory, selection, place):
        yield batch


async def _initial(
    inventory: Inventory, selection: Selection, revision: int
) -> AsyncIterator[Batch]:
    """Yield the present state, which has all changes up to `revision`, in batches."""
    which, visibility = selection.which, selection.visibility
    there = [r for each in selection.connections for r in inventory.all(each, visibility)]
    lost = [
        (0, WatchEvent(gap=gap))
        for connection in selection.connections
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


def _events(
    entries: Sequence[HistoryEntry], selection: Selection
) -> tuple[tuple[int, WatchEvent], ...]:
    """Return the events of history entries for this watcher, each with its revision."""
    engines = {connection.ref for connection in selection.connections}
    return tuple(
        (recorded.revision, event)
        for recorded in entries
        if (event := _event(recorded, selection, engines)) is not None
    )


def _event(
    recorded: HistoryEntry, selection: Selection, engines: Collection[EngineRef]
) -> WatchEvent | None:
    """Return the event of a history entry for this watcher; None if there is none."""
    match recorded:
        case Notice(gap=gap):
            return WatchEvent(gap=gap) if gap.engine in engines else None
        case Change():
            return _change(recorded, selection)


def _change(recorded: Change, selection: Selection) -> WatchEvent | None:
    which = selection.which
    before, after = selection.visible(recorded.before), selection.visible(recorded.after)
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

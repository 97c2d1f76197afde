"""The events that a watcher receives."""

import asyncio
import itertools
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

from proad.core.inventory import ChangeHistory, Inventory, ResumePoint, Store, watch
from proad.errors import RevisionCompactedError, ShuttingDownError
from proad.model import (
    Activity,
    ChangeCause,
    ChangeType,
    Gap,
    GapKind,
    ResourceFilter,
    ResourceState,
    Verb,
)
from unit.core.inventory import stored
from unit.core.inventory.scripted import ENGINE, FAR, Scripted, box, linked

S = ResourceState
T = ChangeType
ALL = ResourceFilter()
NEVER = timedelta(minutes=5)


class Watched(Inventory):
    """An inventory without a reflector: the test makes each change."""

    def __init__(self, connections, size=50):
        self.store = Store(ChangeHistory(size))
        self.connections = connections
        super().__init__(connections, self.store)


@pytest.fixture
async def inventory(connection):
    inventory = Watched([connection])
    async with inventory.following():
        yield inventory


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
            which,
            connections,
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


async def test_watch_begins_with_initial_state_and_synced_bookmark(inventory):
    put(inventory, "1", "a")
    put(inventory, "2", "b", S.STOPPED)
    watcher = Watcher(inventory)

    assert await watcher.said() == [(T.EXISTING, "1", S.RUNNING), (T.EXISTING, "2", S.STOPPED)]
    assert watcher.revision is None  # a watch cannot resume within the initial state
    assert await watcher.said() == ["synced"]
    assert watcher.revision == 2


async def test_watch_with_large_initial_state_sends_batches(inventory):
    for number in range(768):
        put(inventory, str(number), f"c{number}")
    watcher = Watcher(inventory)

    sizes = []
    while (batch := await watcher.next()).revision is None:
        sizes.append(len(batch.events))
    assert sizes == [256, 256, 256]


async def test_watch_of_nothing_sends_synced_bookmark(inventory):
    assert await Watcher(inventory).said() == ["synced"]


async def test_watch_change_has_previous_state_and_cause(inventory):
    watcher = Watcher(inventory)
    await watcher.initial()

    entry = put(inventory, "1", "a")
    inventory.store.set_activity(entry, Activity(verb=Verb.STOP, actor="ann"))
    inventory.store.finish(entry, box("1", "a", S.STOPPED))
    inventory.store.remove(entry, "bob")

    batch = await watcher.next()
    changes = [event.change for _, event in batch.events]
    assert [(c.type, c.previous_state, c.resource.state, c.cause, c.actor) for c in changes] == [
        (T.ADDED, None, S.RUNNING, ChangeCause.EXTERNAL, ""),
        (T.MODIFIED, S.RUNNING, S.RUNNING, ChangeCause.API, "ann"),
        (T.MODIFIED, S.RUNNING, S.STOPPED, ChangeCause.API, "ann"),
        (T.REMOVED, S.STOPPED, S.STOPPED, ChangeCause.API, "bob"),
    ]
    revisions = [revision for revision, _ in batch.events]
    assert revisions == [c.resource.revision for c in changes] == [1, 2, 3, 4]
    assert batch.revision == 4


async def test_watch_with_change_during_initial_state_sends_it_after(inventory):
    for number in range(300):
        put(inventory, str(number), f"c{number}")
    watcher = Watcher(inventory)
    await watcher.next()

    remove(inventory, "299")
    put(inventory, "0", "c0", S.STOPPED)

    told = await watcher.initial()
    assert (T.EXISTING, "299", S.RUNNING) in told
    assert await watcher.said() == [(T.REMOVED, "299", S.RUNNING), (T.MODIFIED, "0", S.STOPPED)]


@pytest.mark.parametrize(
    ("which", "inside", "outside"),
    [
        (ResourceFilter(states=(S.RUNNING,)), {"state": S.RUNNING}, {"state": S.STOPPED}),
        (ResourceFilter(name_prefix="web"), {"name": "web1"}, {"name": "db"}),
        (ResourceFilter(labels={"a": "1"}), {"labels": {"a": "1"}}, {"labels": {"a": "2"}}),
    ],
    ids=["state", "name", "label"],
)
async def test_watch_with_filter_sends_added_and_removed_at_its_edge(
    inventory, which, inside, outside
):
    put(inventory, **outside)
    watcher = Watcher(inventory, which)
    assert await watcher.initial() == ["synced"]

    for step in (inside, outside, inside):
        entry = put(inventory, **step)
        inventory.store.touch(entry)
    remove(inventory, "1")

    batch = await watcher.next()
    kinds = [event.change.type for _, event in batch.events]
    assert kinds == [T.ADDED, T.MODIFIED, T.REMOVED, T.ADDED, T.MODIFIED, T.REMOVED]


async def test_watch_removal_by_filter_shows_current_state(inventory):
    put(inventory)
    watcher = Watcher(inventory, ResourceFilter(states=(S.RUNNING,)))
    await watcher.initial()

    put(inventory, state=S.STOPPED)

    ((_, event),) = (await watcher.next()).events
    assert (event.change.resource.state, event.change.previous_state) == (S.STOPPED, S.RUNNING)
    assert event.change.resource.revision == 2


async def test_watch_removal_has_revision_of_removal(inventory):
    put(inventory)
    watcher = Watcher(inventory)
    await watcher.initial()

    remove(inventory, "1")

    ((revision, event),) = (await watcher.next()).events
    assert revision == event.change.resource.revision == 2


async def test_watch_gap_of_uncovered_engine_is_not_sent(inventory, connection):
    far = await linked(Scripted(), "far")
    inventory = Watched([connection, far])
    watcher = Watcher(inventory, connections=[far])
    await watcher.initial()

    inventory.history.note(Gap(kind=GapKind.ENGINE_LOST, engine=ENGINE))
    inventory.history.note(Gap(kind=GapKind.ENGINE_LOST, engine=FAR))

    ((_, event),) = (await watcher.next()).events
    assert event.gap.engine.host == "far"


async def test_watch_change_on_uncovered_host_is_not_sent(inventory, connection):
    far = await linked(Scripted(), "far")
    inventory = Watched([connection, far])
    watcher = Watcher(inventory, ResourceFilter(hosts=("far",)), connections=[far])
    await watcher.initial()

    put(inventory, "1", "here")
    stored.put(inventory.store, box("2", "there"), FAR)

    assert await watcher.said() == [(T.ADDED, "2", S.RUNNING)]


async def test_watch_begun_with_lost_engine_sends_gap(connection):
    inventory = Watched([connection])
    put(inventory)
    watcher = Watcher(inventory)

    assert await watcher.initial() == [
        (T.EXISTING, "1", S.RUNNING),
        GapKind.ENGINE_LOST,
        "synced",
    ]


async def test_watch_when_idle_sends_heartbeats(inventory):
    watcher = Watcher(inventory, heartbeat=timedelta(seconds=0.05))
    await watcher.initial()

    assert [await watcher.said(), await watcher.said()] == [["heartbeat"]] * 2
    put(inventory)
    assert await watcher.said() == [(T.ADDED, "1", S.RUNNING)]
    assert await watcher.said() == ["heartbeat"]
    assert watcher.revision == 1


async def test_watch_with_filtered_changes_sends_heartbeats(inventory):
    """Heartbeats also advance the revision, so that an idle watcher can resume."""
    inventory = Watched(inventory.connections, 5)
    watcher = Watcher(
        inventory, ResourceFilter(name_prefix="never"), heartbeat=timedelta(seconds=0.1)
    )
    await watcher.said()

    async def change():
        for number in itertools.count():
            put(inventory, state=S.RUNNING if number % 2 else S.STOPPED)
            await asyncio.sleep(0.005)

    changing = asyncio.create_task(change())
    heartbeats = 0
    while heartbeats < 3 or watcher.revision <= 10:
        assert await watcher.said() == ["heartbeat"]
        heartbeats += 1
    changing.cancel()


async def test_watch_beyond_journal_restarts(inventory):
    put(inventory, "1", "stays")
    put(inventory, "2", "goes")
    watcher = Watcher(inventory)
    await watcher.initial()

    for number in range(100):
        put(inventory, "1", "stays", S.STOPPED if number % 2 else S.RUNNING)
    remove(inventory, "2")
    put(inventory, "3", "comes")

    assert await watcher.said() == [GapKind.WATCH_RESTARTED]
    assert watcher.revision is None
    assert await watcher.initial() == [
        (T.EXISTING, "1", S.STOPPED),
        (T.EXISTING, "3", S.RUNNING),
        "synced",
    ]
    put(inventory, "3", "comes", S.STOPPED)
    assert await watcher.said() == [(T.MODIFIED, "3", S.STOPPED)]


async def test_watch_restart_with_change_during_it_sends_it_after(inventory):
    for number in range(300):
        put(inventory, str(number), f"c{number}")
    watcher = Watcher(inventory)
    await watcher.initial()
    for number in range(100):
        put(inventory, str(number), f"c{number}", S.STOPPED)
    assert await watcher.said() == [GapKind.WATCH_RESTARTED]

    put(inventory, "0", "c0", S.PAUSED)
    put(inventory, "new", "new")
    assert (T.EXISTING, "0", S.PAUSED) in await watcher.said()
    remove(inventory, "299")

    # The initial state is of one moment, and no earlier change follows.
    assert (T.EXISTING, "299", S.RUNNING) in await watcher.initial()
    assert await watcher.said() == [(T.REMOVED, "299", S.RUNNING)]


async def test_watch_with_many_changes_limits_batch_size(inventory):
    inventory = Watched(inventory.connections, 2000)
    watcher = Watcher(inventory)
    await watcher.initial()
    for number in range(600):
        put(inventory, str(number), f"c{number}")

    assert [len((await watcher.next()).events) for _ in range(3)] == [256, 256, 88]


@pytest.mark.parametrize("missed", [0, 1, 2, 7, 49, 50])
async def test_watch_resumed_sends_exactly_what_was_missed(inventory, missed):
    for number in range(60):
        put(inventory, str(number), f"c{number}")
    place = inventory.history.revision - missed
    wanted = [(T.ADDED, str(n), S.RUNNING) for n in range(60 - missed, 60)]
    watcher = Watcher(inventory, revision=place)

    assert await watcher.said() == ["heartbeat"]  # it resumes
    told = []
    if missed:
        told += await watcher.said()
    put(inventory, "new", "new")

    assert told + await watcher.said() == [*wanted, (T.ADDED, "new", S.RUNNING)]


@pytest.mark.parametrize("place", [0, 9, 61, 10_000])
async def test_watch_from_unknown_revision_raises_compacted(inventory, place):
    for number in range(60):
        put(inventory, str(number), f"c{number}")

    with pytest.raises(RevisionCompactedError):
        await Watcher(inventory, revision=place).next()


async def test_watch_resumed_after_any_batch_misses_nothing(inventory):
    watcher = Watcher(inventory)
    await watcher.initial()
    heard = []
    for number in range(20):
        put(inventory, str(number), f"c{number}")
        if number % 3 == 0:
            heard += await watcher.said()
            await watcher.batches.aclose()
            watcher = Watcher(inventory, revision=watcher.revision)
            assert await watcher.said() == ["heartbeat"]
    heard += await watcher.said()

    assert heard == [(T.ADDED, str(n), S.RUNNING) for n in range(20)]


async def test_watch_in_closed_journal_raises_shutting_down(inventory):
    watchers = [Watcher(inventory) for _ in range(3)]
    for watcher in watchers:
        await watcher.initial()
    waiting = [asyncio.ensure_future(watcher.next()) for watcher in watchers]
    await asyncio.sleep(0)

    inventory.history.close()

    for wait in waiting:
        with pytest.raises(ShuttingDownError):
            await wait


async def test_watch_with_five_hundred_watchers_sends_all(inventory):
    inventory = Watched(inventory.connections, 8192)
    watchers = [Watcher(inventory) for _ in range(500)]

    async def listen(watcher):
        async with aclosing(watcher.batches):
            # Some changes may be part of the initial state.
            *heard, _lost, _synced = await watcher.initial(60)
            while len(heard) < 200:
                heard += await watcher.said(60)
        return heard

    listening = [asyncio.create_task(listen(watcher)) for watcher in watchers]
    await asyncio.sleep(0)
    for number in range(200):
        put(inventory, str(number), f"c{number}")
        await asyncio.sleep(0)

    for heard in await asyncio.gather(*listening):
        assert [id for _, id, _ in heard] == [str(n) for n in range(200)]

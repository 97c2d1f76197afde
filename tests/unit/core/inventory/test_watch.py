"""The events that a watcher receives."""

import asyncio
import itertools
from contextlib import aclosing
from datetime import timedelta

import pytest

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
from unit.core.inventory.watched import Watched, Watcher, put, remove

S = ResourceState
T = ChangeType


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


async def test_watch_with_many_changes_limits_batch_size(inventory):
    inventory = Watched(inventory.connections, 2000)
    watcher = Watcher(inventory)
    await watcher.initial()
    for number in range(600):
        put(inventory, str(number), f"c{number}")

    assert [len((await watcher.next()).events) for _ in range(3)] == [256, 256, 88]


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

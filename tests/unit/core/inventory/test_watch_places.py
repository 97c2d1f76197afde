"""Where a watch goes on: after what it was told last, or anew."""

import asyncio

import pytest

from proad.errors import RevisionCompactedError, ShuttingDownError
from proad.model import ChangeType, GapKind, ResourceState
from unit.core.inventory.watched import Watcher, put, remove

S = ResourceState
T = ChangeType


async def test_watch_beyond_history_restarts(inventory):
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


async def test_watch_in_closed_history_raises_shutting_down(inventory):
    watchers = [Watcher(inventory) for _ in range(3)]
    for watcher in watchers:
        await watcher.initial()
    waiting = [asyncio.ensure_future(watcher.next()) for watcher in watchers]
    await asyncio.sleep(0)

    inventory.history.close()

    for wait in waiting:
        with pytest.raises(ShuttingDownError):
            await wait

"""The history: contiguous revisions, and which of them are still held."""

import asyncio

import pytest

from eventually import consistently
from proad.core.inventory import ChangeHistory
from proad.core.inventory.history import Notice
from proad.errors import ShuttingDownError
from proad.model import Gap, GapKind


def filled(entries, size=8):
    history = ChangeHistory(size)
    for number in range(entries):
        history.note(Gap(kind=GapKind.ENGINE_LOST, message=str(number + 1)))
    return history


def revisions(history, after, most=100):
    return [recorded.revision for recorded in history.after(after, most)]


def test_revision_counts_entries():
    history = filled(3)

    assert history.revision == 3
    assert [recorded.gap.message for recorded in history.after(0, 10)] == ["1", "2", "3"]


def test_after_returns_later_entries_in_order():
    history = filled(6)

    assert revisions(history, 0) == [1, 2, 3, 4, 5, 6]
    assert revisions(history, 4) == [5, 6]
    assert revisions(history, 6) == []


def test_after_returns_at_most_the_limit():
    history = filled(6)

    assert revisions(history, 1, most=2) == [2, 3]
    assert revisions(history, 5, most=2) == [6]


@pytest.mark.parametrize(
    ("revision", "held"), [(0, False), (11, False), (12, True), (19, True), (20, True), (21, False)]
)
def test_holds_in_full_ring_is_true_for_recent_revisions(revision, held):
    history = filled(20, size=8)

    assert history.holds(revision) is held
    if held:
        assert revisions(history, revision) == list(range(revision + 1, 21))


def test_holds_in_empty_history_is_true_for_zero():
    assert ChangeHistory().holds(0)
    assert not ChangeHistory().holds(1)


@pytest.mark.parametrize("revision", [0, 3, 5])
def test_append_with_revision_gap_is_refused(revision):
    history = filled(3)

    with pytest.raises(ValueError, match="after 3"):
        history.append(Notice(revision=revision, gap=Gap(kind=GapKind.ENGINE_LOST)))
    assert history.revision == 3


def test_epoch_differs_per_history():
    assert ChangeHistory().epoch != ChangeHistory().epoch


async def test_beyond_past_revision_returns_at_once():
    await asyncio.wait_for(filled(3).beyond(2), 1)


async def test_beyond_wakes_all_waiters_on_entry():
    history = filled(3)
    waiting = [asyncio.ensure_future(history.beyond(3)) for _ in range(10)]
    further = asyncio.ensure_future(history.beyond(4))
    await asyncio.sleep(0)

    history.note(Gap(kind=GapKind.ENGINE_LOST))
    await asyncio.wait_for(asyncio.gather(*waiting), 1)

    await consistently(lambda: not further.done(), during=0.01, every=0.002)
    history.note(Gap(kind=GapKind.ENGINE_LOST))
    await asyncio.wait_for(further, 1)


async def test_beyond_in_closed_history_raises_shutting_down():
    history = filled(3)
    waiting = asyncio.ensure_future(history.beyond(3))
    await asyncio.sleep(0)

    history.close()

    for wait in (waiting, history.beyond(3), history.beyond(0)):
        with pytest.raises(ShuttingDownError):
            await asyncio.wait_for(wait, 1)

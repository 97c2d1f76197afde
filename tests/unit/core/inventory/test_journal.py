"""The journal: contiguous revisions, and which of them are still held."""

import asyncio

import pytest

from eventually import consistently
from proad.core.inventory import Journal
from proad.core.inventory.journal import Notice
from proad.errors import ShuttingDownError
from proad.model import Gap, GapKind


def filled(entries, size=8):
    journal = Journal(size)
    for number in range(entries):
        journal.note(Gap(kind=GapKind.ENGINE_LOST, message=str(number + 1)))
    return journal


def revisions(journal, after, most=100):
    return [recorded.revision for recorded in journal.after(after, most)]


def test_revision_counts_entries():
    journal = filled(3)

    assert journal.revision == 3
    assert [recorded.gap.message for recorded in journal.after(0, 10)] == ["1", "2", "3"]


def test_after_returns_later_entries_in_order():
    journal = filled(6)

    assert revisions(journal, 0) == [1, 2, 3, 4, 5, 6]
    assert revisions(journal, 4) == [5, 6]
    assert revisions(journal, 6) == []


def test_after_returns_at_most_the_limit():
    journal = filled(6)

    assert revisions(journal, 1, most=2) == [2, 3]
    assert revisions(journal, 5, most=2) == [6]


@pytest.mark.parametrize(
    ("revision", "held"), [(0, False), (11, False), (12, True), (19, True), (20, True), (21, False)]
)
def test_holds_in_full_ring_is_true_for_recent_revisions(revision, held):
    journal = filled(20, size=8)

    assert journal.holds(revision) is held
    if held:
        assert revisions(journal, revision) == list(range(revision + 1, 21))


def test_holds_in_empty_journal_is_true_for_zero():
    assert Journal().holds(0)
    assert not Journal().holds(1)


@pytest.mark.parametrize("revision", [0, 3, 5])
def test_append_with_revision_gap_is_refused(revision):
    journal = filled(3)

    with pytest.raises(ValueError, match="after 3"):
        journal.append(Notice(revision=revision, gap=Gap(kind=GapKind.ENGINE_LOST)))
    assert journal.revision == 3


def test_run_id_differs_per_journal():
    assert Journal().run_id != Journal().run_id


async def test_beyond_past_revision_returns_at_once():
    await asyncio.wait_for(filled(3).beyond(2), 1)


async def test_beyond_wakes_all_waiters_on_entry():
    journal = filled(3)
    waiting = [asyncio.ensure_future(journal.beyond(3)) for _ in range(10)]
    further = asyncio.ensure_future(journal.beyond(4))
    await asyncio.sleep(0)

    journal.note(Gap(kind=GapKind.ENGINE_LOST))
    await asyncio.wait_for(asyncio.gather(*waiting), 1)

    await consistently(lambda: not further.done(), during=0.01, every=0.002)
    journal.note(Gap(kind=GapKind.ENGINE_LOST))
    await asyncio.wait_for(further, 1)


async def test_beyond_in_closed_journal_raises_shutting_down():
    journal = filled(3)
    waiting = asyncio.ensure_future(journal.beyond(3))
    await asyncio.sleep(0)

    journal.close()

    for wait in (waiting, journal.beyond(3), journal.beyond(0)):
        with pytest.raises(ShuttingDownError):
            await asyncio.wait_for(wait, 1)

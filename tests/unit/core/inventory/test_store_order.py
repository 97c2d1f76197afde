"""Which of two observations counts: the logical clock."""

import pytest

from proad.core.inventory.clock import LogicalClock
from proad.model import EngineEvent, ResourceState
from unit.core.inventory.scripted import ENGINE, FAR, box
from unit.core.inventory.stored import apply_list, keep, put, steps, take

S = ResourceState


def test_clock_with_reads_ending_out_of_order_knows_the_oldest():
    clock = LogicalClock()
    first, second = clock.reading(), clock.reading()
    with first as begun:
        with second as later:
            assert (clock.oldest, later) == (begun, begun + 1)
        assert clock.oldest == begun
    assert clock.oldest == clock.tick() - 1


def test_read_begun_before_another_was_applied_is_overtaken(store):
    with store.reading() as begun:
        put(store, box(state=S.PAUSED))

        assert not store.apply(ENGINE, box(), begun)
        assert not store.apply_absence(ENGINE, "1", begun)

    assert steps(store) == [(None, S.PAUSED)]


def test_read_begun_before_verb_end_is_overtaken(store):
    entry = put(store, box())
    with store.reading() as begun:
        store.finish(entry, box(state=S.PAUSED), "ann")

        assert not store.apply(ENGINE, box(), begun)

    assert entry.published.state is S.PAUSED


@pytest.mark.parametrize("known", [True, False])
def test_read_begun_before_removal_does_not_resurrect(store, known):
    if known:
        put(store, box())
    with store.reading() as begun:
        take(store, "1")

        assert not store.apply(ENGINE, box(), begun)

    assert store.entries.get(ENGINE, "1") is None
    put(store, box())


def test_read_begun_before_list_without_it_does_not_resurrect(store):
    with store.reading() as begun:
        with store.reading() as listed:
            assert apply_list(store, [], listed) == []

        assert not store.apply(ENGINE, box(), begun)

    assert store.entries.get(ENGINE, "1") is None


def test_list_begun_before_an_applied_read_keeps_and_returns_it(store):
    old, changed = put(store, box("old")), put(store, box("changed"))
    with store.reading() as begun:
        put(store, box("changed", state=S.PAUSED))
        put(store, box("new"))
        take(store, "gone")

        overtaken = apply_list(store, [box("changed"), box("gone")], begun)

    assert sorted(overtaken) == ["changed", "gone", "new"]
    assert store.entries.get(ENGINE, "old") is None
    assert store.entries.get(ENGINE, "gone") is None
    assert store.entries.get(ENGINE, "new") is not None
    assert changed.published.state is S.PAUSED
    assert old.published.state is S.RUNNING


def test_list_overtaken_while_applied_keeps_newer(store):
    gone = put(store, box("gone"))
    with store.reading() as earlier, store.reading() as begun:
        applied = store.apply_list(ENGINE, [box("1"), box("2")], begun)
        assert next(applied) == ("1", True)
        put(store, box("2", state=S.PAUSED))
        assert store.apply(ENGINE, box("of before"), earlier)

        assert list(applied) == [("2", False), ("gone", True), ("of before", False)]

    assert store.entries.get(ENGINE, "2").published.state is S.PAUSED
    assert store.entries.get(ENGINE, gone.observed.id) is None


def test_list_of_one_engine_leaves_another(store):
    put(store, box(), FAR)
    with store.reading() as begun, store.reading() as listed:
        apply_list(store, [], listed)

        assert store.apply(FAR, box(state=S.PAUSED), begun)


def test_tombstones_without_older_read_are_dropped(store):
    with store.reading() as begun:
        with store.reading():
            take(store, "1")
        assert store.overtaken(ENGINE, "1", begun)

    with store.reading() as begun:
        assert not store.overtaken(ENGINE, "1", begun)
    assert store.tombstones == 0


def test_touched_has_ids_applied_or_marked_since(store):
    put(store, box("heard"))
    put(store, box("quiet"))
    begun = store.begin()
    store.mark_dirty(ENGINE, EngineEvent(id="heard"))
    put(store, box("new"))

    touched = [id for id in ("heard", "quiet", "new") if store.touched(ENGINE, id, begun)]
    assert touched == ["heard", "new"]


def test_full_view_from_before_list_is_stale(store):
    entry = put(store, box())
    keep(store, entry, box())
    assert store.in_full(entry, None) is not None

    with store.reading() as begun:
        apply_list(store, [box()], begun)

    assert store.in_full(entry, None) is None


def test_full_view_from_before_verb_end_is_stale(store):
    entry = put(store, box())
    keep(store, entry, box())

    store.finish(entry, box(), "ann")

    assert store.in_full(entry, None) is None


def test_full_view_begun_earlier_does_not_replace_later(store):
    entry = put(store, box())
    with store.reading() as begun:
        keep(store, entry, box(labels={"later": "1"}))
        store.keep_detail(entry, box(labels={"earlier": "1"}), begun)

    assert store.in_full(entry, None).labels == {"later": "1"}

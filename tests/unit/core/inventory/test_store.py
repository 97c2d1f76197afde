"""The store: indexes, identity, etags, revisions, activities."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from proad.core.inventory import ChangeHistory, Store
from proad.model import (
    Activity,
    ChangeCause,
    EngineEvent,
    Lifetime,
    ResourceKind,
    ResourceState,
    Verb,
    allowed_verbs,
)
from unit.core.inventory.scripted import ENGINE, FAR, box
from unit.core.inventory.stored import entries, keep, names, put, steps, take

S = ResourceState
CONTAINER = ResourceKind.CONTAINER
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_apply_of_new_resource_publishes_all_fields(store):
    entry = put(store, box(state=S.RUNNING))

    published = entry.published
    assert (published.engine.host, published.revision, published.activity) == ("local", 1, None)
    assert published.allowed_verbs == allowed_verbs(published.kind, S.RUNNING)
    assert published.etag
    assert published.observe_time is not None
    (entry,) = entries(store)
    assert (entry.before, entry.after, entry.cause) == (None, published, ChangeCause.EXTERNAL)


def test_apply_of_equal_resource_is_no_change(store):
    first = put(store, box()).published

    again = put(store, box())

    assert again.published is first
    assert store.history.revision == 1


def test_lookups_find_entry_by_each_key(store):
    entry = put(store, box("1", "web"))

    assert store.entries.get(ENGINE, "1") is entry
    assert (
        list(store.entries.of(ENGINE))
        == list(store.entries.starting("1", ENGINE, CONTAINER))
        == [entry]
    )
    assert list(store.entries.named("web")) == list(store.entries.with_id("1")) == [entry]
    assert store.entries.get(FAR, "1") is None
    assert list(store.entries.named("1")) == list(store.entries.with_id("web")) == []


def test_starting_with_many_ids_returns_prefix_matches(store):
    ids = ["ab12", "ab-13", "ab2", "b", "aa", "ab1"]
    entry = {id: put(store, box(id, f"of-{id}")) for id in ids}
    take(store, "ab12")

    assert list(store.entries.starting("ab1", ENGINE, CONTAINER)) == [entry["ab1"], entry["ab-13"]]
    assert list(store.entries.starting("ab1300", ENGINE, CONTAINER)) == []
    assert list(store.entries.starting("ab1", FAR, CONTAINER)) == []


def test_named_after_rename_finds_new_name_only(store):
    entry = put(store, box("1", "old"))
    put(store, box("2", "old"))

    assert put(store, box("1", "new")) is entry

    assert names(store.entries.named("old")) == ["old"]
    assert list(store.entries.named("new")) == [entry]
    assert store.history.revision == 3


def test_named_after_swapped_names_finds_both(store):
    put(store, box("1", "a"))
    put(store, box("2", "b"))
    put(store, box("1", "b"))
    put(store, box("2", "a"))

    assert [entry.observed.id for entry in store.entries.named("a")] == ["2"]
    assert [entry.observed.id for entry in store.entries.named("b")] == ["1"]


def test_lookups_after_removal_find_nothing(store):
    put(store, box("1", "web"))
    take(store, "1")

    assert store.entries.get(ENGINE, "1") is None
    assert (
        list(store.entries.of(ENGINE)) == list(store.entries.starting("1", ENGINE, CONTAINER)) == []
    )
    assert list(store.entries.named("web")) == list(store.entries.with_id("1")) == []
    assert steps(store) == [(None, S.RUNNING), (S.RUNNING, None)]


def test_apply_of_absence_for_unknown_id_is_no_change(store):
    take(store, "1")

    assert store.history.revision == 0


def test_lookups_keep_hosts_apart(store):
    """Domains are copied from host to host with their UUIDs."""
    here = put(store, box("1", "web"))
    there = put(store, box("1", "web"), FAR)

    assert list(store.entries.with_id("1")) == list(store.entries.named("web")) == [here, there]
    take(store, "1")
    assert list(store.entries.with_id("1")) == list(store.entries.named("web")) == [there]
    assert there.published.engine.host == "far"


@pytest.mark.parametrize(
    ("old", "new", "event"),
    [
        (box(create_time=NOON), box(create_time=NOON + timedelta(seconds=1)), {}),
        (box(), box(), {"removed": True}),
        (box(state=S.RUNNING), box(state=S.RUNNING), {"removed": True}),
        (box(lifetime=Lifetime.TRANSIENT), box(lifetime=Lifetime.TRANSIENT), {"ended": True}),
    ],
    ids=["created later", "removed", "removed while active", "a transient one ended"],
)
def test_apply_of_recreated_resource_replaces_entry(store, old, new, event):
    first = put(store, old)
    keep(store, first, old)

    second = put(store, new, event=EngineEvent(id="1", **event))

    assert second is not first
    assert steps(store) == [(None, S.RUNNING), (S.RUNNING, None), (None, S.RUNNING)]
    assert second.published.etag != first.published.etag
    assert store.in_full(second, None) is None


@pytest.mark.parametrize(
    ("old", "new", "event"),
    [
        (box(create_time=NOON), box(create_time=NOON, state=S.STOPPED), {"ended": True}),
        (box(), box(state=S.STOPPED), {"ended": True}),
        (box(), box(lifetime=Lifetime.TRANSIENT), {"removed": True}),
        (box(create_time=NOON), box(), {}),
    ],
    ids=["it ended", "it ended, of unknown age", "undefined while it runs", "its age is unknown"],
)
def test_apply_of_changed_resource_keeps_entry(store, old, new, event):
    first = put(store, old)

    assert put(store, new, event=EngineEvent(id="1", **event)) is first
    assert len(entries(store)) == 2


def test_etag_changes_with_resource(store):
    etags = [
        put(store, resource).published.etag
        for resource in (box(), box(state=S.PAUSED), box(), box(name="new"), box(labels={"a": "1"}))
    ]

    assert len(set(etags)) == 5
    assert put(store, box(labels={"a": "1"})).published.etag == etags[-1]


def test_etag_changes_with_full_view(store):
    entry = put(store, box())
    etag = entry.published.etag

    put(store, box(), event=EngineEvent(id="1", reconfigured=True))

    assert entry.published.etag != etag


def test_etag_with_equal_full_view_does_not_change(store):
    entry = put(store, box())
    etag, full = entry.published.etag, box(labels={"full": "1"})
    keep(store, entry, full)
    store.mark_dirty(ENGINE, EngineEvent(id="1"))

    put(store, box(), event=EngineEvent(id="1", reconfigured=True), detail=full)

    assert entry.published.etag == etag
    put(store, box(), event=EngineEvent(id="1", reconfigured=True), detail=box())
    assert entry.published.etag != etag


def test_etag_with_full_read_before_refresh_changes(store):
    """The full read keeps the view that the refresh then finds; it must not count as the earlier one."""
    entry = put(store, box())
    keep(store, entry, box(name="before"))
    etag = entry.published.etag
    store.mark_dirty(ENGINE, EngineEvent(id="1", reconfigured=True))

    changed = box(name="after")
    keep(store, entry, changed)
    put(store, box(), event=EngineEvent(id="1", reconfigured=True), detail=changed)
    assert entry.published.etag != etag

    etag = entry.published.etag
    put(store, box(), event=EngineEvent(id="1", reconfigured=True), detail=changed)
    assert entry.published.etag == etag


def test_etag_and_observe_time_do_not_change_with_activity(store):
    entry = put(store, box())
    before = entry.published

    for activity in (Activity(verb=Verb.PAUSE), Activity(verb=Verb.PAUSE, step="x"), None):
        store.set_activity(entry, activity)
        assert entry.published.activity == activity
        assert (entry.published.etag, entry.published.observe_time) == (
            before.etag,
            before.observe_time,
        )
    assert store.history.revision == entry.published.revision == 4


def test_etag_differs_between_runs(store):
    other = Store(ChangeHistory())

    assert put(store, box()).published.etag != put(other, box()).published.etag


def test_set_activity_with_equal_activity_is_no_change(store):
    entry = put(store, box())
    store.set_activity(entry, None)
    store.set_activity(entry, Activity(verb=Verb.PAUSE))
    store.set_activity(entry, Activity(verb=Verb.PAUSE))

    assert store.history.revision == 2


def test_revision_is_unique_and_rises(store):
    entry = put(store, box())
    observed = [entry.published.revision]
    for change in (
        lambda: put(store, box(state=S.PAUSED)),
        lambda: store.set_activity(entry, Activity(verb=Verb.RESUME)),
        lambda: put(store, box("2", "other")),
        lambda: store.touch(entry),
        lambda: store.finish(entry, box()),
    ):
        change()
        observed.append(entry.published.revision)

    assert observed == [1, 2, 3, 3, 5, 6]
    assert [entry.revision for entry in entries(store)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("state", S)
def test_allowed_verbs_during_activity_are_forced_stop_or_none(store, verb, state):
    """A waiting stop or restart can be forced; every other verb has to wait."""
    entry = put(store, box(state=state))

    store.set_activity(entry, Activity(verb=verb))

    stoppable = state not in {S.STOPPED, S.SAVED, S.FAILED, S.REMOVING}
    forced = verb in {Verb.STOP, Verb.RESTART} and stoppable
    assert entry.published.allowed_verbs == ((Verb.STOP,) if forced else ())
    store.set_activity(entry, None)
    assert entry.published.allowed_verbs == allowed_verbs(entry.observed.kind, state)


def test_finish_publishes_result_and_end_as_one_change(store):
    entry = put(store, box())
    store.set_activity(entry, Activity(verb=Verb.PAUSE, actor="ann"))

    store.finish(entry, box(state=S.PAUSED))

    assert entry.published.activity is None
    assert Verb.RESUME in entry.published.allowed_verbs
    assert steps(store, after=2) == [(S.RUNNING, S.PAUSED)]
    (last,) = entries(store, after=2)
    assert (last.cause, last.actor) == (ChangeCause.API, "ann")


def test_finish_with_new_name_updates_lookups(store):
    entry = put(store, box("1", "old"))

    store.finish(entry, box("1", "new"))

    assert list(store.entries.named("new")) == [entry]
    assert list(store.entries.named("old")) == []
    take(store, "1")
    assert list(store.entries.named("new")) == []


def test_finish_without_change_keeps_etag(store):
    entry = put(store, box())
    etag = entry.published.etag
    store.set_activity(entry, Activity(verb=Verb.RESTART))

    store.finish(entry, box())

    assert entry.published.etag == etag


def test_finish_after_removal_does_not_resurrect(store):
    entry = put(store, box())
    store.set_activity(entry, Activity(verb=Verb.STOP))
    take(store, "1")
    revision = store.history.revision

    store.finish(entry, box(state=S.STOPPED))
    store.set_activity(entry, Activity(verb=Verb.STOP, step="late"))

    assert list(store.entries.of(ENGINE)) == []
    assert store.history.revision == revision


def test_in_full_is_complete_and_made_once(store):
    entry = put(store, box())
    assert store.in_full(entry, None) is None
    detail = box(labels={"full": "1"})

    keep(store, entry, detail)

    full, published = store.in_full(entry, None), entry.published
    assert full == replace(
        detail,
        engine=ENGINE,
        allowed_verbs=published.allowed_verbs,
        etag=published.etag,
        epoch=published.epoch,
        revision=published.revision,
        observe_time=published.observe_time,
        path="local/container/1",
    )
    assert store.in_full(entry, None) is full


def test_in_full_during_activity_shows_it(store):
    entry = put(store, box())
    keep(store, entry, box())
    store.in_full(entry, None)

    store.set_activity(entry, Activity(verb=Verb.PAUSE))

    full = store.in_full(entry, None)
    assert (full.activity, full.allowed_verbs) == (entry.activity, ())
    assert full.revision == entry.published.revision


def test_keep_detail_from_before_event_keeps_nothing(store):
    entry = put(store, box())
    with store.reading() as begun:
        store.mark_dirty(ENGINE, EngineEvent(id="1"))
        store.keep_detail(entry, box(), begun)

    assert store.in_full(entry, None) is None


def test_allowed_verbs_are_limited_by_driver(store):
    fewer = (Verb.STOP, Verb.PAUSE)
    entry = put(store, replace(box(state=S.RUNNING), allowed_verbs=fewer))

    assert entry.published.allowed_verbs == fewer
    put(store, box(state=S.RUNNING))
    assert entry.published.allowed_verbs == allowed_verbs(entry.observed.kind, S.RUNNING)

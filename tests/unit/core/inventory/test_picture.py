"""The picture: indexes, identity, etags, revisions, activities."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from proad.core.inventory import Journal, Picture
from proad.model import (
    Activity,
    ChangeCause,
    EngineEvent,
    Lifetime,
    ResourceState,
    Verb,
    allowed_verbs,
)
from unit.core.inventory.pictured import entries, names, put, steps
from unit.core.inventory.scripted import ENGINE, box

S = ResourceState
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_what_is_new_is_complete(picture):
    known = put(picture, box(state=S.RUNNING))

    shown = known.shown
    assert (shown.host, shown.revision, shown.activity) == ("local", 1, None)
    assert shown.allowed_verbs == allowed_verbs(shown.kind, S.RUNNING)
    assert shown.etag
    assert shown.observe_time is not None
    (entry,) = entries(picture)
    assert (entry.before, entry.after, entry.cause) == (None, shown, ChangeCause.EXTERNAL)


def test_the_same_again_is_no_change(picture):
    first = put(picture, box()).shown

    again = put(picture, box())

    assert again.shown is first
    assert picture.journal.revision == 1
    assert again.reads == 2


def test_it_is_found_by_everything(picture):
    known = put(picture, box("1", "web"))

    assert picture.get(ENGINE, "1") is known
    assert list(picture.of(ENGINE)) == list(picture.starting("1")) == [known]
    assert list(picture.named("web")) == list(picture.with_id("1")) == [known]
    assert picture.get("other/scripted", "1") is None
    assert list(picture.named("1")) == list(picture.with_id("web")) == []


def test_starting_with_many_ids_gives_those_with_these_first_digits(picture):
    ids = ["ab12", "ab-13", "ab2", "b", "aa", "ab1"]
    known = {id: put(picture, box(id, f"of-{id}")) for id in ids}
    picture.remove(ENGINE, "ab12")

    assert list(picture.starting("ab1")) == [known["ab1"], known["ab-13"]]
    assert list(picture.starting("ab1300")) == list(picture.starting("")) == []


def test_a_new_name_replaces_the_old_one(picture):
    known = put(picture, box("1", "old"))
    put(picture, box("2", "old"))

    assert put(picture, box("1", "new")) is known

    assert names(picture.named("old")) == ["old"]
    assert list(picture.named("new")) == [known]
    assert picture.journal.revision == 3


def test_names_can_be_swapped(picture):
    put(picture, box("1", "a"))
    put(picture, box("2", "b"))
    put(picture, box("1", "b"))
    put(picture, box("2", "a"))

    assert [known.seen.id for known in picture.named("a")] == ["2"]
    assert [known.seen.id for known in picture.named("b")] == ["1"]


def test_what_is_gone_is_found_by_nothing(picture):
    put(picture, box("1", "web"))
    picture.remove(ENGINE, "1")

    assert picture.get(ENGINE, "1") is None
    assert list(picture.of(ENGINE)) == list(picture.starting("1")) == []
    assert list(picture.named("web")) == list(picture.with_id("1")) == []
    assert steps(picture) == [(None, S.RUNNING), (S.RUNNING, None)]
    assert not picture._by_name


def test_what_is_not_there_cannot_go(picture):
    picture.remove(ENGINE, "1")

    assert picture.journal.revision == 0


def test_hosts_are_kept_apart(picture):
    """Domains are copied from host to host with their UUIDs."""
    here = put(picture, box("1", "web"))
    there = picture.put("far/scripted", "far", box("1", "web"))

    assert list(picture.with_id("1")) == list(picture.named("web")) == [here, there]
    picture.remove(ENGINE, "1")
    assert list(picture.with_id("1")) == list(picture.named("web")) == [there]
    assert there.shown.host == "far"


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
def test_another_one_under_the_same_id_and_name(picture, old, new, event):
    first = put(picture, old)
    first.detail = first.last_detail = old

    second = put(picture, new, event=EngineEvent(id="1", **event))

    assert second is not first
    assert steps(picture) == [(None, S.RUNNING), (S.RUNNING, None), (None, S.RUNNING)]
    assert second.shown.etag != first.shown.etag
    assert second.in_full() is None


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
def test_still_the_same_one(picture, old, new, event):
    first = put(picture, old)

    assert put(picture, new, event=EngineEvent(id="1", **event)) is first
    assert len(entries(picture)) == 2


def test_an_etag_changes_when_the_resource_does(picture):
    etags = [
        put(picture, resource).shown.etag
        for resource in (box(), box(state=S.PAUSED), box(), box(name="new"), box(labels={"a": "1"}))
    ]

    assert len(set(etags)) == 5
    assert put(picture, box(labels={"a": "1"})).shown.etag == etags[-1]


def test_an_etag_changes_with_what_only_the_full_view_shows(picture):
    known = put(picture, box())
    etag = known.shown.etag

    put(picture, box(), event=EngineEvent(id="1", reconfigured=True))

    assert known.shown.etag != etag


def test_an_etag_does_not_change_when_the_full_view_did_not(picture):
    known = put(picture, box())
    etag, full = known.shown.etag, box(labels={"full": "1"})
    picture.keep_detail(known, full, known.epoch, 0.0)
    known.drop_detail()

    put(picture, box(), event=EngineEvent(id="1", reconfigured=True), detail=full)

    assert known.shown.etag == etag
    put(picture, box(), event=EngineEvent(id="1", reconfigured=True), detail=box())
    assert known.shown.etag != etag


def test_an_etag_changes_although_somebody_reads_between_an_event_and_the_look(picture):
    """What the reader keeps is what the look finds: it must not pass for what was before."""
    known = put(picture, box())
    picture.keep_detail(known, box(name="before"), known.epoch, 0)
    etag = known.shown.etag
    known.drop_detail()
    known.unsettled = True  # as the mirror does when it hears of the event

    changed = box(name="after")
    picture.keep_detail(known, changed, known.epoch, 1)
    put(picture, box(), event=EngineEvent(id="1", reconfigured=True), detail=changed)
    assert known.shown.etag != etag

    etag = known.shown.etag
    put(picture, box(), event=EngineEvent(id="1", reconfigured=True), detail=changed)
    assert known.shown.etag == etag


def test_an_etag_and_the_time_do_not_change_with_an_activity(picture):
    known = put(picture, box())
    before = known.shown

    for activity in (Activity(verb=Verb.PAUSE), Activity(verb=Verb.PAUSE, step="x"), None):
        picture.set_activity(known, activity)
        assert known.shown.activity == activity
        assert (known.shown.etag, known.shown.observe_time) == (before.etag, before.observe_time)
    assert picture.journal.revision == known.shown.revision == 4


def test_an_etag_of_another_run_is_another(picture):
    other = Picture(Journal())

    assert put(picture, box()).shown.etag != put(other, box()).shown.etag


def test_the_same_activity_again_is_no_change(picture):
    known = put(picture, box())
    picture.set_activity(known, None)
    picture.set_activity(known, Activity(verb=Verb.PAUSE))
    picture.set_activity(known, Activity(verb=Verb.PAUSE))

    assert picture.journal.revision == 2


def test_a_revision_is_never_shown_twice_and_always_rises(picture):
    known = put(picture, box())
    seen = [known.shown.revision]
    for change in (
        lambda: put(picture, box(state=S.PAUSED)),
        lambda: picture.set_activity(known, Activity(verb=Verb.RESUME)),
        lambda: put(picture, box("2", "other")),
        lambda: picture.touch(known),
        lambda: picture.finish(known, box()),
    ):
        change()
        seen.append(known.shown.revision)

    assert seen == [1, 2, 3, 3, 5, 6]
    assert [entry.revision for entry in entries(picture)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("state", S)
def test_what_is_allowed_while_something_is_done(picture, verb, state):
    """A stop or a restart that waits can be forced; all else has to wait its turn."""
    known = put(picture, box(state=state))

    picture.set_activity(known, Activity(verb=verb))

    stoppable = state not in {S.STOPPED, S.SAVED, S.FAILED, S.REMOVING}
    forced = verb in {Verb.STOP, Verb.RESTART} and stoppable
    assert known.shown.allowed_verbs == ((Verb.STOP,) if forced else ())
    picture.set_activity(known, None)
    assert known.shown.allowed_verbs == allowed_verbs(known.seen.kind, state)


def test_what_a_verb_came_to_and_its_end_are_one_change(picture):
    known = put(picture, box())
    picture.set_activity(known, Activity(verb=Verb.PAUSE, actor="ann"))

    picture.finish(known, box(state=S.PAUSED))

    assert known.shown.activity is None
    assert Verb.RESUME in known.shown.allowed_verbs
    assert steps(picture, after=2) == [(S.RUNNING, S.PAUSED)]
    (last,) = entries(picture, after=2)
    assert (last.cause, last.actor) == (ChangeCause.API, "ann")


def test_a_verb_may_find_it_under_a_new_name(picture):
    known = put(picture, box("1", "old"))

    picture.finish(known, box("1", "new"))

    assert list(picture.named("new")) == [known]
    assert list(picture.named("old")) == []
    picture.remove(ENGINE, "1")
    assert list(picture.named("new")) == []


def test_a_verb_that_changed_nothing_keeps_the_etag(picture):
    known = put(picture, box())
    etag = known.shown.etag
    picture.set_activity(known, Activity(verb=Verb.RESTART))

    picture.finish(known, box())

    assert known.shown.etag == etag


def test_what_was_deleted_meanwhile_does_not_come_back(picture):
    known = put(picture, box())
    picture.set_activity(known, Activity(verb=Verb.STOP))
    picture.remove(ENGINE, "1")
    revision = picture.journal.revision

    picture.finish(known, box(state=S.STOPPED))
    picture.set_activity(known, Activity(verb=Verb.STOP, step="late"))

    assert list(picture.of(ENGINE)) == []
    assert picture.journal.revision == revision


def test_a_full_view_is_complete_and_made_once(picture):
    known = put(picture, box())
    assert known.in_full() is None
    detail = box(labels={"full": "1"})

    picture.keep_detail(known, detail, known.epoch, 0.0)

    full, shown = known.in_full(), known.shown
    assert full == replace(
        detail,
        host="local",
        allowed_verbs=shown.allowed_verbs,
        etag=shown.etag,
        revision=shown.revision,
        observe_time=shown.observe_time,
    )
    assert known.in_full() is full


def test_a_full_view_follows_the_activity(picture):
    known = put(picture, box())
    picture.keep_detail(known, box(), known.epoch, 0.0)
    known.in_full()

    picture.set_activity(known, Activity(verb=Verb.PAUSE))

    full = known.in_full()
    assert (full.activity, full.allowed_verbs) == (known.activity, ())
    assert full.revision == known.shown.revision


def test_a_full_view_from_before_an_event_is_not_kept(picture):
    known = put(picture, box())
    asked_in = known.epoch
    known.drop_detail()

    picture.keep_detail(known, box(), asked_in, 0.0)

    assert known.in_full() is None


def test_shown_verbs_are_fewer_where_the_driver_says_so(picture):
    fewer = (Verb.STOP, Verb.PAUSE)
    known = put(picture, replace(box(state=S.RUNNING), allowed_verbs=fewer))

    assert known.shown.allowed_verbs == fewer
    put(picture, box(state=S.RUNNING))
    assert known.shown.allowed_verbs == allowed_verbs(known.seen.kind, S.RUNNING)

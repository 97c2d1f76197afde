"""Whose doing the picture says that a change is."""

from datetime import UTC, datetime, timedelta

import pytest

from proad.core.inventory import deeds as module
from proad.core.inventory.deeds import Deed
from proad.errors import (
    EngineConflictError,
    EngineTimedOutError,
    EngineUnreachableError,
    StopTimedOutError,
)
from proad.model import (
    Activity,
    ResourceState,
    StateDetail,
    Verb,
)
from unit.core.inventory.scripted import ENGINE, box
from unit.core.inventory.stored import entries, put

S = ResourceState
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_who_did_it(store, monkeypatch):
    monkeypatch.setattr(module, "WAKE", 0.0)
    entry = put(store, box(), actor="ann")
    put(store, box(state=S.STOPPED))
    store.set_activity(entry, Activity(verb=Verb.START, actor="bob"))
    put(store, box(state=S.RUNNING))
    store.set_activity(entry, None)
    put(store, box(state=S.PAUSED))
    store.remove(ENGINE, "1", actor="cy")

    assert [(entry.cause.value, entry.actor) for entry in entries(store)] == [
        ("API", "ann"),
        ("EXTERNAL", ""),
        ("API", "bob"),
        ("API", "bob"),
        ("API", "bob"),
        ("EXTERNAL", ""),
        ("API", "cy"),
    ]


def last_cause(store):
    *_, last = entries(store)
    return (last.cause.value, last.actor)


ENDS = {
    "what the verb read": lambda store, entry: store.finish(entry, box(state=S.RUNNING)),
    "its activity": lambda store, entry: store.set_activity(entry, None),
}


@pytest.mark.parametrize("wake", [0.0, 60.0])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_what_follows_a_verb_at_once_is_its_doing_but_for_another_state(
    store, monkeypatch, wake, end
):
    """Docker tells of a start before its networks; one that ends by itself does so itself."""
    monkeypatch.setattr(module, "WAKE", wake)
    entry = put(store, box(state=S.STOPPED))
    store.set_activity(entry, Activity(verb=Verb.START, actor="ann"))
    put(store, box(state=S.RUNNING))
    end(store, entry)

    started = datetime(2026, 1, 1, tzinfo=UTC)
    put(store, box(state=S.RUNNING, state_detail=StateDetail(start_time=started)))
    assert last_cause(store) == (("API", "ann") if wake else ("EXTERNAL", ""))
    put(store, box(state=S.STOPPED))
    assert last_cause(store) == ("EXTERNAL", "")


def test_what_others_do_during_a_verb_is_not_its_doing(store):
    """A graceful stop takes a minute, in which anything may happen."""
    entry = put(store, box())
    store.set_activity(entry, Activity(verb=Verb.STOP, actor="ann"))

    told = []
    for change in (
        lambda: put(store, box(name="renamed")),
        lambda: put(store, box(name="renamed", state=S.PAUSED)),
        lambda: put(store, box(name="renamed", state=S.RUNNING)),
        lambda: put(store, box(name="renamed", state=S.STOPPING)),
        lambda: store.remove(ENGINE, "1"),
    ):
        change()
        told.append(last_cause(store)[0])

    # That it runs again may be for the stop: what is frozen would not hear of it.
    assert told == ["EXTERNAL", "EXTERNAL", "API", "API", "EXTERNAL"]


def test_a_verb_that_was_refused_leaves_nothing(store):
    entry = put(store, box())
    store.set_activity(entry, Activity(verb=Verb.STOP, actor="ann"))
    store.set_activity(entry, None, failure=EngineConflictError("scripted", "no"))

    put(store, box(state=S.STOPPED))

    assert last_cause(store) == ("EXTERNAL", "")


TIMED_OUT = [
    EngineTimedOutError("scripted"),
    StopTimedOutError("web", timedelta(seconds=1)),
    EngineUnreachableError("scripted"),
]


def given_up(store, verb, failure=TIMED_OUT[0]):
    entry = put(store, box())
    store.set_activity(entry, Activity(verb=verb, actor="ann"))
    store.set_activity(entry, None, failure=failure)
    return entry


@pytest.mark.parametrize("failure", TIMED_OUT, ids=lambda failure: type(failure).__name__)
def test_what_a_verb_does_late_is_still_its_doing_once(store, failure):
    given_up(store, Verb.STOP, failure)

    told = []
    for state in (S.STOPPING, S.STOPPED, S.RUNNING, S.STOPPED):
        put(store, box(state=state))
        told.append(last_cause(store))

    assert told == [("API", "ann"), ("API", "ann"), ("EXTERNAL", ""), ("EXTERNAL", "")]


def test_a_refusal_is_no_end_of_what_was_asked_for_before(store):
    entry = given_up(store, Verb.STOP)
    store.set_activity(entry, Activity(verb=Verb.RESTART, actor="bob"))
    store.set_activity(entry, None, failure=EngineConflictError("scripted", "no"))

    put(store, box(state=S.STOPPED))

    assert last_cause(store) == ("API", "ann")


def test_what_others_do_ends_what_was_asked_for(store):
    given_up(store, Verb.STOP)

    put(store, box(state=S.PAUSED))
    assert last_cause(store) == ("EXTERNAL", "")
    put(store, box(state=S.STOPPED))
    assert last_cause(store) == ("EXTERNAL", "")


def test_nothing_comes_for_ever(store, monkeypatch):
    monkeypatch.setattr(module, "LATE", 0.0)
    given_up(store, Verb.STOP)

    put(store, box(state=S.STOPPED))

    assert last_cause(store) == ("EXTERNAL", "")


MAKING = Deed(None, "ann")


def test_what_is_made_is_its_makers(store):
    """From its id, however long it takes and whatever its name is."""
    store.begin_making(ENGINE, "1", MAKING)
    for change in (
        lambda: put(store, box(state=S.STOPPED)),
        lambda: put(store, box(state=S.RUNNING)),
    ):
        change()
        assert last_cause(store) == ("API", "ann")
    put(store, box("2", state=S.RUNNING))
    assert last_cause(store) == ("EXTERNAL", "")
    put(store, box(state=S.STOPPED))  # it has ended by itself
    assert last_cause(store) == ("EXTERNAL", "")

    store.end_making(ENGINE, "1", MAKING)
    store.remove(ENGINE, "1")

    assert last_cause(store) == ("EXTERNAL", "")


def test_what_a_failed_create_made_goes_by_its_maker(store):
    store.begin_making(ENGINE, "1", MAKING)
    put(store, box(state=S.STOPPED))
    store.end_making(ENGINE, "1", MAKING, EngineConflictError("scripted", "no such network"))

    store.remove(ENGINE, "1")

    assert last_cause(store) == ("API", "ann")


def test_what_had_an_id_before_it_was_made_anew_is_not_its_makers(store):
    """A domain that is made under the id of one whose end has not been told yet."""
    put(store, box(create_time=NOON))
    store.begin_making(ENGINE, "1", MAKING)

    put(store, box(create_time=NOON + timedelta(seconds=1)))

    assert [(e.after is None, e.cause.value) for e in entries(store, after=1)] == [
        (True, "EXTERNAL"),
        (False, "API"),
    ]


def test_what_is_made_anew_while_its_first_maker_is_not_done(store):
    """Somebody removed it before that one had read what it had made."""
    anew = Deed(None, "bob")
    for deed in (MAKING, anew):
        store.begin_making(ENGINE, "1", deed)
    store.end_making(ENGINE, "1", MAKING)

    put(store, box())
    assert last_cause(store) == ("API", "bob")
    store.end_making(ENGINE, "1", anew)

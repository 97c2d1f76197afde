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
from unit.core.inventory.pictured import entries, put
from unit.core.inventory.scripted import ENGINE, box

S = ResourceState
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_who_did_it(picture, monkeypatch):
    monkeypatch.setattr(module, "WAKE", 0.0)
    known = put(picture, box(), actor="ann")
    put(picture, box(state=S.STOPPED))
    picture.set_activity(known, Activity(verb=Verb.START, actor="bob"))
    put(picture, box(state=S.RUNNING))
    picture.set_activity(known, None)
    put(picture, box(state=S.PAUSED))
    picture.remove(ENGINE, "1", actor="cy")

    assert [(entry.cause.value, entry.actor) for entry in entries(picture)] == [
        ("API", "ann"),
        ("EXTERNAL", ""),
        ("API", "bob"),
        ("API", "bob"),
        ("API", "bob"),
        ("EXTERNAL", ""),
        ("API", "cy"),
    ]


def last_cause(picture):
    *_, last = entries(picture)
    return (last.cause.value, last.actor)


ENDS = {
    "what the verb read": lambda picture, known: picture.finish(known, box(state=S.RUNNING)),
    "its activity": lambda picture, known: picture.set_activity(known, None),
}


@pytest.mark.parametrize("wake", [0.0, 60.0])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_what_follows_a_verb_at_once_is_its_doing_but_for_another_state(
    picture, monkeypatch, wake, end
):
    """Docker tells of a start before its networks; one that ends by itself does so itself."""
    monkeypatch.setattr(module, "WAKE", wake)
    known = put(picture, box(state=S.STOPPED))
    picture.set_activity(known, Activity(verb=Verb.START, actor="ann"))
    put(picture, box(state=S.RUNNING))
    end(picture, known)

    started = datetime(2026, 1, 1, tzinfo=UTC)
    put(picture, box(state=S.RUNNING, state_detail=StateDetail(start_time=started)))
    assert last_cause(picture) == (("API", "ann") if wake else ("EXTERNAL", ""))
    put(picture, box(state=S.STOPPED))
    assert last_cause(picture) == ("EXTERNAL", "")


def test_what_others_do_during_a_verb_is_not_its_doing(picture):
    """A graceful stop takes a minute, in which anything may happen."""
    known = put(picture, box())
    picture.set_activity(known, Activity(verb=Verb.STOP, actor="ann"))

    told = []
    for change in (
        lambda: put(picture, box(name="renamed")),
        lambda: put(picture, box(name="renamed", state=S.PAUSED)),
        lambda: put(picture, box(name="renamed", state=S.RUNNING)),
        lambda: put(picture, box(name="renamed", state=S.STOPPING)),
        lambda: picture.remove(ENGINE, "1"),
    ):
        change()
        told.append(last_cause(picture)[0])

    # That it runs again may be for the stop: what is frozen would not hear of it.
    assert told == ["EXTERNAL", "EXTERNAL", "API", "API", "EXTERNAL"]


def test_a_verb_that_was_refused_leaves_nothing(picture):
    known = put(picture, box())
    picture.set_activity(known, Activity(verb=Verb.STOP, actor="ann"))
    picture.set_activity(known, None, failure=EngineConflictError("scripted", "no"))

    put(picture, box(state=S.STOPPED))

    assert last_cause(picture) == ("EXTERNAL", "")


TIMED_OUT = [
    EngineTimedOutError("scripted"),
    StopTimedOutError("web", timedelta(seconds=1)),
    EngineUnreachableError("scripted"),
]


def given_up(picture, verb, failure=TIMED_OUT[0]):
    known = put(picture, box())
    picture.set_activity(known, Activity(verb=verb, actor="ann"))
    picture.set_activity(known, None, failure=failure)
    return known


@pytest.mark.parametrize("failure", TIMED_OUT, ids=lambda failure: type(failure).__name__)
def test_what_a_verb_does_late_is_still_its_doing_once(picture, failure):
    given_up(picture, Verb.STOP, failure)

    told = []
    for state in (S.STOPPING, S.STOPPED, S.RUNNING, S.STOPPED):
        put(picture, box(state=state))
        told.append(last_cause(picture))

    assert told == [("API", "ann"), ("API", "ann"), ("EXTERNAL", ""), ("EXTERNAL", "")]


def test_a_refusal_is_no_end_of_what_was_asked_for_before(picture):
    known = given_up(picture, Verb.STOP)
    picture.set_activity(known, Activity(verb=Verb.RESTART, actor="bob"))
    picture.set_activity(known, None, failure=EngineConflictError("scripted", "no"))

    put(picture, box(state=S.STOPPED))

    assert last_cause(picture) == ("API", "ann")


def test_what_others_do_ends_what_was_asked_for(picture):
    given_up(picture, Verb.STOP)

    put(picture, box(state=S.PAUSED))
    assert last_cause(picture) == ("EXTERNAL", "")
    put(picture, box(state=S.STOPPED))
    assert last_cause(picture) == ("EXTERNAL", "")


def test_nothing_comes_for_ever(picture, monkeypatch):
    monkeypatch.setattr(module, "LATE", 0.0)
    given_up(picture, Verb.STOP)

    put(picture, box(state=S.STOPPED))

    assert last_cause(picture) == ("EXTERNAL", "")


MAKING = Deed(None, "ann")


def test_what_is_made_is_its_makers(picture):
    """From its id, however long it takes and whatever its name is."""
    picture.begin_making(ENGINE, "1", MAKING)
    for change in (
        lambda: put(picture, box(state=S.STOPPED)),
        lambda: put(picture, box(state=S.RUNNING)),
    ):
        change()
        assert last_cause(picture) == ("API", "ann")
    put(picture, box("2", state=S.RUNNING))
    assert last_cause(picture) == ("EXTERNAL", "")
    put(picture, box(state=S.STOPPED))  # it has ended by itself
    assert last_cause(picture) == ("EXTERNAL", "")

    picture.end_making(ENGINE, "1", MAKING)
    picture.remove(ENGINE, "1")

    assert last_cause(picture) == ("EXTERNAL", "")


def test_what_a_failed_create_made_goes_by_its_maker(picture):
    picture.begin_making(ENGINE, "1", MAKING)
    put(picture, box(state=S.STOPPED))
    picture.end_making(ENGINE, "1", MAKING, EngineConflictError("scripted", "no such network"))

    picture.remove(ENGINE, "1")

    assert last_cause(picture) == ("API", "ann")


def test_what_had_an_id_before_it_was_made_anew_is_not_its_makers(picture):
    """A domain that is made under the id of one whose end has not been told yet."""
    put(picture, box(create_time=NOON))
    picture.begin_making(ENGINE, "1", MAKING)

    put(picture, box(create_time=NOON + timedelta(seconds=1)))

    assert [(e.after is None, e.cause.value) for e in entries(picture, after=1)] == [
        (True, "EXTERNAL"),
        (False, "API"),
    ]


def test_what_is_made_anew_while_its_first_maker_is_not_done(picture):
    """Somebody removed it before that one had read what it had made."""
    anew = Deed(None, "bob")
    for deed in (MAKING, anew):
        picture.begin_making(ENGINE, "1", deed)
    picture.end_making(ENGINE, "1", MAKING)

    put(picture, box())
    assert last_cause(picture) == ("API", "bob")
    picture.end_making(ENGINE, "1", anew)

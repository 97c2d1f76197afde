"""Attribution of changes to callers, on best effort."""

import pytest

from proad.model import Activity, ResourceState, Verb
from unit.core.inventory.scripted import ENGINE, FAR, box
from unit.core.inventory.stored import entries, put, take

S = ResourceState
ANN, NOBODY = ("API", "ann"), ("EXTERNAL", "")


def last_cause(store):
    *_, last = entries(store)
    return (last.cause.value, last.actor)


def test_attribution_during_activity_is_its_actor(store):
    entry = put(store, box())
    store.set_activity(entry, Activity(verb=Verb.STOP, actor="ann"))

    causes = []
    for change in (
        lambda: put(store, box(name="renamed")),
        lambda: put(store, box(name="renamed", state=S.STOPPING)),
        lambda: store.finish(entry, box(name="renamed", state=S.STOPPED)),
        lambda: put(store, box(name="renamed")),
    ):
        change()
        causes.append(last_cause(store))

    assert causes == [ANN, ANN, ANN, NOBODY]


@pytest.mark.parametrize(("verb", "cause"), [(Verb.DELETE, ANN), (None, NOBODY)])
def test_attribution_of_removal_is_activity_actor_or_external(store, verb, cause):
    entry = put(store, box())
    store.set_activity(entry, verb and Activity(verb=verb, actor="ann"))

    take(store, "1")

    assert last_cause(store) == cause


def test_attribution_of_verb_without_activity_is_its_actor(store):
    """A forced verb beside another user's graceful stop."""
    entry = put(store, box())
    store.set_activity(entry, Activity(verb=Verb.STOP, actor="bob"))

    store.finish(entry, box(state=S.STOPPED), "ann")
    assert last_cause(store) == ANN
    assert entry.activity is not None
    store.remove(entry, "ann")
    assert last_cause(store) == ANN


@pytest.mark.parametrize("made", [box("1"), box("2", creation="1")], ids=["id", "creation"])
def test_attribution_during_create_is_its_actor_until_it_ends(store, made):
    with store.attribution.creating(ENGINE, "ann") as creation:
        creation.expect("1")
        put(store, made)
        assert last_cause(store) == ANN
        put(store, box("3"))
        assert last_cause(store) == NOBODY
        put(store, made, FAR)
        assert last_cause(store) == NOBODY
        take(store, made.id)
        assert last_cause(store) == ANN
    assert creation.made == {made.id}

    put(store, made)
    assert last_cause(store) == NOBODY


def test_attribution_with_nested_creates_is_the_later_actor(store):
    with store.attribution.creating(ENGINE, "ann") as first:
        first.expect("1")
        with store.attribution.creating(ENGINE, "bob") as second:
            second.expect("1")
            put(store, box())
            assert last_cause(store) == ("API", "bob")
        take(store, "1")
        assert last_cause(store) == ANN


def test_creation_mark_after_its_end_is_ignored(store):
    with store.attribution.creating(ENGINE, "ann") as creation:
        pass

    creation.expect("1")
    put(store, box())

    assert last_cause(store) == NOBODY

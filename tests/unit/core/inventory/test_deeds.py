"""Which changes a call of ours can have made."""

import itertools

import pytest

from proad.core.inventory.deeds import Deed
from proad.model import Lifetime, ResourceState, Verb
from unit.core.inventory.scripted import box

S = ResourceState
MAKING = None


def states(text):
    """ "RUNNING STOPPED" is two states."""
    return [S(word) for word in text.split()]


@pytest.mark.parametrize(
    ("verb", "way"),
    [
        (Verb.START, "STOPPED RUNNING"),
        (Verb.START, "SAVED STOPPED STARTING RUNNING"),  # its saved state is discarded
        (Verb.START, "SAVED STARTING PAUSED RUNNING"),  # its saved state is restored
        (Verb.START, "FAILED STOPPED RUNNING"),  # what crashed is out of the way first
        (Verb.START, "STOPPED STARTING FAILED"),
        (Verb.START, "PAUSED STOPPED RUNNING"),  # from a snapshot
        (Verb.RESUME, "PAUSED RUNNING"),
        (Verb.RESUME, "SUSPENDED RUNNING"),
        (Verb.PAUSE, "RUNNING PAUSED"),
        (Verb.STOP, "RUNNING STOPPING STOPPED"),
        (Verb.STOP, "RUNNING STOPPING SAVED"),
        (Verb.STOP, "PAUSED RUNNING STOPPED"),  # it has to run to hear of it
        (Verb.STOP, "RUNNING REMOVING"),
        (Verb.RESTART, "RUNNING STOPPED STARTING RUNNING"),
        (Verb.RESTART, "RUNNING STOPPING RUNNING"),
        (Verb.DELETE, "RUNNING STOPPED REMOVING"),
        (Verb.CREATE_SNAPSHOT, "RUNNING PAUSED RUNNING"),
        (Verb.CREATE_SNAPSHOT, "RUNNING STOPPING RUNNING"),  # PAUSED while it is saved
        (Verb.REVERT_SNAPSHOT, "RUNNING STOPPED STARTING PAUSED RUNNING"),
        (MAKING, "STOPPED STARTING RUNNING"),
    ],
)
def test_where_a_verb_leads(verb, way):
    deed = Deed(verb, "ann")
    way = states(way)
    for before, after in itertools.pairwise(way):
        assert deed.did(box(state=before), box(state=after))


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        (Verb.START, S.RUNNING, S.STOPPED),  # it ended by itself
        (Verb.START, S.RUNNING, S.STARTING),  # it is restarted by its policy
        (Verb.START, S.RUNNING, S.PAUSED),
        (Verb.RESUME, S.RUNNING, S.STOPPED),
        (Verb.RESUME, S.PAUSED, S.STOPPED),
        (Verb.PAUSE, S.RUNNING, S.STOPPED),
        (Verb.PAUSE, S.PAUSED, S.RUNNING),
        (Verb.STOP, S.RUNNING, S.PAUSED),
        (Verb.STOP, S.STOPPED, S.RUNNING),
        (Verb.RESTART, S.RUNNING, S.PAUSED),
        (Verb.DELETE, S.STOPPED, S.RUNNING),
        (Verb.UPDATE, S.RUNNING, S.STOPPED),
        (Verb.CREATE_SNAPSHOT, S.RUNNING, S.STOPPED),
        (MAKING, S.RUNNING, S.STOPPED),
    ],
)
def test_where_no_verb_leads(verb, before, after):
    assert not Deed(verb, "ann").did(box(state=before), box(state=after))


@pytest.mark.parametrize("verb", Verb)
def test_who_gives_another_name(verb):
    theirs = verb in {Verb.UPDATE, Verb.REVERT_SNAPSHOT}

    assert Deed(verb, "ann").did(box(), box(name="new")) == theirs
    assert Deed(verb, "ann").did(box(), box(labels={"a": "1"})) == theirs


@pytest.mark.parametrize("verb", [*Verb, MAKING])
@pytest.mark.parametrize("lifetime", Lifetime)
def test_who_removes(verb, lifetime):
    passes = lifetime is Lifetime.TRANSIENT
    theirs = {Verb.DELETE} | ({Verb.STOP, Verb.RESTART} if passes else {MAKING})

    assert Deed(verb, "ann").did(box(lifetime=lifetime), None) == (verb in theirs)


@pytest.mark.parametrize("verb", [*Verb, MAKING])
def test_after_its_end_a_verb_leads_nowhere(verb):
    """It read where it had led to: what follows is somebody else's."""
    ended = Deed(verb, "ann").ended(None)

    assert not ended.did(box(), None)
    assert not any(
        ended.did(box(state=before), box(state=after))
        for before in S
        for after in S
        if before is not after
    )

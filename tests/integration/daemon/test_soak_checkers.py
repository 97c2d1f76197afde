"""The checkers of the soak notice what is wrong."""

import pytest

from proa import v1
from soak.serial import GONE, PAUSED, RUNNING, STOPPED, Call, final_states
from soak.watcher import Replica


def call(verb: str, answer: str, begin: float, end: float) -> Call:
    return Call(verb, answer, begin, end)


def test_final_states_overlapping_calls_fit_any_order():
    both = [call("pause", PAUSED, 0, 9), call("start", RUNNING, 1, 9)]

    assert final_states(both, STOPPED) == {PAUSED}
    assert final_states(both, RUNNING) == {RUNNING}
    assert final_states([*both, call("resume", RUNNING, 2, 9)], STOPPED) == {RUNNING}


@pytest.mark.parametrize(
    "calls",
    [
        # The pause had ended before anything ran.
        [call("pause", PAUSED, 0, 1), call("start", RUNNING, 2, 3)],
        # Two starts of one stopped resource, and nobody stopped it in between.
        [call("start", RUNNING, 0, 9), call("start", RUNNING, 0, 9)],
        [call("delete", GONE, 0, 1), call("start", RUNNING, 2, 3)],
        [call("start", "RESOURCE_NOT_FOUND", 0, 1), call("delete", GONE, 2, 3)],
        [call("stop", STOPPED, 0, 1)],
        [call("start", "INTERNAL", 0, 1)],
    ],
)
def test_final_states_answers_that_fit_no_order_are_empty(calls: list[Call]):
    assert final_states(calls, STOPPED) == set()


def change(
    type: v1.ChangeType.ValueType,
    revision: int,
    state: v1.ResourceState.ValueType = v1.RESOURCE_STATE_RUNNING,
    before: v1.ResourceState.ValueType = v1.RESOURCE_STATE_RUNNING,
) -> v1.WatchEvent:
    resource = v1.Resource(id="1", name="web", revision=revision, state=state)
    return v1.WatchEvent(
        change=v1.ResourceChange(type=type, resource=resource, previous_state=before)
    )


SYNCED = v1.WatchEvent(bookmark=v1.Bookmark(synced=True))
EXISTING = change(v1.CHANGE_TYPE_EXISTING, 1)


def test_replica_events_without_gaps_have_no_faults():
    replica = Replica()
    replica.take([EXISTING, SYNCED, change(v1.CHANGE_TYPE_MODIFIED, 2)])
    replica.take([change(v1.CHANGE_TYPE_REMOVED, 3), change(v1.CHANGE_TYPE_ADDED, 4)])

    assert replica.faults == []
    assert replica.resources["1"].revision == 4


@pytest.mark.parametrize(
    "events",
    [
        [EXISTING, SYNCED, change(v1.CHANGE_TYPE_ADDED, 2)],
        [EXISTING, SYNCED, change(v1.CHANGE_TYPE_MODIFIED, 1)],
        [EXISTING, SYNCED, change(v1.CHANGE_TYPE_MODIFIED, 2, before=v1.RESOURCE_STATE_PAUSED)],
        [SYNCED, change(v1.CHANGE_TYPE_MODIFIED, 2)],
        [SYNCED, change(v1.CHANGE_TYPE_REMOVED, 2)],
        [EXISTING, SYNCED, SYNCED],
        [EXISTING, change(v1.CHANGE_TYPE_MODIFIED, 2), SYNCED],
        [EXISTING, SYNCED, EXISTING],
    ],
)
def test_replica_events_with_gaps_have_faults(events: list[v1.WatchEvent]):
    replica = Replica()
    replica.take(events)

    assert replica.faults

"""Callers that race for the same resources: the outcomes fit a serial order."""

import asyncio
import itertools
import random

import grpc
import pytest

from proa import v1
from proad.model import LEGAL, ResourceState, Verb
from rpc.daemon import Refusal

S = ResourceState
CALLS = {
    Verb.START: ("StartResource", {}),
    Verb.STOP: ("StopResource", {"mode": "STOP_MODE_FORCE"}),
    Verb.PAUSE: ("PauseResource", {}),
    Verb.RESUME: ("ResumeResource", {}),
    Verb.DELETE: ("DeleteResource", {}),
}
AFTER = {
    Verb.START: S.RUNNING,
    Verb.STOP: S.STOPPED,
    Verb.PAUSE: S.PAUSED,
    Verb.RESUME: S.RUNNING,
    Verb.DELETE: None,
}
REFUSALS = {
    "ILLEGAL_STATE",
    "RESOURCE_ALREADY_RUNNING",
    "RESOURCE_NOT_RUNNING",
    "RESOURCE_RUNNING",
}


class Call:
    """A call, when it began and ended, and its outcome."""

    clock = itertools.count()

    def __init__(self, verb, name):
        self.verb, self.name = verb, name
        self.refused = self.resource = None

    async def make(self, daemon):
        call, request = CALLS[self.verb]
        self.began = next(self.clock)
        try:
            self.resource = (await daemon.call(call, id=self.name, **request)).resource
        except grpc.aio.AioRpcError as error:
            self.refused = Refusal.of(error)
        self.ended = next(self.clock)


def serial(calls):
    """Return whether the calls on one resource have an order in which none ends before
    one that comes after it begins, and each has the outcome that it had.
    """
    done = set()

    def go_on(left, state):
        if not left:
            return True
        if (left, state) in done:
            return False
        done.add((left, state))
        earliest = min(calls[i].ended for i in left)
        for i in left:
            call = calls[i]
            if call.began > earliest:
                continue  # another call had ended before it began
            fits, after = outcome(call, state)
            if fits and go_on(left - {i}, after):
                return True
        return False

    return go_on(frozenset(range(len(calls))), S.RUNNING)


def outcome(call, state):
    """Return whether a call on a resource in `state` has this outcome, and the state after it."""
    if call.refused is None:
        legal = state is not None and state in LEGAL[call.verb]
        answered = v1.ResourceState.Name(call.resource.state).removeprefix("RESOURCE_STATE_")
        true = call.verb is Verb.DELETE or answered == AFTER[call.verb]
        return legal and true, AFTER[call.verb]
    if call.refused.reason == "RESOURCE_NOT_FOUND":
        return state is None, state
    return (
        state is not None
        and state not in LEGAL[call.verb]
        and call.refused.metadata["state"] == state
    ), state


def test_serial_wrong_history_is_found():
    def call(verb, began, ended, state="", reason=""):
        made = Call(verb, "x")
        made.began, made.ended = began, ended
        if reason:
            made.refused = Refusal("", "", {})
            made.refused = type("R", (), {"reason": reason, "metadata": {"state": state}})()
        else:
            made.resource = v1.Resource(state=v1.ResourceState.Value(f"RESOURCE_STATE_{state}"))
        return made

    pause = call(Verb.PAUSE, 0, 1, "PAUSED")
    assert serial([pause, call(Verb.RESUME, 2, 3, "RUNNING")])
    assert serial([call(Verb.RESUME, 0, 3, "RUNNING"), call(Verb.PAUSE, 1, 2, "PAUSED")])
    assert not serial([pause, call(Verb.PAUSE, 2, 3, "PAUSED")])
    assert not serial([call(Verb.RESUME, 0, 1, "RUNNING"), call(Verb.PAUSE, 2, 3, "PAUSED")])
    assert not serial([pause, call(Verb.STOP, 2, 3, "RUNNING")])
    assert not serial([pause, call(Verb.RESUME, 2, 3, "RUNNING", "ILLEGAL_STATE")])


@pytest.mark.parametrize("seed", range(3))
async def test_verbs_two_hundred_at_once_on_ten_resources_are_serial(daemon, seed):
    chance = random.Random(seed)
    names = [f"c{number}" for number in range(10)]
    for name in names:
        await daemon.container(name)
    # Few deletes, because a deleted resource ends the race.
    verbs = [Verb.START, Verb.STOP, Verb.PAUSE, Verb.RESUME] * 6 + [Verb.DELETE]
    calls = [Call(chance.choice(verbs), name) for name in names for _ in range(20)]
    chance.shuffle(calls)

    async def later(call):
        await asyncio.sleep(chance.random() / 5)
        await call.make(daemon)

    await asyncio.gather(*map(later, calls))

    reasons = {call.refused.reason for call in calls if call.refused}
    assert reasons <= REFUSALS | {"RESOURCE_NOT_FOUND"}
    for name in names:
        assert serial([call for call in calls if call.name == name]), name
    there = {r.name: r.state for r in (await daemon.call("ListResources")).resources}
    engine = {r.name: r.state for r in await daemon.driver.list_resources()}
    assert {n: v1.ResourceState.Name(s) for n, s in there.items()} == {
        n: f"RESOURCE_STATE_{s}" for n, s in engine.items()
    }

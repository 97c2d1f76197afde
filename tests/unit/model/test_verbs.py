import pytest

from proad.errors import (
    Reason,
    ResourceAlreadyRunningError,
    ResourceNotRunningError,
    ResourceRunningError,
    StateError,
)
from proad.model import Resource, ResourceKind, ResourceState, Verb
from proad.model.verbs import (
    ACTIVE,
    INACTIVE,
    LEGAL,
    allowed_verbs,
    refusal,
)

CONTAINER, DOMAIN = ResourceKind.CONTAINER, ResourceKind.DOMAIN
STATES = list(ResourceState)

# Written independently of the model and the other way round: the verbs that each state
# allows a domain.
TABLE = {
    "STARTING": "STOP UPDATE",
    "RUNNING": "STOP RESTART PAUSE UPDATE CREATE_SNAPSHOT REVERT_SNAPSHOT DELETE_SNAPSHOT",
    "PAUSED": "START STOP RESUME UPDATE CREATE_SNAPSHOT REVERT_SNAPSHOT DELETE_SNAPSHOT",
    "SUSPENDED": "START STOP RESUME UPDATE DELETE_SNAPSHOT",
    "SAVED": "START DELETE UPDATE REVERT_SNAPSHOT DELETE_SNAPSHOT",
    "STOPPING": "STOP",
    "STOPPED": "START DELETE UPDATE CREATE_SNAPSHOT REVERT_SNAPSHOT DELETE_SNAPSHOT",
    "REMOVING": "",
    "FAILED": "START DELETE UPDATE CREATE_SNAPSHOT REVERT_SNAPSHOT DELETE_SNAPSHOT",
    "OTHER": "START STOP RESTART PAUSE RESUME DELETE UPDATE CREATE_SNAPSHOT REVERT_SNAPSHOT DELETE_SNAPSHOT",
}

# The states in which a container can be made again.
RECREATED = ["STARTING", "RUNNING", "SAVED", "STOPPED", "FAILED", "OTHER"]


def resource(state: ResourceState, kind: ResourceKind = DOMAIN) -> Resource:
    return Resource(id="i" * 8, kind=kind, name="web", state=state)


@pytest.mark.parametrize("state", STATES)
def test_allowed_verbs_of_each_state(state: ResourceState):
    domain = allowed_verbs(DOMAIN, state)
    assert domain == tuple(Verb(name) for name in TABLE[state].split())
    no_snapshots = tuple(verb for verb in domain if "SNAPSHOT" not in verb)
    again = (Verb.RECREATE,) if state in RECREATED else ()
    assert allowed_verbs(CONTAINER, state) == no_snapshots + again


def test_allowed_verbs_decide_every_verb():
    assert set(LEGAL) == set(Verb)


def test_active_and_inactive_states_are_all_states():
    assert not ACTIVE & INACTIVE
    assert set(STATES) - ACTIVE - INACTIVE == {ResourceState.REMOVING}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("verb", list(Verb))
def test_refusal_of_a_verb_is_none_exactly_if_it_is_allowed(verb: Verb, state: ResourceState):
    kind = CONTAINER if verb is Verb.RECREATE else DOMAIN
    error = refusal(verb, resource(state, kind))
    assert (error is None) is (verb in allowed_verbs(kind, state))
    if error is not None:
        assert error.metadata == {
            "id": "iiiiiiii",
            "name": "web",
            "state": state.value,
            "verb": verb.value,
            "allowed_verbs": ",".join(allowed_verbs(kind, state)),
        }
        assert f"{verb} is not legal for 'web', which is {state}" in error.message


@pytest.mark.parametrize(
    ("verb", "states", "error"),
    [
        ("START", "RUNNING STARTING", ResourceAlreadyRunningError),
        ("START", "STOPPING REMOVING", StateError),
        ("STOP", "STOPPED SAVED FAILED", ResourceNotRunningError),
        ("STOP", "REMOVING", StateError),
        ("RESTART", "STOPPED SAVED FAILED", ResourceNotRunningError),
        ("RESTART", "STARTING PAUSED SUSPENDED STOPPING REMOVING", StateError),
        ("PAUSE", "STOPPED SAVED FAILED", ResourceNotRunningError),
        ("PAUSE", "STARTING PAUSED SUSPENDED STOPPING REMOVING", StateError),
        ("RESUME", "STOPPED SAVED FAILED", ResourceNotRunningError),
        ("RESUME", "STARTING RUNNING STOPPING REMOVING", StateError),
        ("DELETE", "STARTING RUNNING PAUSED SUSPENDED STOPPING", ResourceRunningError),
        ("DELETE", "REMOVING", StateError),
        ("UPDATE", "STOPPING REMOVING", StateError),
        ("CREATE_SNAPSHOT", "SAVED", ResourceNotRunningError),
        ("CREATE_SNAPSHOT", "STARTING SUSPENDED STOPPING REMOVING", StateError),
        ("REVERT_SNAPSHOT", "STARTING SUSPENDED STOPPING REMOVING", StateError),
        ("DELETE_SNAPSHOT", "STARTING STOPPING REMOVING", StateError),
    ],
)
def test_refusal_has_the_class_of_verb_and_state(verb: str, states: str, error: type[StateError]):
    for state in states.split():
        refused = refusal(Verb(verb), resource(ResourceState(state)))
        assert type(refused) is error, state


def test_refusal_has_the_reason_of_its_class():
    refused = refusal(Verb.DELETE, resource(ResourceState.RUNNING))
    assert refused is not None
    assert refused.reason is Reason.RESOURCE_RUNNING


@pytest.mark.parametrize("state", STATES)
def test_refusal_with_force_allows_deletion_of_active_resources(state: ResourceState):
    forced = refusal(Verb.DELETE, resource(state), force=True)
    assert (forced is None) is (state in ACTIVE | INACTIVE)
    for verb in set(Verb) - {Verb.DELETE}:
        with_force = refusal(verb, resource(state), force=True)
        assert type(with_force) is type(refusal(verb, resource(state)))


NOTHING = "there is nothing to do"
WAIT = "wait until that has ended"
HINTS = {
    ("START", "RUNNING"): f"{NOTHING}, and RevertSnapshot takes it to a snapshot",
    ("START", "STARTING"): NOTHING,
    ("START", "STOPPING"): WAIT,
    ("STOP", "STOPPED SAVED FAILED"): f"it does not run, so that {NOTHING}",
    ("RESTART", "STOPPED SAVED FAILED"): "start it instead",
    ("RESTART", "PAUSED SUSPENDED"): "resume it first",
    ("RESTART", "STARTING STOPPING"): WAIT,
    ("PAUSE", "STOPPED SAVED FAILED"): "start it first",
    ("PAUSE", "PAUSED"): NOTHING,
    ("PAUSE", "SUSPENDED"): "resume it first",
    ("PAUSE", "STARTING STOPPING"): WAIT,
    ("RESUME", "STOPPED SAVED FAILED"): "start it instead",
    ("RESUME", "RUNNING"): NOTHING,
    ("RESUME", "STARTING STOPPING"): WAIT,
    ("DELETE", "STARTING RUNNING PAUSED SUSPENDED STOPPING"): "stop it first, or set force",
    ("UPDATE", "STOPPING"): WAIT,
    ("CREATE_SNAPSHOT", "SAVED"): "start it first",
    ("CREATE_SNAPSHOT", "SUSPENDED"): "resume it first",
    ("CREATE_SNAPSHOT", "STARTING STOPPING"): WAIT,
    ("REVERT_SNAPSHOT", "SUSPENDED"): "resume it first",
    ("REVERT_SNAPSHOT", "STARTING STOPPING"): WAIT,
    ("DELETE_SNAPSHOT", "STARTING STOPPING"): WAIT,
    ("RECREATE", "PAUSED SUSPENDED"): "resume it first",
    ("RECREATE", "STOPPING"): WAIT,
    (" ".join(Verb), "REMOVING"): "it is being removed",
}


def test_refusal_has_a_hint_for_verb_and_state():
    told: dict[tuple[str, str], str] = {}
    for (verbs, states), hint in HINTS.items():
        told |= {(verb, state): hint for verb in verbs.split() for state in states.split()}
    refused = [(verb, state) for verb in Verb for state in STATES if refusal(verb, resource(state))]
    assert set(told) == {(verb.value, state.value) for verb, state in refused}
    for verb, state in refused:
        error = refusal(verb, resource(state))
        assert error is not None
        assert f": {told[verb, state]}; legal now: " in error.message
        # What it says to do is legal, whatever comes after it.
        for word in ("start", "stop", "resume"):
            if f"{word} it" in told[verb, state]:
                assert word.upper() in error.metadata["allowed_verbs"].split(",")


def test_refusal_for_a_running_container_hints_at_no_snapshots():
    error = refusal(Verb.START, resource(ResourceState.RUNNING, CONTAINER))
    assert error is not None
    assert f": {NOTHING}; legal now: " in error.message

"""Conditions that callers wait for, told from a view of a resource."""

import pytest

from proad.core.conditions import verdict_on
from proad.model import (
    Activity,
    Container,
    ContainerSpec,
    Domain,
    DomainSpec,
    Gone,
    HasAddress,
    HealthStatus,
    InState,
    NetworkAttachment,
    NetworkInterface,
    Ready,
    Resource,
    ResourceKind,
    ResourceState,
    RestartPolicy,
    RestartPolicyMode,
    StateDetail,
    StateReason,
    Verb,
    WaitCondition,
)

S, M, H = ResourceState, RestartPolicyMode, HealthStatus
READY, ADDRESS = WaitCondition(ready=Ready()), WaitCondition(has_address=HasAddress())
GONE = WaitCondition(gone=Gone())
HOLDS, PENDING, IMPOSSIBLE = "holds", "pending", "impossible"
ENDED = StateDetail(reason=StateReason.ERROR, exit_code=1)
NEVER_STARTED = StateDetail(reason=StateReason.NEVER_STARTED)


def in_state(*states):
    return WaitCondition(in_state=InState(states=states))


def container(state=S.RUNNING, detail=ENDED, activity=None, **fields):
    fields = {"image": "i", "image_id": "sha256:0", **fields}
    return Resource(
        id="1",
        kind=ResourceKind.CONTAINER,
        name="web",
        state=state,
        state_detail=detail if state in {S.STOPPED, S.FAILED} else StateDetail(),
        activity=activity and Activity(verb=activity),
        container=Container(**fields),
    )


def domain(state=S.RUNNING, activity=None, **fields):
    return Resource(
        id="1",
        kind=ResourceKind.DOMAIN,
        name="vm",
        state=state,
        activity=activity and Activity(verb=activity),
        domain=Domain(memory_bytes=1, max_memory_bytes=1, vcpus=1, **fields),
    )


def restarted(mode):
    return {"spec": ContainerSpec(image="i", restart_policy=RestartPolicy(mode=mode))}


def on(*networks, address=""):
    return {"networks": tuple(NetworkAttachment(network=n, ipv4_address=address) for n in networks)}


def card(network="default", addresses=()):
    return {"networks": (NetworkInterface(network=network, addresses=addresses),)}


def outcome(condition, resource):
    verdict = verdict_on(condition, resource)
    assert not (verdict.holds and verdict.impossible)
    return HOLDS if verdict.holds else IMPOSSIBLE if verdict.impossible else PENDING


@pytest.mark.parametrize(
    ("resource", "wanted"),
    [
        (container(), HOLDS),
        (container(health=H.HEALTHY), HOLDS),
        (container(health=H.STARTING), PENDING),
        (container(health=H.UNHEALTHY), PENDING),
        (container(health=H.OTHER), PENDING),
        # Somebody may resume it, and what stops has not ended.
        (container(S.PAUSED), PENDING),
        (container(S.STARTING), PENDING),
        (container(S.STOPPING), PENDING),
        (container(S.OTHER), PENDING),
        (container(S.STOPPED), IMPOSSIBLE),
        (container(S.STOPPED, NEVER_STARTED), PENDING),
        (container(S.STOPPED, activity=Verb.START), PENDING),
        (container(S.STOPPED, activity=Verb.RESTART), PENDING),
        (container(S.FAILED), IMPOSSIBLE),
        (container(S.REMOVING), IMPOSSIBLE),
        # Docker calls no container ended that it is to start again.
        (container(S.STARTING, **restarted(M.ALWAYS)), PENDING),
        (container(S.STOPPED, **restarted(M.ALWAYS)), IMPOSSIBLE),
        (container(S.FAILED, **restarted(M.UNLESS_STOPPED)), IMPOSSIBLE),
        (domain(), PENDING),
        (domain(guest_agent_connected=True), HOLDS),
        (domain(spec=DomainSpec(name="vm", memory_bytes=2**26)), PENDING),
        (domain(spec=DomainSpec(name="vm", memory_bytes=2**26, guest_agent=False)), IMPOSSIBLE),
        (domain(S.PAUSED, guest_agent_connected=True), PENDING),
        (domain(S.SUSPENDED), PENDING),
        (domain(S.STOPPED), IMPOSSIBLE),
        (domain(S.SAVED), IMPOSSIBLE),
        (domain(S.SAVED, activity=Verb.START), PENDING),
        (domain(S.STOPPED, activity=Verb.REVERT_SNAPSHOT), PENDING),
        (domain(S.FAILED), IMPOSSIBLE),
    ],
)
def test_ready_is_judged(resource, wanted):
    assert outcome(READY, resource) == wanted


@pytest.mark.parametrize(
    ("resource", "wanted"),
    [
        (container(**on("bridge", address="172.17.0.2")), HOLDS),
        (container(health=H.UNHEALTHY, **on("bridge", address="172.17.0.2")), HOLDS),
        (container(**on("bridge")), PENDING),
        (container(**on("host")), IMPOSSIBLE),
        (container(**on("none")), IMPOSSIBLE),
        (container(S.STOPPED, **on("bridge", address="172.17.0.2")), IMPOSSIBLE),
        (domain(**card(addresses=("192.0.2.7/24",))), HOLDS),
        (domain(**card()), PENDING),
        (domain(**card(network="")), IMPOSSIBLE),
        (domain(), IMPOSSIBLE),
        (domain(S.STOPPED, **card()), IMPOSSIBLE),
    ],
)
def test_address_is_judged(resource, wanted):
    assert outcome(ADDRESS, resource) == wanted


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("make", [container, domain])
def test_gone_never_holds_nor_ends_while_a_resource_exists(make, state):
    assert outcome(GONE, make(state)) == PENDING


@pytest.mark.parametrize("wanted", S)
@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("make", [container, domain])
def test_in_state_holds_in_that_state_alone_and_is_impossible_for_another_kind(make, state, wanted):
    never = {S.SUSPENDED, S.SAVED} if make is container else {S.REMOVING}

    found = outcome(in_state(wanted), make(state))

    assert found == (IMPOSSIBLE if wanted in never else HOLDS if state is wanted else PENDING)


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        ((S.STOPPED, S.FAILED), PENDING),
        ((S.STOPPED, S.RUNNING), HOLDS),
        ((S.SAVED, S.STOPPED), PENDING),
        ((S.SAVED, S.SUSPENDED), IMPOSSIBLE),
    ],
)
def test_in_state_of_several_holds_in_each_and_is_impossible_if_none_can_come(states, wanted):
    assert outcome(in_state(*states), container()) == wanted

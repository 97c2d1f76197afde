"""Whether a condition that a caller waits for holds, may come, or cannot come any more."""

from dataclasses import dataclass

from proad.model import (
    INACTIVE,
    Container,
    Domain,
    HealthStatus,
    Resource,
    ResourceKind,
    ResourceState,
    StateReason,
    WaitCondition,
)

_S = ResourceState

# Docker suspends and saves nothing; libvirt removes in one step.
_NEVER = {
    ResourceKind.CONTAINER: {_S.SUSPENDED, _S.SAVED},
    ResourceKind.DOMAIN: {_S.REMOVING},
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a condition.

    Attributes:
        holds: whether it holds.
        impossible: why it cannot come any more, and what to do; empty: it may come.
        now: what keeps it from holding, beside the state.
    """

    holds: bool = False
    impossible: str = ""
    now: str = ""


HOLDS = Verdict(holds=True)
PENDING = Verdict()


def verdict_on(condition: WaitCondition, resource: Resource) -> Verdict:
    """Return the verdict on a resource that exists.

    Args:
        condition: what is waited for.
        resource: the resource; the FULL view unless the condition is a state or the removal.
    """
    if condition.gone is not None:
        return PENDING
    if condition.in_state is not None:
        if _NEVER[resource.kind].issuperset(condition.in_state.states):
            return Verdict(impossible=f"a {resource.kind.lower()} is never {condition}")
        return Verdict(holds=resource.state in condition.in_state.states)
    if resource.state is _S.RUNNING:
        return (_readiness if condition.ready is not None else _address)(resource)
    if resource.activity is None and (why := _end(resource)):
        return Verdict(impossible=why)
    return PENDING


def _readiness(resource: Resource) -> Verdict:
    match resource:
        case Resource(container=Container(health=None | HealthStatus.HEALTHY)):
            return HOLDS
        case Resource(container=Container(health=health)):
            return Verdict(now=f"its health check says {health}")
        case Resource(domain=Domain(guest_agent_connected=True)):
            return HOLDS
        case Resource(domain=Domain() as domain) if _lacks_agent(domain):
            return Verdict(
                impossible="it has no channel for a guest agent, which would say so; create "
                "domains with guest_agent, or wait for an address"
            )
        case _:
            return Verdict(now="its guest agent is not connected")


def _lacks_agent(domain: Domain) -> bool:
    """Return whether a domain is known to have no channel for a guest agent."""
    return domain.spec is not None and not domain.spec.guest_agent


def _address(resource: Resource) -> Verdict:
    if (container := resource.container) is not None:
        if any(each.ipv4_address or each.ipv6_address for each in container.networks):
            return HOLDS
        if all(each.stands_alone for each in container.networks):
            return Verdict(
                impossible="it is on no network of its own: what it has are the addresses of "
                "the host or of another container, or none"
            )
    if (domain := resource.domain) is not None:
        if any(each.addresses for each in domain.networks):
            return HOLDS
        if not any(each.network for each in domain.networks):
            return Verdict(impossible="it has no card on a libvirt network, which would lease one")
    return Verdict(now="it has no address")


def _end(resource: Resource) -> str:
    """Return why a resource will not run again by itself; empty: it may."""
    if resource.state is _S.REMOVING:
        return "it is being removed"
    if resource.state not in INACTIVE:
        return ""
    if resource.state_detail.reason is StateReason.NEVER_STARTED:
        return ""  # whoever made it is about to start it
    # A restart policy changes nothing: a container that Docker is to start again is never
    # STOPPED or FAILED, but STARTING. What was stopped by a call, Docker leaves alone.
    exit_code = resource.state_detail.exit_code
    code = "" if exit_code is None else f" with exit code {exit_code}"
    return f"it has ended{code} and nothing restarts it; start it first"

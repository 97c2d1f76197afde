"""The SUMMARY view of a domain, and the few calls that read it for all domains at once."""

from dataclasses import dataclass
from typing import Self

import libvirt

from proad.drivers.libvirt.connections import bulk_stats
from proad.drivers.libvirt.connections.queries import lookup
from proad.drivers.libvirt.full_view import FullView, XmlFacts
from proad.drivers.libvirt.state import state_of
from proad.drivers.tolerant import INT32, MOST, Omissions, Unlogged, Value
from proad.model import (
    Domain,
    Lifetime,
    Resource,
    ResourceKind,
    ResourceState,
    StateDetail,
    Verb,
    allowed_verbs,
)

KIB = 1024

_INACTIVE = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE
_SIZES = libvirt.VIR_DOMAIN_STATS_BALLOON | libvirt.VIR_DOMAIN_STATS_VCPU
_MOST_KIB = MOST // KIB


@dataclass(frozen=True, slots=True)
class Size:
    """Memory in KiB, and processors, as in `virDomainInfo`."""

    maximum: int
    memory: int
    vcpus: int

    @classmethod
    def read(cls, domain: libvirt.virDomain, *, active: bool | None = None) -> Self:
        """Read the size from libvirt, without a call to QEMU.

        `active` says whether the domain runs; None: libvirt is asked.

        Bulk statistics of running domains call each QEMU, which takes up to 40 ms. For stopped
        domains without a balloon they differ from `info`.
        """
        if active is None:
            active = bool(domain.isActive())
        if not active and (size := cls.of(bulk_stats.of_one(domain, _SIZES))):
            return size
        _, maximum, memory, vcpus, *_ = domain.info()
        keys = ("balloon.maximum", "balloon.current", "vcpu.current")
        return cls.of(dict(zip(keys, (maximum, memory, vcpus), strict=True))) or cls(0, 0, 0)

    @classmethod
    def of(cls, answer: bulk_stats.Answer) -> Self | None:
        """Take the size from libvirt's statistics; None on the test hypervisor."""
        value = Value(answer, _UNLOGGED)
        maximum = value["balloon.maximum"].number(0, _MOST_KIB)
        memory = value["balloon.current"].number(0, _MOST_KIB)
        vcpus = value["vcpu.current"].number(0, INT32)
        if maximum is None or memory is None or vcpus is None:
            return None
        return cls(maximum, memory, vcpus)


# Sizes that are missing in bulk statistics are read one by one, without an entry in the log.
_UNLOGGED = Unlogged()
NO_SIZE = Size(0, 0, 0)


def stopped_sizes(connection: libvirt.virConnect) -> dict[str, Size]:
    """Return the sizes of all inactive domains; empty on the test hypervisor."""
    found = connection.getAllDomainStats(_SIZES, _INACTIVE | bulk_stats.NOWAIT)
    sizes = ((domain.UUIDString(), Size.of(answer)) for domain, answer in found)
    return {id: size for id, size in sizes if size is not None}


def flagged(connection: libvirt.virConnect, flag: int) -> set[str]:
    """Return the ids of the domains that a flag of listAllDomains selects."""
    return {domain.UUIDString() for domain in connection.listAllDomains(flag)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryFields:
    """All of a SUMMARY but the state, which changes rarely, and never without an event."""

    name: str
    transient: bool
    autostart: bool
    size: Size
    facts: XmlFacts

    @classmethod
    def read(cls, domain: libvirt.virDomain, view: FullView, omissions: Omissions) -> Self:
        """Read the fields of a domain."""
        id = domain.UUIDString()
        # A cached domain object may have an outdated name.
        domain = lookup(domain.connect(), id)
        return cls(
            name=omissions.attempt(id, "name", domain.name, ""),
            transient=domain.isPersistent() == 0,
            autostart=bool(domain.autostart()),
            size=Size.read(domain),
            facts=view.facts(domain),
        )

    def resource(self, id: str, state: ResourceState, detail: StateDetail) -> Resource:
        """Combine the fields with a state."""
        return Resource(
            id=id,
            kind=ResourceKind.DOMAIN,
            name=self.name,
            state=state,
            state_detail=detail,
            labels=self.facts.metadata.labels,
            create_time=self.facts.metadata.create_time,
            lifetime=Lifetime.TRANSIENT if self.transient else Lifetime.PERSISTENT,
            allowed_verbs=self._fewer_verbs(state),
            domain=Domain(
                memory_bytes=self.size.memory * KIB,
                max_memory_bytes=self.size.maximum * KIB,
                vcpus=self.size.vcpus,
                autostart=self.autostart,
            ),
        )

    def _fewer_verbs(self, state: ResourceState) -> tuple[Verb, ...]:
        if self.facts.obstacle is None:
            return ()
        return allowed_verbs(ResourceKind.DOMAIN, state, but={Verb.CREATE_SNAPSHOT})


def read_state(domain: libvirt.virDomain) -> tuple[ResourceState, StateDetail]:
    """Read the state of a domain."""
    state, reason = domain.state()
    # Only a stopped domain can have a saved state.
    saved = state == libvirt.VIR_DOMAIN_SHUTOFF and domain.hasManagedSaveImage() == 1
    return state_of(state, reason, saved=saved)


def state_from_stats(answer: Value, *, saved: bool) -> tuple[ResourceState, StateDetail]:
    """Take the state from libvirt's statistics."""
    state, reason = (answer[f"state.{part}"].number(-INT32) for part in ("state", "reason"))
    if state is None:
        return ResourceState.OTHER, StateDetail(message="libvirt tells no state")
    return state_of(state, reason or 0, saved=saved)

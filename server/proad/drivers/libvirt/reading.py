"""Reading domains: as a whole list with a handful of calls, or one, shortly or in full."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Self

import libvirt

from proad.drivers.libvirt import full_view, metadata, stats
from proad.drivers.libvirt.cache import EventCache
from proad.drivers.libvirt.errors import code_of, seek
from proad.drivers.libvirt.ledger import Ledger
from proad.drivers.libvirt.metadata import Metadata
from proad.drivers.libvirt.state import state_of
from proad.errors import ResourceNotFoundError
from proad.model import (
    Domain,
    Lifetime,
    Resource,
    ResourceKind,
    ResourceState,
    ResourceView,
    StateDetail,
)

KIB = 1024

_INACTIVE = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE
_SIZES = libvirt.VIR_DOMAIN_STATS_BALLOON | libvirt.VIR_DOMAIN_STATS_VCPU
_LONGEST_NAME = 1000  # libvirt has no limit, but its file system does
_GONE = frozenset({libvirt.VIR_ERR_NO_DOMAIN})


def lookup(connection: libvirt.virConnect, id: str) -> libvirt.virDomain:
    """Find a domain by its UUID.

    Raises:
        ResourceNotFoundError: there is none.
    """
    try:
        return seek(connection.lookupByUUIDString, id)
    except libvirt.libvirtError as error:
        # Our ids are UUIDs: what is none cannot be a domain's.
        if code_of(error) not in {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_ARG}:
            raise
    raise ResourceNotFoundError(id)


def find_id(connection: libvirt.virConnect, name: str) -> str:
    """Give the UUID of the domain of that name; empty where there is none."""
    if not name.isprintable() or len(name) > _LONGEST_NAME:
        return ""
    try:
        return str(seek(connection.lookupByName, name).UUIDString())
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_DOMAIN:
            raise
    return ""


@dataclass(frozen=True, slots=True)
class Size:
    """Memory in KiB and processors, as `virDomainInfo` has them."""

    maximum: int
    memory: int
    vcpus: int

    @classmethod
    def read(cls, domain: libvirt.virDomain) -> Self:
        """Ask libvirt, which asks no QEMU.

        In bulk it tells the sizes of running domains only after a question to each QEMU,
        which takes up to 40 ms; of stopped ones it tells something else in bulk than
        alone where they have no balloon.
        """
        if not domain.isActive() and (size := cls.of(stats.of_one(domain, _SIZES))):
            return size
        _, maximum, memory, vcpus, _ = domain.info()
        return cls(maximum, memory, vcpus)

    @classmethod
    def of(cls, told: stats.Answer) -> Self | None:
        """Take it out of libvirt's statistics; the test hypervisor has none of it."""
        if "balloon.maximum" not in told:
            return None
        keys = ("balloon.maximum", "balloon.current", "vcpu.current")
        return cls(*(int(told[key]) for key in keys))


def stopped_sizes(connection: libvirt.virConnect) -> dict[str, Size]:
    """Give the sizes of all inactive domains at once; of none on the test hypervisor."""
    found = connection.getAllDomainStats(_SIZES, _INACTIVE | stats.NOWAIT)
    sizes = ((domain.UUIDString(), Size.of(told)) for domain, told in found)
    return {id: size for id, size in sizes if size is not None}


def flagged(connection: libvirt.virConnect, flag: int) -> set[str]:
    """Give the ids of the domains that a flag of listAllDomains selects."""
    return {domain.UUIDString() for domain in connection.listAllDomains(flag)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notes:
    """All of a SUMMARY but the state: it changes rarely, and not without a hint."""

    name: str
    transient: bool
    autostart: bool
    size: Size
    metadata: Metadata

    @classmethod
    def read(cls, domain: libvirt.virDomain) -> Self:
        # The one that is asked may be an old acquaintance, renamed since.
        domain = lookup(domain.connect(), domain.UUIDString())
        return cls(
            name=domain.name(),
            transient=domain.isPersistent() == 0,
            autostart=bool(domain.autostart()),
            size=Size.read(domain),
            metadata=metadata.read(domain),
        )

    def resource(self, id: str, state: ResourceState, detail: StateDetail) -> Resource:
        """Put it together with a state."""
        return Resource(
            id=id,
            kind=ResourceKind.DOMAIN,
            name=self.name,
            state=state,
            state_detail=detail,
            labels=self.metadata.labels,
            create_time=self.metadata.create_time,
            lifetime=Lifetime.TRANSIENT if self.transient else Lifetime.PERSISTENT,
            domain=Domain(
                memory_bytes=self.size.memory * KIB,
                max_memory_bytes=self.size.maximum * KIB,
                vcpus=self.size.vcpus,
                autostart=self.autostart,
            ),
        )


class Reader:
    """Makes resources of domains; used on the driver's threads.

    Args:
        ledger: tells which volumes go with a domain.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._notes = EventCache(_Notes.read)
        self._states = EventCache(_state)

    def forget(self, id: str) -> None:
        """Read a domain anew next time: something happened to it."""
        self._notes.forget(id)
        self._states.forget(id)

    def forget_state(self, id: str) -> None:
        """Read the state of a domain anew next time, and take the rest as it is known."""
        self._states.forget(id)

    def forget_all(self) -> None:
        """Read everything anew: events may have been missed."""
        self._notes.forget_all()
        self._states.forget_all()

    def all(self, connection: libvirt.virConnect, view: ResourceView) -> list[Resource]:
        """Read all domains; a SUMMARY costs the same few calls for any number.

        Of running domains the size is as it was at their last hint.
        """
        if view is ResourceView.FULL:
            return list(self._in_full(connection.listAllDomains()))
        changes, before = self._notes.changes, self._states.changes
        states = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE)
        sizes = stopped_sizes(connection)
        saved = flagged(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
        autostart = flagged(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)
        transient = flagged(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT)
        ids = [domain.UUIDString() for domain, _ in states]
        self._notes.keep_only(ids)
        self._states.keep_only(ids)
        resources = []
        for domain, told in states:
            id = domain.UUIDString()
            known = self._notes.known(id)
            try:
                notes = _Notes(
                    name=domain.name(),
                    transient=id in transient,
                    autostart=id in autostart,
                    size=sizes.get(id) or (known.size if known else Size.read(domain)),
                    metadata=known.metadata if known else metadata.read(domain),
                )
            except libvirt.libvirtError as error:
                if code_of(error) not in _GONE:
                    raise
                continue
            if notes != known:
                self._notes.put(id, notes, changes)
            state = state_of(told["state.state"], told["state.reason"], saved=id in saved)
            self._states.put(id, state, before)
            resources.append(notes.resource(id, *state))
        return resources

    def one(self, domain: libvirt.virDomain, view: ResourceView) -> Resource:
        """Read one domain."""
        return self.full(domain) if view is ResourceView.FULL else self.summary(domain)

    def summary(self, domain: libvirt.virDomain) -> Resource:
        """Read what a list shows: the state from libvirt, the rest where it is not known."""
        changes = self._states.changes
        id, state = domain.UUIDString(), _state(domain)
        self._states.put(id, state, changes)
        return self._notes.get(domain).resource(id, *state)

    def glance(self, domain: libvirt.virDomain) -> Resource:
        """Give what a list shows, as it was at the last hint if it was read since."""
        return self._notes.get(domain).resource(domain.UUIDString(), *self._states.get(domain))

    def turned(
        self, domain: libvirt.virDomain, act: Callable[[], object], then: tuple[int, int]
    ) -> Resource:
        """Do what takes a domain to a state, and give a summary without reading it again.

        Args:
            domain: the domain.
            act: done once it returns.
            then: libvirt's state, of an active domain, and its reason.
        """
        changes = self._states.changes
        act()
        state = state_of(*then, saved=False)
        id = domain.UUIDString()
        self._states.change(id, state, changes)
        return self._notes.get(domain).resource(id, *state)

    def afresh(self, domain: libvirt.virDomain) -> Resource:
        """Read a summary after something that may have changed more than the state, and
        whose event is still under way.
        """
        self.forget(domain.UUIDString())
        return self.summary(domain)

    def full(self, domain: libvirt.virDomain, *, ask_guest: bool = True) -> Resource:
        """Read everything; without `ask_guest` only what cannot hang with the guest."""
        details, noted = full_view.read(domain, self._ledger, ask_guest=ask_guest)
        transient = domain.isPersistent() == 0
        state, detail = _state(domain)
        return Resource(
            id=domain.UUIDString(),
            kind=ResourceKind.DOMAIN,
            name=domain.name(),
            state=state,
            state_detail=detail,
            labels=noted.labels,
            create_time=noted.create_time,
            lifetime=Lifetime.TRANSIENT if transient else Lifetime.PERSISTENT,
            domain=replace(details, has_saved_state=state is ResourceState.SAVED),
        )

    def _in_full(self, domains: Iterable[libvirt.virDomain]) -> Iterable[Resource]:
        for domain in domains:
            try:
                yield self.full(domain)
            except libvirt.libvirtError as error:
                if code_of(error) not in _GONE:
                    raise


def _state(domain: libvirt.virDomain) -> tuple[ResourceState, StateDetail]:
    state, reason = domain.state()
    # Only one that does not run can have one, and a transient one never.
    saved = state == libvirt.VIR_DOMAIN_SHUTOFF and domain.hasManagedSaveImage() == 1
    return state_of(state, reason, saved=saved)

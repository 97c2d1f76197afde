"""Reading domains: as a whole list with a handful of calls, or one, shortly or in full."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import libvirt

from proad.drivers.libvirt.connections import bulk_stats
from proad.drivers.libvirt.connections.queries import GONE, is_fatal, lookup
from proad.drivers.libvirt.errors import code_of
from proad.drivers.libvirt.event_cache import EventCache
from proad.drivers.libvirt.full_view import Described, FullView
from proad.drivers.libvirt.snapshot_support import Obstacle
from proad.drivers.libvirt.state import state_of
from proad.drivers.libvirt.storage.catalog import VolumeCatalog
from proad.drivers.libvirt.xml.node import Node
from proad.drivers.tolerant import INT32, MOST, UINT32, Omissions, Value
from proad.model import (
    Domain,
    Lifetime,
    Resource,
    ResourceKind,
    ResourceState,
    ResourceView,
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
        if not domain.isActive() and (size := cls.of(bulk_stats.of_one(domain, _SIZES))):
            return size
        _, maximum, memory, vcpus, *_ = domain.info()
        keys = ("balloon.maximum", "balloon.current", "vcpu.current")
        return cls.of(dict(zip(keys, (maximum, memory, vcpus), strict=True))) or cls(0, 0, 0)

    @classmethod
    def of(cls, told: bulk_stats.Answer) -> Self | None:
        """Take it out of libvirt's statistics; the test hypervisor has none of it."""
        value = Value(told, UNTOLD)
        maximum = value["balloon.maximum"].number(0, _MOST_KIB)
        memory = value["balloon.current"].number(0, _MOST_KIB)
        vcpus = value["vcpu.current"].number(0, UINT32)
        if maximum is None or memory is None or vcpus is None:
            return None
        return cls(maximum, memory, vcpus)


# A size that libvirt does not tell in bulk is asked for, which is not worth a line in the log.
UNTOLD = Omissions("")
NO_SIZE = Size(0, 0, 0)


def stopped_sizes(connection: libvirt.virConnect) -> dict[str, Size]:
    """Give the sizes of all inactive domains at once; of none on the test hypervisor."""
    found = connection.getAllDomainStats(_SIZES, _INACTIVE | bulk_stats.NOWAIT)
    sizes = ((domain.UUIDString(), Size.of(told)) for domain, told in found)
    return {id: size for id, size in sizes if size is not None}


def flagged(connection: libvirt.virConnect, flag: int) -> set[str]:
    """Give the ids of the domains that a flag of listAllDomains selects."""
    return {domain.UUIDString() for domain in connection.listAllDomains(flag)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _SummaryFields:
    """All of a SUMMARY but the state: it changes rarely, and not without a hint."""

    name: str
    transient: bool
    autostart: bool
    size: Size
    described: Described

    @classmethod
    def read(cls, domain: libvirt.virDomain, view: FullView, omissions: Omissions) -> Self:
        id = domain.UUIDString()
        # The one that is asked may be an old acquaintance, renamed since.
        domain = lookup(domain.connect(), id)
        return cls(
            name=omissions.attempt(id, "name", domain.name, ""),
            transient=domain.isPersistent() == 0,
            autostart=bool(domain.autostart()),
            size=Size.read(domain),
            described=view.described(domain),
        )

    def resource(self, id: str, state: ResourceState, detail: StateDetail) -> Resource:
        """Put it together with a state."""
        return Resource(
            id=id,
            kind=ResourceKind.DOMAIN,
            name=self.name,
            state=state,
            state_detail=detail,
            labels=self.described.metadata.labels,
            create_time=self.described.metadata.create_time,
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
        if self.described.obstacle is None:
            return ()
        return allowed_verbs(ResourceKind.DOMAIN, state, but={Verb.CREATE_SNAPSHOT})


class DomainReader:
    """Makes resources of domains; used on the driver's threads.

    Args:
        catalog: tells which volumes go with a domain.
        omissions: told of what is unreadable.
    """

    def __init__(self, catalog: VolumeCatalog, omissions: Omissions) -> None:
        self._omissions = omissions
        self._full_view = FullView(catalog, omissions)
        self._fields = EventCache(
            partial(_SummaryFields.read, view=self._full_view, omissions=omissions)
        )
        self._states = EventCache(_state)

    def forget(self, id: str) -> None:
        """Read a domain anew next time: something happened to it."""
        self._fields.forget(id)
        self._states.forget(id)

    def forget_state(self, id: str) -> None:
        """Read the state of a domain anew next time, and take the rest as it is known."""
        self._states.forget(id)

    def forget_all(self) -> None:
        """Read everything anew: events may have been missed."""
        self._fields.forget_all()
        self._states.forget_all()

    def all(self, connection: libvirt.virConnect, view: ResourceView) -> list[Resource]:
        """Read all domains; a SUMMARY costs the same few calls for any number.

        Of running domains the size is as it was at their last hint.
        """
        if view is ResourceView.FULL:
            return list(self._in_full(connection.listAllDomains()))
        changes, before = self._fields.changes, self._states.changes
        states = connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE)
        sizes = stopped_sizes(connection)
        saved = flagged(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
        autostart = flagged(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)
        transient = flagged(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT)
        ids = [domain.UUIDString() for domain, _ in states]
        self._fields.keep_only(ids)
        self._states.keep_only(ids)
        resources = []
        for domain, told in states:
            id = domain.UUIDString()
            known = self._fields.known(id)
            fields = _SummaryFields(
                name=self._omissions.attempt(id, "name", domain.name, ""),
                transient=id in transient,
                autostart=id in autostart,
                size=sizes.get(id) or (known.size if known else NO_SIZE),
                described=known.described if known else Described(),
            )
            if fields.size == NO_SIZE or known is None:
                try:
                    fields = self._completed(domain, fields)
                except libvirt.libvirtError as error:
                    if code_of(error) in GONE:
                        continue
                    if is_fatal(error, connection):
                        raise
                    # It is shown without, and asked again with the next list.
                    self._omissions.note(id, "SUMMARY", "an answer", error)
                    known = fields
            if fields != known:
                self._fields.put(id, fields, changes)
            state = _told_state(Value(told, self._omissions, id), saved=id in saved)
            self._states.put(id, state, before)
            resources.append(fields.resource(id, *state))
        return resources

    def _completed(self, domain: libvirt.virDomain, fields: _SummaryFields) -> _SummaryFields:
        """Add what a list asks of each new domain."""
        return replace(
            fields,
            size=Size.read(domain) if fields.size == NO_SIZE else fields.size,
            described=self._full_view.described(domain),
        )

    def one(self, domain: libvirt.virDomain, view: ResourceView) -> Resource:
        """Read one domain."""
        return self.full(domain) if view is ResourceView.FULL else self.summary(domain)

    def summary(self, domain: libvirt.virDomain) -> Resource:
        """Read what a list shows: the state from libvirt, the rest where it is not known."""
        changes = self._states.changes
        id, state = domain.UUIDString(), _state(domain)
        self._states.put(id, state, changes)
        return self._fields.get(domain).resource(id, *state)

    def cached_summary(self, domain: libvirt.virDomain) -> Resource:
        """Give what a list shows, as it was at the last hint if it was read since."""
        return self._fields.get(domain).resource(domain.UUIDString(), *self._states.get(domain))

    def transition(
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
        return self._fields.get(domain).resource(id, *state)

    def refreshed_summary(self, domain: libvirt.virDomain) -> Resource:
        """Read a summary after something that may have changed more than the state, and
        whose event is still under way.
        """
        self.forget(domain.UUIDString())
        return self.summary(domain)

    def full(self, domain: libvirt.virDomain, *, ask_guest: bool = True) -> Resource:
        """Read everything; without `ask_guest` only what cannot hang with the guest.

        One whose XML cannot be read is given as a SUMMARY.
        """
        changes, id = self._fields.changes, domain.UUIDString()
        found = self._full_view.read(domain, ask_guest=ask_guest)
        if found is None:
            return self.refreshed_summary(domain)
        details, described = found
        fields = _SummaryFields(
            name=self._omissions.attempt(id, "name", domain.name, ""),
            transient=domain.isPersistent() == 0,
            autostart=details.autostart,
            size=Size.read(domain),
            described=described,
        )
        # What both views show is what was read last, by whichever of them.
        self._fields.put(id, fields, changes)
        state, detail = _state(domain)
        summary = fields.resource(id, state, detail)
        return replace(
            summary,
            domain=replace(
                details,
                memory_bytes=fields.size.memory * KIB,
                max_memory_bytes=fields.size.maximum * KIB,
                vcpus=fields.size.vcpus,
                has_saved_state=state is ResourceState.SAVED,
            ),
        )

    def obstacle(self, domain: libvirt.virDomain) -> Obstacle | None:
        """Return why a domain can have no snapshot now, read again."""
        return self._full_view.described(domain).obstacle

    def xml_of(self, domain: libvirt.virDomain) -> Node:
        """Return the XML of a domain; nothing where it cannot be read."""
        return self._full_view.xml_of(domain)

    def _in_full(self, domains: Iterable[libvirt.virDomain]) -> Iterable[Resource]:
        for domain in domains:
            try:
                yield self.full(domain)
            except libvirt.libvirtError as error:
                if code_of(error) in GONE:
                    continue
                if is_fatal(error, domain.connect()):
                    raise
                self._omissions.note(domain.UUIDString(), "FULL", "an answer", error)


def _state(domain: libvirt.virDomain) -> tuple[ResourceState, StateDetail]:
    state, reason = domain.state()
    # Only one that does not run can have one, and a transient one never.
    saved = state == libvirt.VIR_DOMAIN_SHUTOFF and domain.hasManagedSaveImage() == 1
    return state_of(state, reason, saved=saved)


def _told_state(told: Value, *, saved: bool) -> tuple[ResourceState, StateDetail]:
    state, reason = (told[f"state.{part}"].number(-INT32, INT32) for part in ("state", "reason"))
    if state is None:
        return ResourceState.OTHER, StateDetail(message="libvirt tells no state")
    return state_of(state, reason or 0, saved=saved)

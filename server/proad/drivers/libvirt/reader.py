"""Reads of domains: all with a few calls, or one; as SUMMARY or in full."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import libvirt

from proad.drivers.libvirt.connections.queries import GONE, is_fatal
from proad.drivers.libvirt.errors import code_of
from proad.drivers.libvirt.event_cache import EventCache
from proad.drivers.libvirt.full_view import FullView, XmlFacts
from proad.drivers.libvirt.host.virt import HostFacts
from proad.drivers.libvirt.snapshot_support import Obstacle
from proad.drivers.libvirt.state import state_of
from proad.drivers.libvirt.storage.catalog import VolumeCatalog
from proad.drivers.libvirt.summary_view import (
    KIB,
    NO_SIZE,
    Size,
    SummaryFields,
    flagged,
    read_state,
    state_from_stats,
    stopped_sizes,
)
from proad.drivers.libvirt.xml.node import Node
from proad.drivers.tolerant import Omissions, Value
from proad.model import (
    Resource,
    ResourceState,
    ResourceView,
)


@dataclass(frozen=True, slots=True)
class LastRead:
    """What the last reads of domains returned.

    Attributes:
        fields: of each domain that has had no event since.
        saved: ids of the domains in state SAVED.
    """

    fields: Mapping[str, SummaryFields]
    saved: frozenset[str]


class DomainReader:
    """Reads domains as resources; used on the driver's threads.

    Args:
        catalog: knows which volumes go with a domain.
        facts: returns the facts about the host that new domains depend on.
        omissions: records unreadable parts.
    """

    def __init__(
        self,
        catalog: VolumeCatalog,
        facts: Callable[[libvirt.virConnect], HostFacts],
        omissions: Omissions,
    ) -> None:
        self._omissions = omissions
        self._full_view = FullView(catalog, facts, omissions)
        self._fields = EventCache(
            partial(SummaryFields.read, view=self._full_view, omissions=omissions)
        )
        self._states = EventCache(read_state)

    def forget(self, id: str) -> None:
        """Invalidate what is cached of a domain."""
        self._fields.forget(id)
        self._states.forget(id)

    def forget_state(self, id: str) -> None:
        """Invalidate the cached state of a domain, and nothing else."""
        self._states.forget(id)

    def forget_all(self) -> None:
        """Invalidate everything: events may have been lost."""
        self._fields.forget_all()
        self._states.forget_all()

    def last_read(self) -> LastRead:
        """Return what the last reads of domains returned, for comparison with the engine."""
        return LastRead(
            fields=dict(self._fields.items()),
            saved=frozenset(
                id for id, (state, _) in self._states.items() if state is ResourceState.SAVED
            ),
        )

    def all(self, connection: libvirt.virConnect, view: ResourceView) -> list[Resource]:
        """Return all domains; a SUMMARY costs the same few calls for any number.

        The sizes of running domains are those at their last event.
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
        for domain, answer in states:
            id = domain.UUIDString()
            known = self._fields.known(id)
            fields = SummaryFields(
                name=self._omissions.attempt(id, "name", domain.name, ""),
                transient=id in transient,
                autostart=id in autostart,
                size=sizes.get(id) or (known.size if known else NO_SIZE),
                facts=known.facts if known else XmlFacts(),
            )
            if fields.size == NO_SIZE or known is None:
                try:
                    fields = self._completed(domain, fields)
                except libvirt.libvirtError as error:
                    if code_of(error) in GONE:
                        continue
                    if is_fatal(error, connection):
                        raise
                    # The domain is listed without them; the next list reads them again.
                    self._omissions.note(id, "SUMMARY", "an answer", error)
                    known = fields
            if fields != known:
                self._fields.put(id, fields, changes)
            state = state_from_stats(Value(answer, self._omissions, id), saved=id in saved)
            self._states.put(id, state, before)
            resources.append(fields.resource(id, *state))
        return resources

    def _completed(self, domain: libvirt.virDomain, fields: SummaryFields) -> SummaryFields:
        """Add what a list reads of each new domain."""
        return replace(
            fields,
            size=Size.read(domain) if fields.size == NO_SIZE else fields.size,
            facts=self._full_view.facts(domain),
        )

    def summary(self, domain: libvirt.virDomain) -> Resource:
        """Return a SUMMARY: the state from libvirt, the rest from the cache if valid."""
        changes = self._states.changes
        id, state = domain.UUIDString(), read_state(domain)
        self._states.put(id, state, changes)
        return self._fields.get(domain).resource(id, *state)

    def cached_summary(self, domain: libvirt.virDomain) -> Resource:
        """Return a SUMMARY from the cache; read from libvirt what has changed since."""
        return self._fields.get(domain).resource(domain.UUIDString(), *self._states.get(domain))

    def transition(
        self, domain: libvirt.virDomain, act: Callable[[], object], then: tuple[int, int]
    ) -> Resource:
        """Run a transition; return the SUMMARY after it without a further read.

        Args:
            domain: the domain.
            act: the transition, which is complete when it returns.
            then: libvirt's state after it, of an active domain, and the reason.
        """
        changes = self._states.changes
        act()
        state = state_of(*then, saved=False)
        id = domain.UUIDString()
        self._states.change(id, state, changes)
        return self._fields.get(domain).resource(id, *state)

    def refreshed_summary(self, domain: libvirt.virDomain) -> Resource:
        """Return a SUMMARY after a call whose event, not yet received, may be about more than
        the state.
        """
        self.forget(domain.UUIDString())
        return self.summary(domain)

    def full(self, domain: libvirt.virDomain, *, ask_guest: bool = True) -> Resource:
        """Return the FULL view; without `ask_guest`, make no call that waits for QEMU.

        `with_sizes` adds what is missing without such calls. A domain with unreadable XML is returned as a SUMMARY.
        """
        changes, id = self._fields.changes, domain.UUIDString()
        transient = domain.isPersistent() == 0
        found = self._full_view.read(domain, transient=transient, ask_guest=ask_guest)
        if found is None:
            return self.refreshed_summary(domain)
        details, facts = found
        fields = SummaryFields(
            name=self._omissions.attempt(id, "name", domain.name, ""),
            transient=transient,
            autostart=details.autostart,
            size=Size.read(domain, active=details.runtime_id > 0),
            facts=facts,
        )
        # Fields of both views are cached for both.
        self._fields.put(id, fields, changes)
        state, detail = read_state(domain)
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

    def with_sizes(self, domain: libvirt.virDomain, full: Resource) -> Resource:
        """Return a FULL view with the sizes that only QEMU may know; may wait for it."""
        if (details := full.domain) is None:
            return full
        disks = self._full_view.with_sizes(domain, details.disks)
        return replace(full, domain=replace(details, disks=disks))

    def obstacle(self, domain: libvirt.virDomain) -> Obstacle | None:
        """Return why snapshots of a domain are impossible now, read again; None: no reason."""
        return self._full_view.facts(domain).obstacle

    def xml_of(self, domain: libvirt.virDomain) -> Node:
        """Return the XML of a domain; an absent node if it is unreadable."""
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

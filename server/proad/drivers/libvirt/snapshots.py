"""Snapshots of domains; used on the driver's threads."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import libvirt
from lxml import etree

from proad.drivers.libvirt.errors import ENGINE, code_of, seek
from proad.drivers.libvirt.host.virt import is_test
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.transitions import guarded
from proad.drivers.libvirt.xml.domain_view import domain_of
from proad.drivers.libvirt.xml.node import Node
from proad.drivers.libvirt.xml.parser import parse, serialise
from proad.drivers.tolerant import Omissions
from proad.errors import AlreadyExistsError, CapabilityMissingError, SnapshotNotFoundError
from proad.model import (
    Footprint,
    ResourceState,
    RevertState,
    Snapshot,
    SnapshotSpec,
    Verb,
    refusal,
)

_STATES = {"running": ResourceState.RUNNING, "paused": ResourceState.PAUSED}
_REVERT = {
    None: 0,
    RevertState.RUNNING: libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING,
    RevertState.PAUSED: libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED,
}


def list_all(domain: libvirt.virDomain, omissions: Omissions) -> list[Snapshot]:
    """Return the snapshots of a domain, in any order; leave out those with unreadable names."""
    # libvirt's own order by age fails while a snapshot is being taken.
    id, current = domain.UUIDString(), _current(domain)
    found = (
        view_of(
            omissions.attempt(id, "snapshot", partial(_xml_of, snapshot), ""),
            id,
            current,
            omissions,
        )
        for snapshot in domain.listAllSnapshots()
    )
    return [snapshot for snapshot in found if snapshot.name]


def get(domain: libvirt.virDomain, name: str, omissions: Omissions) -> Snapshot:
    """Return one snapshot. Raise SnapshotNotFoundError."""
    snapshot, id = find(domain, name), domain.UUIDString()
    xml = omissions.attempt(id, "snapshot", partial(_xml_of, snapshot), "")
    if not xml:
        raise _not_found(domain, name)
    return replace(view_of(xml, id, _current(domain), omissions), name=name)


def find(domain: libvirt.virDomain, name: str) -> libvirt.virDomainSnapshot:
    """Return libvirt's object of a snapshot. Raise SnapshotNotFoundError."""
    try:
        return seek(domain.snapshotLookupByName, name)
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT:
            raise
    raise _not_found(domain, name)


def create(
    reader: DomainReader,
    domain: libvirt.virDomain,
    spec: SnapshotSpec,
    omissions: Omissions,
    announce: Callable[[Footprint], None],
) -> Snapshot:
    """Take a snapshot, with memory if the domain is active.

    Args:
        reader: reads the domain.
        domain: the domain.
        spec: the snapshot.
        omissions: notes what is unreadable.
        announce: called before the first change.

    Raises:
        AlreadyExistsError: the name is taken.
        CapabilityMissingError: snapshots of the domain are impossible now.
    """
    if error := refusal(Verb.CREATE_SNAPSHOT, reader.summary(domain)):
        raise error
    if lack := reader.obstacle(domain):
        raise CapabilityMissingError(lack.what, driver=ENGINE, hint=lack.way_out)
    now = datetime.now(UTC)
    name = spec.name or now.strftime("%Y%m%dT%H%M%S.%fZ")
    _refuse_taken(domain, name)
    announce(
        Footprint(
            mark=domain.UUIDString(),
            create_time=now,
            snapshot=name,
            named_by_caller=bool(spec.name),
        )
    )
    root = etree.Element("domainsnapshot")
    etree.SubElement(root, "name").text = name
    if spec.description:
        etree.SubElement(root, "description").text = spec.description
    xml = serialise(root)
    try:
        guarded(reader, domain, Verb.CREATE_SNAPSHOT, lambda: domain.snapshotCreateXML(xml))
    except libvirt.libvirtError as error:
        if code_of(error) in {libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_ERR_INTERNAL_ERROR}:
            _refuse_taken(domain, name)  # another client was faster
        raise
    return get(domain, name, omissions)


def revert(
    reader: DomainReader, domain: libvirt.virDomain, name: str, state: RevertState | None
) -> None:
    """Revert a domain to a snapshot."""
    if error := refusal(Verb.REVERT_SNAPSHOT, reader.summary(domain)):
        raise error
    snapshot = find(domain, name)

    def go_back() -> None:
        try:
            domain.revertToSnapshot(snapshot, _REVERT[state])
        except libvirt.libvirtError as error:
            # libvirt requires force if QEMU has to be restarted, which loses no more than any
            # revert does. That is different if the snapshot lacks the domain's configuration.
            risky = code_of(error) == libvirt.VIR_ERR_SNAPSHOT_REVERT_RISKY
            if not risky or not _knows_its_domain(snapshot):
                raise
            flags = _REVERT[state] | libvirt.VIR_DOMAIN_SNAPSHOT_REVERT_FORCE
            domain.revertToSnapshot(snapshot, flags)

    guarded(reader, domain, Verb.REVERT_SNAPSHOT, go_back)
    # The next start would restore memory that does not belong to these disks.
    if domain.isPersistent() and domain.hasManagedSaveImage():
        domain.managedSaveRemove()
    if state is not None:
        _bring_to(domain, state)


def delete(reader: DomainReader, domain: libvirt.virDomain, name: str, *, children: bool) -> None:
    """Delete a snapshot, and with `children` those taken after it."""
    if error := refusal(Verb.DELETE_SNAPSHOT, reader.summary(domain)):
        raise error
    snapshot = find(domain, name)
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN if children else 0
    guarded(reader, domain, Verb.DELETE_SNAPSHOT, lambda: snapshot.delete(flags))


def view_of(
    xml: str, resource_id: str, current: str, omissions: Omissions | None = None
) -> Snapshot:
    """Convert libvirt's XML of a snapshot; without a name it is unreadable."""
    root = Node.of(xml, omissions, resource_id)
    name, machine = root.first("name").content().text(), root.first("domain").element
    has_memory = root.first("memory").attribute("snapshot").text() not in {"", "no"}
    state = _STATES.get(root.first("state").content().text(), ResourceState.STOPPED)
    return Snapshot(
        name=name,
        resource_id=resource_id,
        description=root.first("description").content().text(),
        create_time=root.first("creationTime").content().timestamp(),
        state=state if has_memory else ResourceState.STOPPED,
        has_memory=has_memory,
        parent=root.first("parent/name").content().text(),
        current=name == current,
        # One of an old libvirt, or of another program, has no domain.
        charge=None if machine is None else domain_of(machine).charge,
    )


def _bring_to(domain: libvirt.virDomain, state: RevertState) -> None:
    """Bring a domain into the requested state after a revert."""
    active = domain.isActive()
    if state is RevertState.PAUSED and not active:
        if is_test(domain.connect()):  # knows no flags
            domain.create()
            domain.suspend()
        else:
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    elif state is RevertState.RUNNING and not active:
        domain.create()
    elif state is RevertState.RUNNING and domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
        domain.resume()


def _not_found(domain: libvirt.virDomain, name: str) -> SnapshotNotFoundError:
    whose = domain.UUIDString()
    with suppress(UnicodeError, SystemError):  # the name may be no UTF-8
        whose = domain.name()
    return SnapshotNotFoundError(name, detail=f"of {whose!r}")


def _current(domain: libvirt.virDomain) -> str:
    try:
        return str(seek(domain.snapshotCurrent).getName())
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT:
            raise
    return ""


def _xml_of(snapshot: libvirt.virDomainSnapshot) -> str:
    """Return libvirt's XML of a snapshot; empty if it was deleted a moment ago."""
    try:
        return str(snapshot.getXMLDesc())
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT:
            raise
    return ""


def _refuse_taken(domain: libvirt.virDomain, name: str) -> None:
    with suppress(SnapshotNotFoundError):
        find(domain, name)
        raise AlreadyExistsError("snapshot", name)


def _knows_its_domain(snapshot: libvirt.virDomainSnapshot) -> bool:
    return parse(snapshot.getXMLDesc()).find("domain/devices") is not None

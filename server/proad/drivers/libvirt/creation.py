"""Making domains, all or nothing; used on the driver's threads."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import libvirt
from lxml import etree

from proad.core.ports import OnMade
from proad.drivers.libvirt.domain_xml import Parts, Source, disk_targets, domain_xml
from proad.drivers.libvirt.errors import BAD_XML, code_of, seek, text_of
from proad.drivers.libvirt.metadata import Metadata, in_domain
from proad.drivers.libvirt.reading import lookup
from proad.drivers.libvirt.rollback import Rollback
from proad.drivers.libvirt.storage import Storage, view_of
from proad.drivers.libvirt.virt import HostFacts, is_test
from proad.drivers.libvirt.xml import parse, serialise
from proad.errors import AlreadyExistsError, InvalidArgumentError
from proad.model import (
    CdromSpec,
    DiskFormat,
    DiskSpec,
    DomainSpec,
    DomainXml,
    Lifetime,
    NewDisk,
    VolumeSpec,
)


class _Identity(NamedTuple):
    """What a domain to be is found by, and who is to know before it is there."""

    name: str
    id: str
    on_made: OnMade


class Creation:
    """Makes domains of typed values or of XML.

    Args:
        storage: where volumes are found and made.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        # Between the look whether a name is free and its definition nobody else of us
        # may define: libvirt would take that for a change of the same domain.
        self._defining = threading.Lock()

    def from_spec(
        self,
        connection: libvirt.virConnect,
        spec: DomainSpec,
        host: HostFacts,
        rollback: Rollback,
        *,
        start: bool,
        on_made: OnMade,
    ) -> libvirt.virDomain:
        """Make a domain and its new volumes; `ports.Domains.create_domain` says more."""
        id = spec.uuid or str(uuid.uuid4())
        refuse_taken(connection, spec.name, id)
        sources = tuple(
            self._source(connection, spec, disk, target, id, rollback)
            for disk, target in zip(spec.effective_disks, disk_targets(spec), strict=True)
        )
        parts = Parts(
            uuid=id,
            disks=sources,
            cdrom=self._medium(connection, spec.cdrom) if spec.cdrom is not None else None,
            metadata=Metadata(labels=spec.labels, create_time=datetime.now(UTC)),
        )
        xml = serialise(domain_xml(spec, parts, host))
        define = self._transient if spec.lifetime is Lifetime.TRANSIENT else self._persistent
        domain = define(connection, xml, _Identity(spec.name, id, on_made), rollback, start)
        if spec.autostart:
            domain.setAutostart(1)
        return domain

    def from_xml(
        self,
        connection: libvirt.virConnect,
        source: DomainXml,
        rollback: Rollback,
        *,
        start: bool,
        on_made: OnMade,
    ) -> libvirt.virDomain:
        """Make a domain of XML; `ports.Domains.create_domain_from_xml` says more."""
        root = parse_domain(source.xml)
        name = root.findtext("name", "").strip()
        id = _uuid_of(root)
        refuse_taken(connection, name, id)
        note_creation(root)
        define = self._transient if source.lifetime is Lifetime.TRANSIENT else self._persistent
        try:
            identity = _Identity(name, id, on_made)
            return define(connection, serialise(root), identity, rollback, start)
        except libvirt.libvirtError as error:
            if code_of(error) in BAD_XML:
                raise InvalidArgumentError.of("xml", text_of(error)) from None
            raise

    def _persistent(
        self,
        connection: libvirt.virConnect,
        xml: str,
        identity: "_Identity",
        rollback: Rollback,
        start: bool,  # noqa: FBT001 - always passed on
    ) -> libvirt.virDomain:
        domain = self._define(
            identity,
            connection,
            lambda: connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE),
        )
        id = domain.UUIDString()
        rollback.on_failure(f"domain {identity.name}", lambda again: _undefine(lookup(again, id)))
        if start:
            domain.create()
            rollback.on_failure(
                f"running domain {identity.name}", lambda again: lookup(again, id).destroy()
            )
        return domain

    def _transient(
        self,
        connection: libvirt.virConnect,
        xml: str,
        identity: "_Identity",
        rollback: Rollback,
        _start: bool,  # noqa: FBT001 - it exists only while it runs
    ) -> libvirt.virDomain:
        domain = self._define(
            identity,
            connection,
            lambda: connection.createXML(xml, libvirt.VIR_DOMAIN_START_VALIDATE),
        )
        id = domain.UUIDString()
        rollback.on_failure(f"domain {identity.name}", lambda again: lookup(again, id).destroy())
        return domain

    def _define(
        self,
        identity: "_Identity",
        connection: libvirt.virConnect,
        define: Callable[[], libvirt.virDomain],
    ) -> libvirt.virDomain:
        with self._defining:
            refuse_taken(connection, identity.name, identity.id)
            identity.on_made(identity.id)
            try:
                return define()
            except libvirt.libvirtError:
                refuse_taken(connection, identity.name, identity.id)  # another client was quicker
                raise

    def _source(
        self,
        connection: libvirt.virConnect,
        spec: DomainSpec,
        disk: DiskSpec,
        target: str,
        owner: str,
        rollback: Rollback,
    ) -> Source:
        if disk.new_volume is None:
            assert disk.volume is not None  # noqa: S101 - the model checks it
            return _source_of(self._storage.volume(connection, disk.volume))
        volume = self._storage.create(
            connection, new_volume(spec.name, target, disk.new_volume), rollback, owner=owner
        )
        return _source_of(volume)

    def _medium(self, connection: libvirt.virConnect, cdrom: CdromSpec) -> Source | None:
        if cdrom.volume is not None:
            return _source_of(self._storage.volume(connection, cdrom.volume))
        return Source(path=cdrom.path) if cdrom.path is not None else None


def new_volume(domain: str, target: str, disk: NewDisk) -> VolumeSpec:
    """Say what volume a new disk is, named after domain and target unless it has a name."""
    return VolumeSpec(
        pool=disk.pool,
        name=disk.volume_name or f"{domain}-{target}.{disk.format.lower()}",
        capacity_bytes=disk.capacity_bytes,
        format=disk.format,
        base=disk.base,
    )


def parse_domain(xml: str) -> etree._Element:
    """Parse XML from a caller.

    Raises:
        InvalidArgumentError: it is not well-formed, has a DOCTYPE, or is no domain.
    """
    try:
        root = parse(xml)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InvalidArgumentError.of("xml", f"is not well-formed XML: {error}") from None
    if root.getroottree().docinfo.doctype:
        raise InvalidArgumentError.of("xml", "must not have a DOCTYPE")
    if root.tag != "domain":
        raise InvalidArgumentError.of("xml", f"must be a <domain>, not <{root.tag!s}>")
    if not root.findtext("name", "").strip():
        raise InvalidArgumentError.of("xml", "has no <name>")
    return root


def _uuid_of(root: etree._Element) -> str:
    """Give the UUID that a domain's XML asks for, as libvirt writes it; one of ours if none."""
    element = root.find("uuid")
    if element is None:
        element = etree.SubElement(root, "uuid")
        element.text = str(uuid.uuid4())
    text = (element.text or "").strip()
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return text  # libvirt's to complain about


def note_creation(root: etree._Element) -> None:
    """Put our notes into a domain's XML: its labels, and when it was made."""
    noted = in_domain(root)
    metadata = replace(Metadata.of(noted), create_time=datetime.now(UTC))
    place = root.find("metadata")
    if place is None:
        place = etree.SubElement(root, "metadata")
    if noted is not None:
        place.remove(noted)
    place.append(metadata.element())


def refuse_taken(connection: libvirt.virConnect, name: str, id: str) -> None:
    """Raise AlreadyExistsError if a domain has this name or UUID.

    libvirt's define would silently change one that has both.
    """
    for what, look, value in (
        ("domain", connection.lookupByName, name),
        ("domain", connection.lookupByUUIDString, id),
    ):
        if not value:
            continue
        try:
            existing = seek(look, value)
        except libvirt.libvirtError as error:
            # A UUID that is none is libvirt's to complain about.
            if code_of(error) in {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_ARG}:
                continue
            raise
        raise AlreadyExistsError(what, value, existing_id=existing.UUIDString())


def _source_of(volume: libvirt.virStorageVol) -> Source:
    view = view_of(volume, "")
    return Source(
        path=view.path,
        format=view.format or DiskFormat.RAW,
        block=volume.info()[0] == libvirt.VIR_STORAGE_VOL_BLOCK,
    )


def _undefine(domain: libvirt.virDomain) -> None:
    domain.undefineFlags(0 if is_test(domain.connect()) else libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)

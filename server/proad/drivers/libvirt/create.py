"""Creation of domains, all or nothing; used on the driver's threads."""

import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import libvirt
from lxml import etree

from proad.domain_parser import parse_domain, read_sources_of, sources_of
from proad.drivers.libvirt import serial_log
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.connections.queries import lookup
from proad.drivers.libvirt.errors import ENGINE, code_of, seek, values_of
from proad.drivers.libvirt.host import domain_capabilities
from proad.drivers.libvirt.host.host import LibvirtHost
from proad.drivers.libvirt.host.virt import HostFacts, is_test
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.rollback import Rollback, all_or_nothing
from proad.drivers.libvirt.storage import nvram
from proad.drivers.libvirt.storage.disk_images import DiskImages
from proad.drivers.libvirt.storage.disk_sources import DiskSources
from proad.drivers.libvirt.storage.media import Media, check_files
from proad.drivers.libvirt.storage.storage import PreparedVolume, Storage
from proad.drivers.libvirt.xml import metadata
from proad.drivers.libvirt.xml.domain_view import domain_of
from proad.drivers.libvirt.xml.domain_xml import Parts, Source, domain_xml
from proad.drivers.libvirt.xml.metadata import NAMESPACE, Metadata, in_domain
from proad.drivers.libvirt.xml.parser import serialise
from proad.drivers.threads import from_thread
from proad.drivers.under_way import CreatesUnderWay
from proad.errors import AlreadyExistsError, EngineConflictError, Findings, Violation
from proad.model import DomainSpec, DomainXml, Footprint, Lifetime, Resource
from proad.ports import AnnounceFootprint, JudgeXml


class _Identity(NamedTuple):
    """The identity of a domain under creation.

    Attributes:
        name: its name, which was free.
        id: its UUID, which was free.
        create_time: written into its metadata, to the microsecond; a domain with another time
            was defined by somebody else.
        since: when this call began; None: the UUID is new, so that no domain ever had it.
    """

    name: str
    id: str
    create_time: datetime
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Create:
    """A create under way.

    Attributes:
        connection: to libvirt.
        host: facts about the host.
        rollback: gets the undo of each step.
        judge: judges the XML before the first step.
        start: whether the domain is to be started.
    """

    connection: libvirt.virConnect
    host: HostFacts
    rollback: Rollback
    judge: Callable[[str, Sequence[Violation]], None]
    start: bool


class DomainCreator:
    """Creates domains from typed values or from XML.

    Args:
        connection: to libvirt.
        reader: reads the created domain.
        host: has the facts about the host.
        storage: finds and creates volumes.
        media: checks media that are named by a path.
        images: inspects the images of disks in XML.
        under_way: has the creates that are under way.
    """

    def __init__(
        self,
        connection: Connection,
        reader: DomainReader,
        host: LibvirtHost,
        storage: Storage,
        media: Media,
        images: DiskImages,
        under_way: CreatesUnderWay,
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._host = host
        self._storage = storage
        self._media = media
        self._images = images
        self._under_way = under_way
        # Serialises the check of name and UUID with the definition: libvirt takes a second
        # definition for an update of the first.
        self._defining = threading.Lock()

    async def from_spec(
        self, spec: DomainSpec, *, start: bool, announce: AnnounceFootprint, judge: JudgeXml
    ) -> Resource:
        """Create a domain and its new volumes; see `ports.Domains.create_domain`."""
        make = partial(self._from_spec, spec)
        return await self._run(make, start=start, announce=announce, judge=judge)

    async def from_xml(
        self, source: DomainXml, *, start: bool, announce: AnnounceFootprint, judge: JudgeXml
    ) -> Resource:
        """Create a domain from XML; see `ports.Domains.create_domain_from_xml`."""
        make = partial(self._from_xml, source)
        return await self._run(make, start=start, announce=announce, judge=judge)

    async def _run(
        self,
        make: Callable[[_Create], libvirt.virDomain],
        *,
        start: bool,
        announce: AnnounceFootprint,
        judge: JudgeXml,
    ) -> Resource:
        judged = from_thread(judge)

        def run(connection: libvirt.virConnect, rollback: Rollback) -> Resource:
            create = _Create(
                connection=connection,
                host=self._host.facts(connection),
                rollback=rollback,
                judge=judged,
                start=start,
            )
            domain = make(create)
            # An earlier domain may have had the same UUID a moment ago.
            self._reader.forget(domain.UUIDString())
            return self._reader.full(domain)

        return await all_or_nothing(
            self._connection, run, announce=announce, under_way=self._under_way
        )

    def _from_spec(self, spec: DomainSpec, create: _Create) -> libvirt.virDomain:
        connection, host = create.connection, create.host
        id = spec.uuid or str(uuid.uuid4())
        since = datetime.now(UTC) if spec.uuid else None
        findings = Findings()
        with findings.noted():
            refuse_taken(connection, spec.name, id)
        with findings.noted():
            domain_capabilities.check_spec(connection, spec, host)
        with DiskSources(self._storage, self._media, connection, host) as sources:
            with findings.noted():
                cdroms = sources.media(spec)
            with findings.noted():
                prepared = sources.prepare(spec)
            findings.check()
            now = datetime.now(UTC)
            notes = Metadata(labels=spec.labels, create_time=now)
            plans = tuple(
                each if isinstance(each, Source) else each.source(self._storage.find, connection)
                for each in prepared
            )
            planned = Parts(uuid=id, disks=plans, cdroms=cdroms, metadata=notes)
            create.judge(serialise(domain_xml(spec, planned, host)), ())
            volumes = (each for each in prepared if isinstance(each, PreparedVolume))
            create.rollback.begin(
                Footprint(
                    mark=id,
                    create_time=now,
                    start=create.start,
                    autostart=spec.autostart,
                    vcpus=spec.vcpus,
                    memory_bytes=spec.memory_bytes,
                    volumes=tuple(each.planned(self._storage.find) for each in volumes),
                )
            )
            disks = sources.create(prepared, create.rollback, id)
            parts = Parts(uuid=id, disks=disks, cdroms=cdroms, metadata=notes)
            root = domain_xml(spec, parts, host)
            with values_of("spec"):
                domain = self._define(
                    create, root, _Identity(spec.name, id, now, since), spec.lifetime
                )
        if spec.autostart:
            domain.setAutostart(1)
        return domain

    def _from_xml(self, source: DomainXml, create: _Create) -> libvirt.virDomain:
        connection = create.connection
        given = parse_domain(source.xml)
        refuse_taken(connection, given.name, given.id)
        serial_log.remove(given.root)  # of the domain that the XML was taken from
        self._storage.chains.check_xml(connection, given.root)
        check_files(connection, given.root, create.host)
        found = self._images.complete(connection, given.root)
        create.judge(etree.tostring(given.root, encoding="unicode"), found)
        now = datetime.now(UTC)
        identity = _Identity(given.name, given.id, now, now)
        sources = given.root.iter("source")
        paths = [path for each in sources if (path := each.get("file") or each.get("dev"))]
        view = domain_of(given.root)
        create.rollback.begin(
            Footprint(
                mark=given.id,
                create_time=now,
                start=create.start,
                vcpus=view.vcpus,
                memory_bytes=view.max_memory_bytes,
                sources=tuple(sources_of(given.root)),
                read_sources=tuple(read_sources_of(given.root)),
            )
        )
        with values_of("xml", whole=True), self._storage.reservations.reserve(paths):
            return self._define(create, given.root, identity, source.lifetime)

    def _define(
        self, create: _Create, root: etree._Element, identity: _Identity, lifetime: Lifetime
    ) -> libvirt.virDomain:
        write_metadata(root, identity.create_time)
        serial_log.add(create.connection, root, identity.id)
        if lifetime is Lifetime.TRANSIENT:
            return self._transient(create, root, identity)
        return self._persistent(create, root, identity)

    def _persistent(
        self, create: _Create, root: etree._Element, identity: _Identity
    ) -> libvirt.virDomain:
        connection, rollback = create.connection, create.rollback
        found = bool(nvram.stated(root))
        variables = nvram.pin(connection, root, identity.id)
        keep = bool(variables) and nvram.is_there(connection, variables, unseen=found)
        domain = self._exclusively(
            create,
            identity,
            lambda: connection.defineXMLFlags(serialise(root), libvirt.VIR_DOMAIN_DEFINE_VALIDATE),
        )
        undefine = partial(_undefine, identity, keep_variables=keep)
        rollback.on_failure(f"domain {identity.name}", undefine)
        if create.start:
            domain.create()
            rollback.on_failure(
                f"running domain {identity.name}", partial(_end, identity, domain.ID())
            )
        return domain

    def _transient(
        self, create: _Create, root: etree._Element, identity: _Identity
    ) -> libvirt.virDomain:
        connection = create.connection
        domain = self._exclusively(
            create,
            identity,
            lambda: connection.createXML(serialise(root), libvirt.VIR_DOMAIN_START_VALIDATE),
        )
        end = partial(_end, identity, domain.ID())
        create.rollback.on_failure(f"domain {identity.name}", end)
        return domain

    def _exclusively(
        self, create: _Create, identity: _Identity, define: Callable[[], libvirt.virDomain]
    ) -> libvirt.virDomain:
        """Define a domain whose name and UUID are free."""
        connection = create.connection
        with self._defining:
            refuse_taken(connection, identity.name, identity.id)
            if identity.since is not None:
                self._storage.disown(connection, identity.id, before=identity.since)
            try:
                return define()
            except libvirt.libvirtError:
                refuse_taken(connection, identity.name, identity.id)  # another client was faster
                raise


def write_metadata(root: etree._Element, now: datetime) -> None:
    """Write our metadata into a caller's domain; keep nothing but labels of what it has."""
    ours = Metadata(labels=Metadata.of(in_domain(root)).labels, create_time=now)
    etree.strip_elements(root, f"{{{NAMESPACE}}}*", with_tail=False)
    place = root.find("metadata")
    if place is None:
        place = etree.SubElement(root, "metadata")
    place.append(ours.element())


def refuse_taken(connection: libvirt.virConnect, name: str, id: str) -> None:
    """Raise AlreadyExistsError if a domain has this name or UUID.

    libvirt's define would silently change a domain that has both.
    """
    existing = _found(connection.lookupByName, name)
    if existing is not None:
        raise AlreadyExistsError("domain", name, existing_id=existing.UUIDString())
    if _found(connection.lookupByUUIDString, id) is not None:
        raise AlreadyExistsError.of_an_id("domain", id)


def _found(look: Callable[[str], libvirt.virDomain], value: str) -> libvirt.virDomain | None:
    try:
        return seek(look, value)
    except libvirt.libvirtError as error:
        if code_of(error) == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def _undefine(made: _Identity, connection: libvirt.virConnect, *, keep_variables: bool) -> None:
    """Undo a definition of ours, unless the domain runs."""
    domain = lookup(connection, made.id)
    if metadata.read(domain).create_time != made.create_time:
        return
    if domain.isActive():
        raise EngineConflictError(ENGINE, "somebody else has started it")
    if is_test(connection):
        domain.undefine()
    elif keep_variables:  # they existed before
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM)
    else:
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    serial_log.delete(made.id)


def _end(made: _Identity, runtime_id: int, connection: libvirt.virConnect) -> None:
    """Undo a start: kill that run, and no later one."""
    domain = lookup(connection, made.id)
    if domain.ID() == runtime_id and metadata.read(domain).create_time == made.create_time:
        domain.destroy()

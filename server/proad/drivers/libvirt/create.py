"""Creation of domains, all or nothing; used on the driver's threads."""

import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import libvirt
from lxml import etree

from proad.drivers.domain_parser import parse_domain
from proad.drivers.libvirt.connections.queries import lookup
from proad.drivers.libvirt.errors import ENGINE, code_of, seek, values_of
from proad.drivers.libvirt.host import domain_capabilities
from proad.drivers.libvirt.host.emulator import drop_emulator
from proad.drivers.libvirt.host.virt import HostFacts, is_local, is_test
from proad.drivers.libvirt.rollback import Rollback
from proad.drivers.libvirt.storage import nvram
from proad.drivers.libvirt.storage.image_files import is_block
from proad.drivers.libvirt.storage.media import Media, check_files, check_volume
from proad.drivers.libvirt.storage.storage import Storage
from proad.drivers.libvirt.xml import metadata
from proad.drivers.libvirt.xml.domain_xml import Parts, Source, disk_targets, domain_xml
from proad.drivers.libvirt.xml.metadata import NAMESPACE, Metadata, in_domain
from proad.drivers.libvirt.xml.parser import serialise
from proad.errors import AlreadyExistsError, EngineConflictError
from proad.model import (
    CdromSpec,
    DiskFormat,
    DomainSpec,
    DomainXml,
    Lifetime,
    NewDisk,
    VolumeSpec,
)
from proad.ports import OnMade
from proad.ports.records import Layer


class _Identity(NamedTuple):
    """The identity of a domain under creation.

    Attributes:
        name: its name, which was free.
        id: its UUID, which was free.
        create_time: written into its metadata, to the microsecond; a domain with another time
            was defined by somebody else.
        on_made: called with the UUID before the domain exists.
        since: when this call began; None: the UUID is new, so that no domain ever had it.
    """

    name: str
    id: str
    create_time: datetime
    on_made: OnMade
    since: datetime | None


class DomainCreator:
    """Creates domains from typed values or from XML.

    Args:
        storage: finds and creates volumes.
        media: checks media that are named by a path.
    """

    def __init__(self, storage: Storage, media: Media) -> None:
        self._storage = storage
        self._media = media
        # Serialises the check of name and UUID with the definition: libvirt takes a second
        # definition for an update of the first.
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
        """Create a domain and its new volumes; see `ports.Domains.create_domain`."""
        id = spec.uuid or str(uuid.uuid4())
        since = datetime.now(UTC) if spec.uuid else None
        refuse_taken(connection, spec.name, id)
        domain_capabilities.check_spec(connection, spec, host)
        cdrom = self._medium(connection, spec.cdrom, host) if spec.cdrom is not None else None
        with ExitStack() as held:
            sources = tuple(
                self._source(connection, spec, number, target, id, host, rollback, held)
                for number, target in enumerate(disk_targets(spec))
            )
            now = datetime.now(UTC)
            parts = Parts(
                uuid=id,
                disks=sources,
                cdrom=cdrom,
                metadata=Metadata(labels=spec.labels, create_time=now),
            )
            root = domain_xml(spec, parts, host)
            define = self._transient if spec.lifetime is Lifetime.TRANSIENT else self._persistent
            identity = _Identity(spec.name, id, now, on_made, since)
            with values_of("spec"):
                domain = define(connection, root, identity, rollback, start)
        if spec.autostart:
            domain.setAutostart(1)
        return domain

    def from_xml(
        self,
        connection: libvirt.virConnect,
        source: DomainXml,
        host: HostFacts,
        rollback: Rollback,
        *,
        start: bool,
        on_made: OnMade,
    ) -> libvirt.virDomain:
        """Create a domain from XML; see `ports.Domains.create_domain_from_xml`."""
        given = parse_domain(source.xml)
        refuse_taken(connection, given.name, given.id)
        drop_emulator(connection, given.root)
        self._storage.chains.check_xml(connection, given.root)
        check_files(connection, given.root, host)
        now = datetime.now(UTC)
        write_metadata(given.root, now)
        identity = _Identity(given.name, given.id, now, on_made, now)
        define = self._transient if source.lifetime is Lifetime.TRANSIENT else self._persistent
        sources = given.root.iter("source")
        paths = [path for each in sources if (path := each.get("file") or each.get("dev"))]
        with values_of("xml", whole=True), self._storage.reservations.reserve(paths):
            return define(connection, given.root, identity, rollback, start)

    def _persistent(
        self,
        connection: libvirt.virConnect,
        root: etree._Element,
        identity: "_Identity",
        rollback: Rollback,
        start: bool,  # noqa: FBT001 - always passed on
    ) -> libvirt.virDomain:
        found = bool(nvram.stated(root))
        variables = nvram.pin(connection, root, identity.id)
        keep = bool(variables) and nvram.is_there(connection, variables, unseen=found)
        xml = serialise(root)
        domain = self._define(
            identity,
            connection,
            lambda: connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE),
        )
        undefine = partial(_undefine, identity, keep_variables=keep)
        rollback.on_failure(f"domain {identity.name}", undefine)
        if start:
            domain.create()
            rollback.on_failure(
                f"running domain {identity.name}", partial(_end, identity, domain.ID())
            )
        return domain

    def _transient(
        self,
        connection: libvirt.virConnect,
        root: etree._Element,
        identity: "_Identity",
        rollback: Rollback,
        _start: bool,  # noqa: FBT001 - a transient domain exists only while it runs
    ) -> libvirt.virDomain:
        domain = self._define(
            identity,
            connection,
            lambda: connection.createXML(serialise(root), libvirt.VIR_DOMAIN_START_VALIDATE),
        )
        rollback.on_failure(f"domain {identity.name}", partial(_end, identity, domain.ID()))
        return domain

    def _define(
        self,
        identity: "_Identity",
        connection: libvirt.virConnect,
        define: Callable[[], libvirt.virDomain],
    ) -> libvirt.virDomain:
        with self._defining:
            refuse_taken(connection, identity.name, identity.id)
            if identity.since is not None:
                self._storage.disown(connection, identity.id, before=identity.since)
            identity.on_made(identity.id)
            try:
                return define()
            except libvirt.libvirtError:
                refuse_taken(connection, identity.name, identity.id)  # another client was faster
                raise

    def _source(
        self,
        connection: libvirt.virConnect,
        spec: DomainSpec,
        number: int,
        target: str,
        owner: str,
        host: HostFacts,
        rollback: Rollback,
        held: ExitStack,
    ) -> Source:
        disk, field = spec.effective_disks[number], f"spec.disks[{number}]"
        layers = self._storage.chains
        if disk.new_volume is None:
            assert disk.volume is not None  # noqa: S101 - the model checks it
            volume = held.enter_context(self._storage.reserved(connection, disk.volume))
            format = layers.format_of(connection, volume, disk.stated_format, f"{field}.format")
            field = f"{field}.volume"
        else:
            new = new_volume(spec.name, target, disk.new_volume)
            field = f"{field}.new_volume"
            volume = self._storage.create(connection, new, rollback, owner=owner, message=field)
            field = f"{field}.base"
            held.enter_context(self._storage.reservations.reserve([volume.path()]))
            format = new.format
        check_volume(connection, volume.path(), host, field=f"spec.disks[{number}]")
        below = layers.backing_chain(connection, volume, format, field)
        return _source_of(volume, format, below)

    def _medium(
        self, connection: libvirt.virConnect, cdrom: CdromSpec, host: HostFacts
    ) -> Source | None:
        if cdrom.volume is not None:
            volume = self._storage.find.volume(connection, cdrom.volume)
            check_volume(connection, volume.path(), host, field="spec.cdrom.volume")
            return _source_of(volume, DiskFormat.RAW)
        if cdrom.path is None:
            return None
        path = self._media.checked(connection, cdrom.path, host, field="spec.cdrom.path")
        return Source(path=path, keeps_owner=host.qemu_user is not None)


def new_volume(domain: str, target: str, disk: NewDisk) -> VolumeSpec:
    """Return the specification of a new disk's volume; the default name is that of domain and target."""
    return VolumeSpec(
        pool=disk.pool,
        name=disk.volume_name or f"{domain}-{target}.{disk.format.lower()}",
        capacity_bytes=disk.capacity_bytes,
        format=disk.format,
        base=disk.base,
    )


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


def _source_of(
    volume: libvirt.virStorageVol, format: DiskFormat, below: tuple[Layer, ...] = ()
) -> Source:
    local = is_local(volume.connect())
    return Source(
        path=volume.path(),
        format=format,
        block=volume.info()[0] == libvirt.VIR_STORAGE_VOL_BLOCK,
        below=tuple(
            Source(path=layer.path, format=layer.format, block=is_block(layer.path, local=local))
            for layer in below
        ),
    )


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


def _end(made: _Identity, runtime_id: int, connection: libvirt.virConnect) -> None:
    """Undo a start: kill that run, and no later one."""
    domain = lookup(connection, made.id)
    if domain.ID() == runtime_id and metadata.read(domain).create_time == made.create_time:
        domain.destroy()

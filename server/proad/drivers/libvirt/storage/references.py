"""References of domains to files: of the domains themselves, their snapshots and saved states."""

import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import libvirt
from lxml import etree

from proad.drivers.libvirt.connections.queries import is_alive
from proad.drivers.libvirt.errors import code_of
from proad.drivers.libvirt.host.virt import is_test
from proad.drivers.libvirt.storage import pools
from proad.drivers.libvirt.storage.image_files import NOWHERE, BackingChain, ImageFile
from proad.drivers.libvirt.storage.pools import decoded
from proad.model import VolumeRef

T = TypeVar("T")

# The domain, its snapshot or its saved state was removed meanwhile.
_GONE = frozenset(
    {
        libvirt.VIR_ERR_NO_DOMAIN,
        libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT,
        libvirt.VIR_ERR_OPERATION_INVALID,
    }
)
# A possible path in an argument for QEMU.
_PATH = re.compile(r"/[^,'\"}]+")
# Elements whose text is for people.
_PROSE = frozenset({"title", "description", "metadata", "cmdline"})


@dataclass(slots=True, kw_only=True)
class References:
    """The references of a domain or an image to files.

    Attributes:
        by: name of the domain or the image.
        owner: UUID of the domain.
        file: identity of the image.
        paths: all referenced paths.
        volumes: volumes that are referenced by pool and name.
        raw: paths of images that are used as raw.
        raw_volumes: those of `volumes` that are used as raw.
        complete: paths of images whose whole backing chain is in the XML.
        images: images whose backing chain has to be read from their headers.
        chains: those backing chains.
        unread: why the references are incomplete; empty: they are complete.
    """

    by: str
    owner: str = ""
    file: Hashable = None
    paths: set[str] = field(default_factory=set)
    volumes: set[VolumeRef] = field(default_factory=set)
    raw: set[str] = field(default_factory=set)
    raw_volumes: set[VolumeRef] = field(default_factory=set)
    complete: set[str] = field(default_factory=set)
    images: set[ImageFile] = field(default_factory=set)
    chains: list[BackingChain] = field(default_factory=list)
    unread: str = ""

    def add(self, root: etree._Element, *, live: bool) -> None:
        """Add the references in libvirt's XML of a domain or a snapshot.

        Args:
            root: the document.
            live: whether it is the live XML, whose terminated backing chains are complete.
        """
        self.paths.update(_paths(root))
        for disk in root.iter("disk"):
            self._add_disk(disk, live=live)

    def _add_disk(self, disk: etree._Element, *, live: bool) -> None:
        source = disk.find("source")
        if source is None:
            return
        top = ImageFile(path=_path_of(source), format=_format_of(disk.find("driver")))
        if pool := source.get("pool"):
            volume = VolumeRef(pool=pool, name=source.get("volume", "?"))
            self.volumes.add(volume)
            if top.format == "raw":
                self.raw_volumes.add(volume)
        if top.format == "raw":
            self.raw.add(top.path)
            return
        last, layer = disk, top
        while (store := last.find("backingStore")) is not None:
            inner = store.find("source")
            if inner is None:
                if live:  # the end of the chain, as QEMU has it open
                    self.complete.add(top.path)
                    return
                break
            last, layer = (
                store,
                ImageFile(path=_path_of(inner), format=_format_of(store.find("format"))),
            )
        if live:
            self.images.add(layer)
        elif top.path not in self.complete:
            self.images.add(top)


def domains_of(connection: libvirt.virConnect) -> Iterator[tuple[libvirt.virDomain, References]]:
    """Yield the domains with their references, including snapshots and saved states."""
    snapshots = _ids(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT)
    saved = _ids(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
    for domain in connection.listAllDomains():
        id = domain.UUIDString()
        references = References(by=f"domain {decoded(domain.name) or id}", owner=id)
        for root, live in documents(domain, snapshots=id in snapshots, saved=id in saved):
            if root is None:
                references.unread = "what libvirt says of it, or of a state of it, cannot be read"
            else:
                references.add(root, live=live)
        yield domain, references


def leads_nowhere(domain: libvirt.virDomain, chain: BackingChain) -> bool:
    """Return whether libvirt finds no image at the begin of a chain that is unreadable here."""
    if not chain.broken or len(chain.layers) > 1 or domain.ID() != -1:
        return False
    try:
        domain.blockInfo(chain.layers[0].path)
    except libvirt.libvirtError as error:
        return code_of(error) == libvirt.VIR_ERR_SYSTEM_ERROR and error.get_int1() in NOWHERE
    return False


def _ids(connection: libvirt.virConnect, flag: int) -> frozenset[str]:
    return frozenset(domain.UUIDString() for domain in connection.listAllDomains(flag))


def documents(
    domain: libvirt.virDomain, *, snapshots: bool, saved: bool
) -> Iterator[tuple[etree._Element | None, bool]]:
    """Yield the live XML, the persistent XML, and those of saved state and snapshots.

    Yield None for an unreadable one, and nothing for one that was removed meanwhile.
    """
    if domain.ID() != -1:  # active when listed
        yield from _document(domain.XMLDesc, live=True)
    yield from _document(partial(domain.XMLDesc, libvirt.VIR_DOMAIN_XML_INACTIVE))
    if saved and not is_test(domain.connect()):
        for root in _unless_gone(partial(_saved, domain)):
            yield root, False
    for found in _unless_gone(domain.listAllSnapshots) if snapshots else ():
        for snapshot in found:
            yield from _document(snapshot.getXMLDesc)


def _document(
    read: Callable[[], str], *, live: bool = False
) -> Iterator[tuple[etree._Element | None, bool]]:
    for root in _unless_gone(partial(pools.document, read)):
        yield root, live


def _unless_gone(read: Callable[[], T]) -> tuple[T, ...]:
    try:
        return (read(),)
    except libvirt.libvirtError as error:
        if code_of(error) not in _GONE:
            raise
    return ()


def _saved(domain: libvirt.virDomain) -> etree._Element | None:
    """Return the XML in a saved state; None: its file is torn, as after a crash of the host."""
    try:
        return pools.document(domain.managedSaveGetXMLDesc)
    except libvirt.libvirtError as error:
        if code_of(error) in _GONE or not is_alive(domain.connect()):
            raise
        return None


def _paths(element: etree._Element) -> Iterator[str]:
    """Yield everything that looks like a path: of disks, firmware, kernels and others."""
    for child in element:
        if child.tag in _PROSE:
            continue
        for value in (child.text or "", *child.values()):
            if value.strip().startswith("/"):
                # Blanks may be indentation, or part of the name.
                yield from {value, value.strip()}
            elif child.prefix is not None:  # arguments for QEMU, such as file=/path,if=none
                yield from _PATH.findall(value)
        yield from _paths(child)


def _path_of(source: etree._Element) -> str:
    return source.get("file") or source.get("dev") or ""


def _format_of(element: etree._Element | None) -> str:
    """Return the stated format of a disk; libvirt's default is raw."""
    return "raw" if element is None else element.get("type", "raw")

"""What domains need: running or not, with their snapshots and saved states."""

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

# The domain, its snapshot or its saved state went meanwhile.
_GONE = frozenset(
    {
        libvirt.VIR_ERR_NO_DOMAIN,
        libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT,
        libvirt.VIR_ERR_OPERATION_INVALID,
    }
)
# What may be a path in a word for QEMU.
_PATH = re.compile(r"/[^,'\"}]+")
# Where a path is something that people wrote.
_PROSE = frozenset({"title", "description", "metadata", "cmdline"})


@dataclass(slots=True, kw_only=True)
class References:
    """What a domain or an image names.

    Attributes:
        by: who it is.
        owner: UUID, if it is a domain.
        file: which file it is, if it is an image.
        paths: all paths that it names.
        volumes: the volumes that it names by pool and name.
        raw: the paths of images that it reads as raw.
        told: the paths of images whose whole chain is told.
        images: images whose chain is not told, but to be followed.
        chains: those chains.
        unread: why it is not known in full; empty: it is.
    """

    by: str
    owner: str = ""
    file: Hashable = None
    paths: set[str] = field(default_factory=set)
    volumes: set[VolumeRef] = field(default_factory=set)
    raw: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    images: set[ImageFile] = field(default_factory=set)
    chains: list[BackingChain] = field(default_factory=list)
    unread: str = ""

    def add(self, root: etree._Element, *, live: bool) -> None:
        """Take in a document of libvirt's about a domain or a snapshot.

        Args:
            root: the document.
            live: whether it tells what runs, so that chains in it that end are whole.
        """
        self.paths.update(_paths(root))
        for disk in root.iter("disk"):
            self._add_disk(disk, live=live)

    def _add_disk(self, disk: etree._Element, *, live: bool) -> None:
        source = disk.find("source")
        if source is None:
            return
        if pool := source.get("pool"):
            self.volumes.add(VolumeRef(pool=pool, name=source.get("volume", "?")))
        top = ImageFile(path=_path_of(source), format=_format_of(disk.find("driver")))
        if top.format == "raw":
            self.raw.add(top.path)
            return
        last, layer = disk, top
        while (store := last.find("backingStore")) is not None:
            inner = store.find("source")
            if inner is None:
                if live:  # the end of the chain, as QEMU has it open
                    self.told.add(top.path)
                    return
                break
            last, layer = (
                store,
                ImageFile(path=_path_of(inner), format=_format_of(store.find("format"))),
            )
        if live:
            self.images.add(layer)
        elif top.path not in self.told:
            self.images.add(top)


def domains_of(connection: libvirt.virConnect) -> Iterator[tuple[libvirt.virDomain, References]]:
    """Yield what domains name, running or not, with their snapshots and saved states."""
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
    """Return whether libvirt finds no image where a chain begins that cannot be read from here."""
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
    """Yield what runs, what the next start will use, and what a revert would; None: unreadable.

    What went meanwhile needs nothing any more; what is left may.
    """
    if domain.ID() != -1:  # was active when it was listed
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
    """Return what a saved state holds; None: its file is torn, as a crash of the host leaves it."""
    try:
        return pools.document(domain.managedSaveGetXMLDesc)
    except libvirt.libvirtError as error:
        if code_of(error) in _GONE or not is_alive(domain.connect()):
            raise
        return None


def _paths(element: etree._Element) -> Iterator[str]:
    """Yield all that looks like a path: of disks, firmware, kernels, devices, whatever comes."""
    for child in element:
        if child.tag in _PROSE:
            continue
        for value in (child.text or "", *child.values()):
            if value.strip().startswith("/"):
                # Blanks are those of an indented text, or the end of a name.
                yield from {value, value.strip()}
            elif child.prefix is not None:  # words for QEMU, such as file=/path,if=none
                yield from _PATH.findall(value)
        yield from _paths(child)


def _path_of(source: etree._Element) -> str:
    return source.get("file") or source.get("dev") or ""


def _format_of(element: etree._Element | None) -> str:
    """Return what a disk is read as; libvirt's default is raw."""
    return "raw" if element is None else element.get("type", "raw")

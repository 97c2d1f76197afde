"""Who needs a file: domains with their snapshots, and images that are based on it."""

import os
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain as joined
from typing import TypeVar

import libvirt
from lxml import etree

from proad.core.records import VolumeRecord
from proad.drivers.libvirt import pools
from proad.drivers.libvirt.errors import code_of, seek
from proad.drivers.libvirt.images import NOWHERE, Chain, Image, Images
from proad.drivers.libvirt.pools import decoded
from proad.drivers.libvirt.qcow2 import printable
from proad.drivers.libvirt.questions import is_alive
from proad.drivers.libvirt.virt import is_test
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The file that is asked about.

    Attributes:
        path: where it is.
        ref: which volume it is; None: none.
    """

    path: str
    ref: VolumeRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Who needs a file.

    Attributes:
        names: who does, such as "domain web" or "volume default/web.qcow2".
        unreadable: who may, by name, with the reason why that is not known.
    """

    names: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True, kw_only=True)
class Named:
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
    images: set[Image] = field(default_factory=set)
    chains: list[Chain] = field(default_factory=list)
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
        top = Image(path=_path_of(source), format=_format_of(disk.find("driver")))
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
                Image(path=_path_of(inner), format=_format_of(store.find("format"))),
            )
        if live:
            self.images.add(layer)
        elif top.path not in self.told:
            self.images.add(top)


class Usage:
    """One look at all that needs files.

    Args:
        connection: to libvirt.
        images: the look at the files.
        recorded: what Proa made, whether it is there or not.
    """

    def __init__(
        self,
        connection: libvirt.virConnect,
        images: Images,
        recorded: Iterable[VolumeRecord] = (),
    ) -> None:
        self._images = images
        self._pools = pools.all_pools(connection)
        found = list(_domains(connection))
        places = self._places(connection) if any(each.volumes for _, each in found) else {}
        for domain, named in found:
            followed = {Image(path=p) for ref in named.volumes if (p := places.get(ref))}
            named.paths |= {layer.path for layer in followed}
            chains = [
                images.chain(layer.path, layer.format)
                for layer in named.images | followed
                if layer.path
            ]
            named.chains = [each for each in chains if not _leads_nowhere(domain, each)]
        domains = [named for _, named in found]
        plain = joined.from_iterable(named.raw for named in domains)
        self._raw = {images.identity(path) for path in plain if path}
        self._named = [
            *domains,
            *self._volumes(connection),
            *self._away(connection, recorded),
        ]

    def of(
        self,
        target: Target,
        *,
        but: str = "",
        without: Collection[Target] = (),
        ignore: Collection[str] = (),
    ) -> Users:
        """Return who needs a file.

        Args:
            target: the file.
            but: UUID of a domain whose own use does not count; that of the files which it
                leaves behind does.
            without: files that go together with the target, whose use does not count either.
            ignore: names of those whose unknown needs do not count.
        """
        file = self._images.identity(target.path)
        going = {file, *(self._images.identity(each.path) for each in without)}
        names: set[str] = set()
        unreadable: dict[str, str] = {}
        for named in self._named:
            if named.file in going:
                continue
            chains = named.chains
            if but and named.owner == but:
                chains = [each for each in chains if self._identity_of(each) not in going]
                names.update(self._left_behind(chains, file))
            elif self._needs(named, target, file):
                names.add(named.by)
                continue
            if named.by not in ignore and (why := self._may_need(named, chains, target)):
                unreadable[named.by] = why
        return Users(names=tuple(sorted(names)), unreadable=tuple(sorted(unreadable.items())))

    def of_some(
        self, targets: Collection[Target], *, but: str, ignore: Collection[str] = ()
    ) -> dict[Target, Users]:
        """Return which of some volumes are needed by anything but a domain and each other."""
        needed: dict[Target, Users] = {}
        while True:
            going = [target for target in targets if target not in needed]
            found = {
                target: users
                for target in going
                if (users := self.of(target, but=but, without=going, ignore=ignore)) != Users()
            }
            if not found:
                return needed
            needed |= found  # and what stays may need others of them

    def _needs(self, named: Named, target: Target, file: Hashable) -> bool:
        if target.ref in named.volumes:
            return True
        paths = joined(named.paths, *(chain.paths for chain in named.chains))
        return any(file in self._images.identities(path) for path in paths)

    def _identity_of(self, chain: Chain) -> Hashable:
        return self._images.identity(chain.layers[0].path)

    def _left_behind(self, chains: Collection[Chain], file: Hashable) -> Iterator[str]:
        """Yield the images that stay when their domain goes, and need the file."""
        for chain in chains:
            if any(self._images.identity(path) == file for path in chain.paths[1:]):
                yield f"file {printable(chain.layers[0].path)}"

    def _may_need(self, named: Named, chains: Collection[Chain], target: Target) -> str:
        """Return why it is not known that a file is not needed; empty: it is known."""
        if named.unread and self._reaches(named.paths, target):
            return named.unread
        for chain in chains:
            if chain.broken and not chain.recorded and self._reaches(chain.paths, target):
                return chain.broken
        return ""

    def _reaches(self, paths: Collection[str], target: Target) -> bool:
        """Return whether a chain with these files could go on to the target.

        It could go on in the pools that it is in, and in any if it is in none.
        """
        local = self._images.local
        inside = [
            pool for pool in self._pools if any(pool.holds(path, local=local) for path in paths)
        ]
        return not inside or any(pool.holds(target.path, local=local) for pool in inside)

    def _volumes(self, connection: libvirt.virConnect) -> Iterator[Named]:
        """Yield the images in pools that may be based on others."""
        left = set()
        for pool in self._pools:
            here = self._images.local and pool.folder
            if here and (files := pools.files_in(pool.path)) is not None:
                yield from joined.from_iterable(self._image(pool.name, path) for path in files)
            else:
                left.add(pool.name)
        for pool in pools.active_pools(connection):
            name = pool.name()
            if name in left:  # one that came meanwhile could be told to reach all others
                for path in _listed(pool):
                    yield from self._image(name, path)

    def _away(
        self, connection: libvirt.virConnect, recorded: Iterable[VolumeRecord]
    ) -> Iterator[Named]:
        """Yield what was made on others, in pools that are stopped or whose folder is away."""
        active = {pool.name: pool.active for pool in self._pools}
        for record in recorded:
            if not record.base_chain or record.pool not in active:
                continue
            if not active[record.pool] or self._is_away(connection, record):
                yield Named(
                    by=f"volume {record.pool}/{printable(record.name)}",
                    file=self._images.identity(record.path),
                    paths={layer.path for layer in record.base_chain},
                )

    def _is_away(self, connection: libvirt.virConnect, record: VolumeRecord) -> bool:
        """Return whether libvirt has a volume whose file is not there."""
        if not self._images.local or os.path.lexists(record.path):
            return False
        try:
            pool = seek(connection.storagePoolLookupByName, record.pool)
            return pools.find(pool, record.name) is not None
        except libvirt.libvirtError as error:
            if code_of(error) not in pools.NO_POOL:
                raise
            return True  # it was stopped a moment ago

    def _image(self, pool: str, path: str) -> Iterator[Named]:
        file = self._images.identity(path)
        if file in self._raw:
            return
        chain = self._images.chain(path)
        if len(chain.paths) > 1 or chain.broken:
            by = f"volume {pool}/{printable(path).rpartition('/')[2]}"
            yield Named(by=by, file=file, chains=[chain])

    def _places(self, connection: libvirt.virConnect) -> dict[VolumeRef, str]:
        """Return where the volumes are that domains may name by pool and name."""
        places = {}
        for pool in pools.active_pools(connection):
            pool_name = pool.name()
            try:
                for name, volume in pools.volumes_in(pool):
                    if name and (path := decoded(volume.path)):
                        places[VolumeRef(pool=pool_name, name=name)] = path
            except libvirt.libvirtError:
                if pools.is_active(pool):
                    raise
        return places


def _domains(connection: libvirt.virConnect) -> Iterator[tuple[libvirt.virDomain, Named]]:
    """Yield what domains name, running or not, with their snapshots and saved states."""
    snapshots = _ids(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT)
    saved = _ids(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
    for domain in connection.listAllDomains():
        id = domain.UUIDString()
        named = Named(by=f"domain {decoded(domain.name) or id}", owner=id)
        for root, live in _documents(domain, snapshots=id in snapshots, saved=id in saved):
            if root is None:
                named.unread = "what libvirt says of it, or of a state of it, cannot be read"
            else:
                named.add(root, live=live)
        yield domain, named


def _leads_nowhere(domain: libvirt.virDomain, chain: Chain) -> bool:
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


def _documents(
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
                yield value.strip()
            elif child.prefix is not None:  # words for QEMU, such as file=/path,if=none
                yield from _PATH.findall(value)
        yield from _paths(child)


def _path_of(source: etree._Element) -> str:
    return source.get("file") or source.get("dev") or ""


def _format_of(element: etree._Element | None) -> str:
    """Return what a disk is read as; libvirt's default is raw."""
    return "raw" if element is None else element.get("type", "raw")


def _listed(pool: libvirt.virStoragePool) -> list[str]:
    """Return the paths of a pool's volumes, but for those that cannot be told."""
    try:
        volumes = list(pools.volumes_in(pool))
        return [path for _, volume in volumes if (path := decoded(volume.path))]
    except libvirt.libvirtError:
        if pools.is_active(pool):
            raise
    return []

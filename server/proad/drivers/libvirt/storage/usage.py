"""Who needs a file: domains with their snapshots, and images that are based on it."""

import os
from collections.abc import Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain as joined

import libvirt

from proad.drivers.libvirt.errors import code_of, seek
from proad.drivers.libvirt.storage import pools
from proad.drivers.libvirt.storage.image_files import BackingChain, ImageFile, ImageFiles
from proad.drivers.libvirt.storage.pools import decoded
from proad.drivers.libvirt.storage.qcow2 import printable
from proad.drivers.libvirt.storage.references import References, domains_of, leads_nowhere
from proad.model import VolumeRef
from proad.ports.records import VolumeRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
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
        images: ImageFiles,
        recorded: Iterable[VolumeRecord] = (),
    ) -> None:
        self._images = images
        self._pools = pools.all_pools(connection)
        found = list(domains_of(connection))
        places = self._places(connection) if any(each.volumes for _, each in found) else {}
        for domain, references in found:
            followed = {ImageFile(path=p) for ref in references.volumes if (p := places.get(ref))}
            references.paths |= {layer.path for layer in followed}
            chains = [
                images.chain(layer.path, layer.format)
                for layer in references.images | followed
                if layer.path
            ]
            references.chains = [each for each in chains if not leads_nowhere(domain, each)]
        domains = [references for _, references in found]
        plain = joined.from_iterable(references.raw for references in domains)
        self._raw = {images.identity(path) for path in plain if path}
        self._references = [
            *domains,
            *self._volumes(connection),
            *self._away(connection, recorded),
        ]

    def of(
        self,
        candidate: Candidate,
        *,
        but: str = "",
        without: Collection[Candidate] = (),
        ignore: Collection[str] = (),
    ) -> Users:
        """Return who needs a file.

        Args:
            candidate: the file.
            but: UUID of a domain whose own use does not count; that of the files which it
                leaves behind does.
            without: files that go together with the candidate, whose use does not count either.
            ignore: names of those whose unknown needs do not count.
        """
        file = self._images.identity(candidate.path)
        going = {file, *(self._images.identity(each.path) for each in without)}
        names: set[str] = set()
        unreadable: dict[str, str] = {}
        for references in self._references:
            if references.file in going:
                continue
            chains = references.chains
            if but and references.owner == but:
                chains = [each for each in chains if self._identity_of(each) not in going]
                names.update(self._left_behind(chains, file))
            elif self._needs(references, candidate, file):
                names.add(references.by)
                continue
            if references.by not in ignore and (
                why := self._may_need(references, chains, candidate)
            ):
                unreadable[references.by] = why
        return Users(names=tuple(sorted(names)), unreadable=tuple(sorted(unreadable.items())))

    def of_some(
        self, candidates: Collection[Candidate], *, but: str, ignore: Collection[str] = ()
    ) -> dict[Candidate, Users]:
        """Return which of some volumes are needed by anything but a domain and each other."""
        needed: dict[Candidate, Users] = {}
        while True:
            going = [candidate for candidate in candidates if candidate not in needed]
            found = {
                candidate: users
                for candidate in going
                if (users := self.of(candidate, but=but, without=going, ignore=ignore)) != Users()
            }
            if not found:
                return needed
            needed |= found  # and what stays may need others of them

    def _needs(self, references: References, candidate: Candidate, file: Hashable) -> bool:
        if candidate.ref in references.volumes:
            return True
        paths = joined(references.paths, *(chain.paths for chain in references.chains))
        return any(file in self._images.identities(path) for path in paths)

    def _identity_of(self, chain: BackingChain) -> Hashable:
        return self._images.identity(chain.layers[0].path)

    def _left_behind(self, chains: Collection[BackingChain], file: Hashable) -> Iterator[str]:
        """Yield the images that stay when their domain goes, and need the file."""
        for chain in chains:
            if any(self._images.identity(path) == file for path in chain.paths[1:]):
                yield f"file {printable(chain.layers[0].path)}"

    def _may_need(
        self, references: References, chains: Collection[BackingChain], candidate: Candidate
    ) -> str:
        """Return why it is not known that a file is not needed; empty: it is known."""
        if references.unread and self._reaches(references.paths, candidate):
            return references.unread
        for chain in chains:
            if chain.broken and not chain.recorded and self._reaches(chain.paths, candidate):
                return chain.broken
        return ""

    def _reaches(self, paths: Collection[str], candidate: Candidate) -> bool:
        """Return whether a chain with these files could go on to the candidate.

        It could go on in the pools that it is in, and in any if it is in none.
        """
        local = self._images.local
        inside = [
            pool for pool in self._pools if any(pool.holds(path, local=local) for path in paths)
        ]
        return not inside or any(pool.holds(candidate.path, local=local) for pool in inside)

    def _volumes(self, connection: libvirt.virConnect) -> Iterator[References]:
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
    ) -> Iterator[References]:
        """Yield what was made on others, in pools that are stopped or whose folder is away."""
        active = {pool.name: pool.active for pool in self._pools}
        for record in recorded:
            if not record.base_chain or record.pool not in active:
                continue
            if not active[record.pool] or self._is_away(connection, record):
                yield References(
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

    def _image(self, pool: str, path: str) -> Iterator[References]:
        file = self._images.identity(path)
        if file in self._raw:
            return
        chain = self._images.chain(path)
        if len(chain.paths) > 1 or chain.broken:
            by = f"volume {pool}/{printable(path).rpartition('/')[2]}"
            yield References(by=by, file=file, chains=[chain])

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


def _listed(pool: libvirt.virStoragePool) -> list[str]:
    """Return the paths of a pool's volumes, but for those that cannot be told."""
    try:
        volumes = list(pools.volumes_in(pool))
        return [path for _, volume in volumes if (path := decoded(volume.path))]
    except libvirt.libvirtError:
        if pools.is_active(pool):
            raise
    return []

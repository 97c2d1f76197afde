"""Users of a file: domains with their snapshots, and images with it in their backing chain."""

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
    """A file that is a candidate for deletion.

    Attributes:
        path: its path.
        ref: its volume; None: none.
    """

    path: str
    ref: VolumeRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """The users of a file.

    Attributes:
        names: known users, such as "domain web" or "volume default/web.qcow2".
        unreadable: possible users, each with the reason why its references are unknown.
    """

    names: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()


class Usage:
    """A snapshot of all references to files.

    Args:
        connection: to libvirt.
        images: the image files.
        recorded: records of all volumes that Proa created, existing or not.
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
            references.raw |= {p for ref in references.raw_volumes if (p := places.get(ref))}
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
        """Return the users of a file.

        Args:
            candidate: the file.
            but: UUID of a domain that does not count; files that it leaves behind do.
            without: files that are deleted together with the candidate, and do not count.
            ignore: names of users to ignore if their references are unreadable.
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

    def is_raw(self, path: str) -> bool:
        """Return whether a domain uses a file as raw, and so writes what it likes at its begin."""
        return self._images.identity(path) in self._raw

    def of_some(
        self, candidates: Collection[Candidate], *, but: str, ignore: Collection[str] = ()
    ) -> dict[Candidate, Users]:
        """Return the candidates that have users besides a domain and each other."""
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
            needed |= found  # what stays may use further candidates

    def _needs(self, references: References, candidate: Candidate, file: Hashable) -> bool:
        if candidate.ref in references.volumes:
            return True
        paths = joined(references.paths, *(chain.paths for chain in references.chains))
        return any(file in self._images.identities(path) for path in paths)

    def _identity_of(self, chain: BackingChain) -> Hashable:
        return self._images.identity(chain.layers[0].path)

    def _left_behind(self, chains: Collection[BackingChain], file: Hashable) -> Iterator[str]:
        """Yield the images that use the file and stay when their domain is deleted."""
        for chain in chains:
            if any(self._images.identity(path) == file for path in chain.paths[1:]):
                yield f"file {printable(chain.layers[0].path)}"

    def _may_need(
        self, references: References, chains: Collection[BackingChain], candidate: Candidate
    ) -> str:
        """Return why a file may be in use; empty if it is not."""
        if references.unread and self._reaches(references.paths, candidate):
            return references.unread
        for chain in chains:
            if chain.broken and not chain.recorded and self._reaches(chain.paths, candidate):
                return chain.broken
        return ""

    def _reaches(self, paths: Collection[str], candidate: Candidate) -> bool:
        """Return whether an incomplete chain with these files could include the candidate.

        A chain may continue in the pools that it is in, or anywhere if it is in none.
        """
        local = self._images.local
        inside = [
            pool for pool in self._pools if any(pool.holds(path, local=local) for path in paths)
        ]
        return not inside or any(pool.holds(candidate.path, local=local) for pool in inside)

    def _volumes(self, connection: libvirt.virConnect) -> Iterator[References]:
        """Yield the references of the images in pools."""
        left = set()
        for pool in self._pools:
            here = self._images.local and pool.folder
            if here and (files := pools.files_in(pool.path)) is not None:
                yield from joined.from_iterable(self._image(pool.name, path) for path in files)
            else:
                left.add(pool.name)
        for pool in pools.active_pools(connection):
            name = pool.name()
            if name in left:  # pools that were added meanwhile are not known to `_reaches`
                for path in _listed(pool):
                    yield from self._image(name, path)

    def _away(
        self, connection: libvirt.virConnect, recorded: Iterable[VolumeRecord]
    ) -> Iterator[References]:
        """Yield the recorded references of volumes in pools that are inactive or whose folder is gone."""
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
        """Return whether libvirt has a volume whose file is missing."""
        if not self._images.local or os.path.lexists(record.path):
            return False
        try:
            pool = seek(connection.storagePoolLookupByName, record.pool)
            return pools.find(pool, record.name) is not None
        except libvirt.libvirtError as error:
            if code_of(error) not in pools.NO_POOL:
                raise
            return True  # stopped a moment ago

    def _image(self, pool: str, path: str) -> Iterator[References]:
        file = self._images.identity(path)
        if file in self._raw:
            return
        chain = self._images.chain(path)
        if len(chain.paths) > 1 or chain.broken:
            by = f"volume {pool}/{printable(path).rpartition('/')[2]}"
            yield References(by=by, file=file, chains=[chain])

    def _places(self, connection: libvirt.virConnect) -> dict[VolumeRef, str]:
        """Return the paths of the volumes in active pools."""
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
    """Return the readable paths of a pool's volumes."""
    try:
        volumes = list(pools.volumes_in(pool))
        return [path for _, volume in volumes if (path := decoded(volume.path))]
    except libvirt.libvirtError:
        if pools.is_active(pool):
            raise
    return []

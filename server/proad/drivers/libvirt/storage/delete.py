"""Deletion of volumes that nothing needs; used on the driver's threads."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress

import libvirt
import structlog

from proad.drivers.libvirt.errors import code_of
from proad.drivers.libvirt.storage import pools
from proad.drivers.libvirt.storage.catalog import VolumeCatalog
from proad.drivers.libvirt.storage.finder import Finder
from proad.drivers.libvirt.storage.reservations import Reservations
from proad.drivers.libvirt.storage.usage import Candidate, Usage, Users
from proad.errors import InUseError, VolumeNotFoundError
from proad.model import VolumeRef
from proad.ports.records import VolumeRecord

_UNDER_WAY = ("a create that is under way",)

_log = structlog.get_logger(__name__)


class VolumeDeleter:
    """Deletes volumes.

    Args:
        finder: finds pools and volumes.
        catalog: the records of the volumes that Proa created.
        reservations: the files that creates under way put to use.
    """

    def __init__(self, finder: Finder, catalog: VolumeCatalog, reservations: Reservations) -> None:
        self._find = finder
        self._catalog = catalog
        self._reservations = reservations

    def delete(
        self,
        connection: libvirt.virConnect,
        ref: VolumeRef,
        *,
        ignore: Collection[str] = (),
        begin: Callable[[], None] | None = None,
    ) -> None:
        """Delete a volume that is not in use.

        Args:
            connection: to libvirt.
            ref: the volume.
            ignore: names of users to ignore if their references are unreadable.
            begin: called before the volume is deleted.

        Raises:
            VolumeNotFoundError: no such pool or volume.
            InUseError: a domain or an image uses it, or may use it.
        """
        volume = self._find.volume(connection, ref)
        candidate = candidate_of(volume)
        with self._reservations.deleting([candidate.path]) as used:
            if used:
                raise InUseError("volume", ref.name, _UNDER_WAY)
            usage = self._usage(connection, candidate)
            _refuse(ref.name, usage.of(candidate, ignore=ignore))
            record = self._catalog.of_volume(connection, volume)
            # Through another pool, the delete may remove no more than a link to the file.
            ends = record is not None and self._catalog.is_same(connection, record, volume)
            if begin is not None:
                begin()
            volume.delete()
        if record is not None and ends:
            self._catalog.end(connection, [record])

    def check_owned(
        self,
        connection: libvirt.virConnect,
        records: Iterable[VolumeRecord],
        *,
        owner: str,
        ignore: Collection[str] = (),
    ) -> None:
        """Raise InUseError if `delete_owned` would."""
        there = self._there(connection, records)
        for candidate, users in self._needed(connection, there, owner, ignore).items():
            if not users.names:
                _refuse(there[candidate].name, users)

    def delete_owned(
        self,
        connection: libvirt.virConnect,
        records: Iterable[VolumeRecord],
        *,
        owner: str,
        ignore: Collection[str] = (),
        strict: bool = True,
    ) -> None:
        """Delete the volumes that were created for a domain, except those in use elsewhere.

        A volume that is not the recorded one any more is kept, whatever its name.

        Args:
            connection: to libvirt.
            records: the volumes; a missing one is no error.
            owner: UUID of the domain, whose own use does not count.
            ignore: names of users to ignore if their references are unreadable.
            strict: whether a volume that may be in use is an error; otherwise it is kept.

        Raises:
            InUseError: it is unknown whether a volume is in use; none was deleted.
        """
        records = [*records]
        there = self._there(connection, records)
        with self._reservations.deleting(candidate.path for candidate in there) as used:
            needed = self._needed(
                connection, [each for each in there if each.path not in used], owner, ignore
            )
            needed |= {each: Users(names=_UNDER_WAY) for each in there if each.path in used}
            for candidate, users in needed.items():
                if strict and not users.names:
                    _refuse(there[candidate].name, users)
                _log.info("libvirt.volume_kept", volume=there[candidate].name, users=users)
            kept = [there[candidate].id for candidate in needed]
            self._catalog.release(connection, [each for each in records if each.id in kept])
            for record in there.values():
                if record.id not in kept:
                    self.take(connection, record)
        self._catalog.end(connection, [each for each in records if each.id not in kept])

    def take(self, connection: libvirt.virConnect, record: VolumeRecord) -> None:
        """Delete the volume of a record if it exists and is still the recorded one."""
        for volume in self._still(connection, record):
            with _unless_gone():
                volume.delete()

    def users_of(self, connection: libvirt.virConnect, path: str, *, but: str) -> tuple[str, ...]:
        """Return the known users of a file, except for one domain."""
        candidate = Candidate(path=path)
        return self._usage(connection, candidate).of(candidate, but=but).names

    def _there(
        self, connection: libvirt.virConnect, records: Iterable[VolumeRecord]
    ) -> dict[Candidate, VolumeRecord]:
        """Return those of the recorded volumes that exist and are still the recorded ones."""
        found = {}
        for record in records:
            for volume in self._still(connection, record):
                with _unless_gone():
                    found[candidate_of(volume)] = record
        return found

    def _still(
        self, connection: libvirt.virConnect, record: VolumeRecord
    ) -> Iterator[libvirt.virStorageVol]:
        """Yield the volume of a record if it exists and is still the recorded one."""
        with suppress(VolumeNotFoundError), _unless_gone():
            ref = VolumeRef(pool=record.pool, name=record.name)
            volume = self._find.volume(connection, ref, or_else="or set keep_volumes")
            if self._catalog.is_same(connection, record, volume):
                yield volume

    def _needed(
        self,
        connection: libvirt.virConnect,
        candidates: Collection[Candidate],
        owner: str,
        ignore: Collection[str],
    ) -> dict[Candidate, Users]:
        if not candidates:
            return {}
        return self._usage(connection, *candidates).of_some(candidates, but=owner, ignore=ignore)

    def _usage(self, connection: libvirt.virConnect, *candidates: Candidate) -> Usage:
        images = pools.images(
            connection,
            *(candidate.path for candidate in candidates),
            recorded=self._catalog.files(connection),
        )
        return Usage(connection, images, self._catalog.made(connection))


def candidate_of(volume: libvirt.virStorageVol) -> Candidate:
    """Return the candidate for a volume."""
    pool = volume.storagePoolLookupByVolume().name()
    return Candidate(path=volume.path(), ref=VolumeRef(pool=pool, name=volume.name()))


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Ignore that a volume was deleted meanwhile, by another stop or delete of its domain."""
    try:
        yield
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_VOL:
            raise


def _refuse(name: str, users: Users) -> None:
    if users.names or users.unreadable:
        raise InUseError("volume", name, users.names, unreadable=users.unreadable)

"""Records of volumes that others made, so that these can have an owner; used on the driver's threads."""

import uuid
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import NoReturn

import libvirt

from proad.drivers.libvirt.host.virt import is_local
from proad.drivers.libvirt.storage import pools, qcow2
from proad.drivers.libvirt.storage.catalog import VolumeCatalog, created_record
from proad.drivers.libvirt.storage.delete import candidate_of
from proad.drivers.libvirt.storage.finder import Finder
from proad.drivers.libvirt.storage.reservations import Reservations
from proad.drivers.libvirt.storage.usage import Usage, Users
from proad.drivers.libvirt.storage.volume_view import view_of
from proad.errors import InUseError, InvalidArgumentError
from proad.model import DiskFormat, Volume, VolumeRef
from proad.ports.records import RecordState, VolumeRecord


class VolumeRecorder:
    """Records volumes.

    Args:
        finder: finds pools and volumes.
        catalog: the records.
        reservations: the files that creates under way put to use.
    """

    def __init__(self, finder: Finder, catalog: VolumeCatalog, reservations: Reservations) -> None:
        self._find = finder
        self._catalog = catalog
        self._reservations = reservations

    def record(
        self,
        connection: libvirt.virConnect,
        ref: VolumeRef,
        *,
        ours: Collection[str] | None = None,
    ) -> Volume:
        """Return a volume with the id of its record, which is made if there is none.

        Args:
            connection: to libvirt.
            ref: the volume.
            ours: names of what may use the volume; None: whatever does may.

        Raises:
            VolumeNotFoundError: no such pool or volume.
            InUseError: something else uses the volume, or may use it.
            InvalidArgumentError: nothing tells the volume from another one in its place, or it
                needs other files.
            DatabaseUnreachableError: nothing was recorded.
        """
        volume = self._find.volume(connection, ref)
        candidate = candidate_of(volume)
        # Nothing is put on the volume meanwhile, whose first bytes say what its format is.
        with self._reservations.deleting([candidate.path]) as used:
            if used:
                raise InUseError("volume", ref.name, ["a create that is under way"])
            images = pools.images(
                connection, candidate.path, recorded=self._catalog.files(connection)
            )
            usage = Usage(connection, images, self._catalog.made(connection))
            if ours is not None:
                _refuse_others(ref.name, usage.of(candidate, ignore=ours), ours)
            record = self._catalog.of_volume(connection, volume)
            if record is None:
                record = self._new(connection, volume, usage)
                self._catalog.put(connection, record)
        return view_of(volume, self._find.pool_name(ref.pool), record.format, record.id)

    def _new(
        self, connection: libvirt.virConnect, volume: libvirt.virStorageVol, usage: Usage
    ) -> VolumeRecord:
        name = volume.name()
        # Before the file is read: of one that takes its place meanwhile, this is no record.
        record = created_record(
            connection,
            VolumeRecord(
                id=str(uuid.uuid4()),
                state=RecordState.PLANNED,
                pool=volume.storagePoolLookupByVolume().name(),
                name=name,
                format=DiskFormat.RAW,
                create_time=datetime.now(UTC),
            ),
            volume,
        )
        if record.file is None:
            where = "" if is_local(connection) else ", which it is not to the daemon"
            _refuse(name, f"it is no regular file of this host{where}")
        if record.file.birth_time_ns is None:
            _refuse(name, "its file system does not record when a file was made")
        return replace(record, format=_format_of(name, record.path, usage))


def _format_of(name: str, path: str, usage: Usage) -> DiskFormat:
    """Return the format that an image is used in from now on.

    A guest may have written the header. One of qcow2 is taken as it is only if it names no other
    file, and if no domain that uses the image as raw could write another one.
    """
    if usage.is_raw(path):
        return DiskFormat.RAW
    try:
        header = qcow2.read_file(path)
    except qcow2.UnreadableImageError as error:
        _refuse(name, f"it {error}")
    except OSError as error:
        _refuse(name, f"it cannot be read ({error.strerror})")
    if header is None:
        return DiskFormat.RAW
    if header.backing or header.data_file is not None:
        other = qcow2.printable(header.backing or header.data_file or "")
        _refuse(name, f"it needs the file {other!r}, which would be lent with it")
    return DiskFormat.QCOW2


def _refuse_others(name: str, users: Users, ours: Collection[str]) -> None:
    others = [each for each in users.names if each not in ours]
    others += [f"{who} perhaps: {why}" for who, why in users.unreadable]
    if others:
        raise InUseError("volume", name, others, hint="hand that over first, or delete it")


def _refuse(name: str, why: str) -> NoReturn:
    raise InvalidArgumentError.of(
        "id",
        f"the volume {name!r} was not made through Proa, and cannot have an owner: {why}; make "
        "another one with 'proa volumes create', and copy it there, such as with `qemu-img convert`",
    )

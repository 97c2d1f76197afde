"""The sources of the disks of a new domain; used on the driver's threads."""

import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

import libvirt

from proad.drivers.libvirt.host.virt import HostFacts, is_local
from proad.drivers.libvirt.rollback import Rollback
from proad.drivers.libvirt.storage.image_files import is_block
from proad.drivers.libvirt.storage.media import Media, check_volume
from proad.drivers.libvirt.storage.storage import PreparedVolume, Storage
from proad.drivers.libvirt.xml.domain_xml import Source, disk_targets
from proad.errors import AlreadyExistsError
from proad.model import CdromSpec, DiskFormat, DiskSpec, DomainSpec, NewDisk, VolumeSpec
from proad.ports.records import Layer, name_digits


class DiskSources:
    """Finds or creates the volumes and media of one new domain.

    A context: volumes are reserved until its end, when the domain is defined.

    Args:
        storage: finds and creates volumes.
        media: checks media that are named by a path.
        connection: to libvirt.
        host: facts about the host.
    """

    def __init__(
        self, storage: Storage, media: Media, connection: libvirt.virConnect, host: HostFacts
    ) -> None:
        self._storage = storage
        self._media = media
        self._connection = connection
        self._host = host
        self._reserved = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Release the reservations."""
        self._reserved.close()

    def media(self, spec: DomainSpec) -> tuple[Source | None, ...]:
        """Return the sources of the optical drives; None for an empty drive."""
        return tuple(
            self._medium(drive, f"spec.cdroms[{number}]")
            for number, drive in enumerate(spec.cdroms)
        )

    def _medium(self, cdrom: CdromSpec, field: str) -> Source | None:
        if cdrom.volume is not None:
            volume = self._storage.find.volume(self._connection, cdrom.volume)
            self._check(volume, f"{field}.volume")
            return _source_of(volume, DiskFormat.RAW)
        if cdrom.path is None:
            return None
        path = self._media.checked(self._connection, cdrom.path, self._host, field=f"{field}.path")
        return Source(path=path, keeps_owner=self._host.qemu_user is not None)

    def prepare(self, spec: DomainSpec) -> tuple[Source | PreparedVolume, ...]:
        """Return the sources of the disks, or the volumes to create for them; change nothing."""
        prepared: list[Source | PreparedVolume] = []
        names = set[tuple[str, str]]()
        for number, (disk, target) in enumerate(
            zip(spec.effective_disks, disk_targets(spec), strict=True)
        ):
            field = f"spec.disks[{number}]"
            if disk.new_volume is None:
                prepared.append(self._existing(disk, field))
                continue
            id = str(uuid.uuid4())
            new = new_volume(spec.name, target, disk.new_volume, id)
            if (new.pool, new.name) in names:
                raise AlreadyExistsError("volume", new.name)
            names.add((new.pool, new.name))
            if new.base is not None:
                self._reserved.enter_context(self._storage.reserved(self._connection, new.base))
            prepared.append(
                self._storage.prepare(self._connection, new, id=id, message=f"{field}.new_volume")
            )
        return tuple(prepared)

    def create(
        self, prepared: Sequence[Source | PreparedVolume], rollback: Rollback, owner: str
    ) -> tuple[Source, ...]:
        """Return the sources of the disks; create the new volumes for the domain `owner`."""
        return tuple(
            each if isinstance(each, Source) else self._new(each, rollback, owner)
            for each in prepared
        )

    def _existing(self, disk: DiskSpec, field: str) -> Source:
        assert disk.volume is not None  # noqa: S101 - the model checks it
        reserved = self._storage.reserved(self._connection, disk.volume)
        volume = self._reserved.enter_context(reserved)
        format = self._storage.chains.format_of(
            self._connection, volume, disk.volume.format, f"{field}.volume.format"
        )
        return self._with_chain(volume, format, field, f"{field}.volume")

    def _new(self, new: PreparedVolume, rollback: Rollback, owner: str) -> Source:
        volume = self._storage.create(self._connection, new, rollback, owner=owner)
        self._reserved.enter_context(self._storage.reservations.reserve([volume.path()]))
        field = new.message.removesuffix(".new_volume")
        return self._with_chain(volume, new.spec.format, field, f"{new.message}.base")

    def _with_chain(
        self, volume: libvirt.virStorageVol, format: DiskFormat, field: str, chain_field: str
    ) -> Source:
        self._check(volume, field)
        chains = self._storage.chains
        below = chains.backing_chain(self._connection, volume, format, chain_field)
        return _source_of(volume, format, below)

    def _check(self, volume: libvirt.virStorageVol, field: str) -> None:
        check_volume(self._connection, volume.path(), self._host, field=field)


def new_volume(domain: str, target: str, disk: NewDisk, id: str) -> VolumeSpec:
    """Return the specification of a new disk's volume.

    The default name is made of domain, target and digits of `id`, the UUID of the volume's record.
    """
    return VolumeSpec(
        pool=disk.pool,
        name=disk.volume_name or f"{domain}-{target}-{name_digits(id)}.{disk.format.lower()}",
        capacity_bytes=disk.capacity_bytes,
        format=disk.format,
        base=disk.base,
    )


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

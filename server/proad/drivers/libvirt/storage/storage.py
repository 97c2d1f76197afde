"""Creation and lists of volumes in storage pools; used on the driver's threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import libvirt
import structlog
from lxml import etree

from proad.drivers.libvirt.errors import ENGINE, code_of, values_of
from proad.drivers.libvirt.rollback import Rollback
from proad.drivers.libvirt.storage import pools
from proad.drivers.libvirt.storage.backing_chains import BackingChains
from proad.drivers.libvirt.storage.catalog import VolumeCatalog, created_record
from proad.drivers.libvirt.storage.delete import VolumeDeleter
from proad.drivers.libvirt.storage.finder import Finder
from proad.drivers.libvirt.storage.media import check_written
from proad.drivers.libvirt.storage.recorder import VolumeRecorder
from proad.drivers.libvirt.storage.reservations import Reservations
from proad.drivers.libvirt.storage.volume_view import view_of, volume_xml
from proad.drivers.libvirt.xml.domain_xml import Source
from proad.drivers.libvirt.xml.parser import serialise
from proad.errors import (
    AlreadyExistsError,
    HostExhaustedError,
    PoolNotFoundError,
)
from proad.model import DiskFormat, PlannedVolume, Volume, VolumeRef, VolumeSpec
from proad.ports.records import Layer, RecordState, name_digits

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedVolume:
    """A volume that may be created, as far as that can be known without an effect.

    Attributes:
        id: a UUID for its record.
        spec: its specification.
        message: path of the message in the request that describes the volume, for errors.
        base_chain: the images below it, the nearest first.
        document: libvirt's XML.
    """

    id: str
    spec: VolumeSpec
    message: str
    base_chain: tuple[Layer, ...]
    document: etree._Element

    @property
    def capacity(self) -> int:
        """The capacity in bytes."""
        return int(self.document.findtext("capacity", "0"))

    def source(self, finder: Finder, connection: libvirt.virConnect) -> Source:
        """Return the source of a disk on the volume, as far as that is known before."""
        path = f"{finder.path(connection, self.spec.pool)}/{self.spec.name}"
        below = tuple(
            Source(path=each.path, format=each.format, block=each.path.startswith("/dev/"))
            for each in self.base_chain
        )
        block = path.startswith("/dev/")
        return Source(path=path, format=self.spec.format, block=block, below=below)

    def planned(self, finder: Finder) -> PlannedVolume:
        """Return what the volume will be found by."""
        return PlannedVolume(
            pool=finder.pool_name(self.spec.pool),
            name=self.spec.name,
            named_by_caller=name_digits(self.id) not in self.spec.name,
            capacity_bytes=self.capacity,
            format=self.spec.format,
            id=self.id,
        )


class Storage:
    """The volumes of a host.

    Args:
        finder: finds pools and volumes.
        catalog: the records of the volumes that Proa created.
    """

    def __init__(self, finder: Finder, catalog: VolumeCatalog) -> None:
        self.find = finder
        self._catalog = catalog
        self.chains = BackingChains(catalog)
        self.reservations = Reservations()
        self.deleter = VolumeDeleter(finder, catalog, self.reservations)
        self.recorder = VolumeRecorder(finder, catalog, self.reservations)
        # Pools whose unreadable volume names have been logged.
        self._logged: set[str] = set()

    @contextmanager
    def reserved(
        self, connection: libvirt.virConnect, ref: VolumeRef
    ) -> Iterator[libvirt.virStorageVol]:
        """Find a volume, and protect it from deletion while it is put to use.

        Raises:
            VolumeNotFoundError: no such pool, or nothing of that name in it.
        """
        with self.reservations.reserve([self.find.volume(connection, ref).path()]):
            yield self.find.volume(connection, ref)  # fails if deleted meanwhile

    def list(self, connection: libvirt.virConnect, pool: str = "") -> list[Volume]:
        """Return the volumes of a pool, or of all active ones."""
        if pool:
            return [*self._volumes(connection, self.find.pool(connection, pool))]
        found: list[Volume] = []
        for each in pools.active_pools(connection):
            try:
                found += self._volumes(connection, each)
            except libvirt.libvirtError:
                if pools.is_active(each):
                    raise
        return found

    def recorded(self, connection: libvirt.virConnect) -> set[str]:
        """Return the ids of the records of all volumes.

        Raises:
            DatabaseUnreachableError: the records are unreadable.
        """
        return {record.id for record in self._catalog.load(connection)}

    def prepare(
        self,
        connection: libvirt.virConnect,
        spec: VolumeSpec,
        *,
        id: str,
        message: str = "spec",
    ) -> PreparedVolume:
        """Check all that a volume needs, and change nothing; its base must be reserved.

        Args:
            connection: to libvirt.
            spec: the volume.
            id: a UUID for the volume's record.
            message: path of the message in the request that describes the volume, for errors.

        Raises:
            AlreadyExistsError: the name is taken.
            InvalidArgumentError: the format of an image in the backing chain is unknown or wrong.
            VolumeNotFoundError: no such pool or base volume.
            HostExhaustedError: the pool has less room than the volume takes at once.
        """
        base: Volume | None = None
        chain: tuple[Layer, ...] = ()
        if spec.base is not None:
            base, chain = self._base(connection, spec.base, f"{message}.base")
        document = volume_xml(spec, base)
        prepared = PreparedVolume(
            id=id, spec=spec, message=message, base_chain=chain, document=document
        )
        try:
            pool = self.find.pool(connection, spec.pool)
        except PoolNotFoundError:
            if spec.pool:
                raise
            return prepared  # the default pool is made with its first volume
        if pools.known(pool, spec.name) is not None:
            raise AlreadyExistsError("volume", spec.name)
        if spec.preallocate and prepared.capacity > (available := pool.info()[3]):
            raise HostExhaustedError(
                ENGINE,
                f"pool {pool.name()!r} has {available} bytes left, "
                f"{prepared.capacity} are to be taken",
            )
        return prepared

    def create(
        self,
        connection: libvirt.virConnect,
        prepared: PreparedVolume,
        rollback: Rollback,
        *,
        owner: str = "",
    ) -> libvirt.virStorageVol:
        """Create a volume; record it beforehand.

        Args:
            connection: to libvirt.
            prepared: the volume.
            rollback: gets the undo, which removes nothing but what was created here.
            owner: UUID of the domain that the volume goes with; empty: none.

        Raises:
            AlreadyExistsError: the name is taken.
            InvalidArgumentError: the volume is larger than its format or the pool permits.
            DatabaseUnreachableError: the record cannot be written; nothing was created.
        """
        spec = prepared.spec
        pool = self.find.pool(connection, spec.pool, make=True)
        if pools.known(pool, spec.name) is not None:
            raise AlreadyExistsError("volume", spec.name)
        flags = 0
        if spec.preallocate and spec.format is DiskFormat.QCOW2:
            flags = libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA
        planned = self._catalog.plan(
            connection,
            pool=pool.name(),
            name=spec.name,
            format=spec.format,
            base_chain=prepared.base_chain,
            owner=owner,
            id=prepared.id,
        )
        rollback.on_failure(
            f"record of volume {spec.name}", lambda again: self._catalog.end(again, [planned])
        )
        try:
            with values_of(prepared.message):
                volume = pool.createXML(serialise(prepared.document), flags)
        except libvirt.libvirtError as error:
            taken = code_of(error) == libvirt.VIR_ERR_STORAGE_VOL_EXIST
            # libvirt's error for an existing file that the pool does not know.
            if not taken and code_of(error) == libvirt.VIR_ERR_OPERATION_INVALID:
                taken = pools.is_there(pool, spec.name)
            if taken:
                raise AlreadyExistsError("volume", spec.name) from None
            raise
        record = created_record(connection, planned, volume)
        rollback.on_failure(f"volume {spec.name}", partial(self.deleter.take, record=record))
        self._catalog.put(connection, record)
        return volume

    def disown(self, connection: libvirt.virConnect, owner: str, *, before: datetime) -> None:
        """Make the volumes of an earlier domain of this UUID, which others removed, ordinary.

        Args:
            connection: to libvirt.
            owner: the UUID.
            before: begin of the new domain's create; younger volumes were created for it.

        Raises:
            DatabaseUnreachableError: the change cannot be recorded.
        """
        for record in self._catalog.made_for(connection, owner):
            if record.create_time < before:
                self._catalog.put(connection, replace(record, state=RecordState.ORDINARY, owner=""))

    def _base(
        self, connection: libvirt.virConnect, ref: VolumeRef, field: str
    ) -> tuple[Volume, tuple[Layer, ...]]:
        """Return a base volume, and the backing chain of a volume on top of it."""
        volume = self.find.volume(connection, ref)
        check_written(volume.path(), field=field)
        format = self.chains.format_of(connection, volume, ref.format, f"{field}.format")
        below = self.chains.backing_chain(connection, volume, format, field)
        view = view_of(volume, "", format)
        return view, (Layer(path=view.path, format=format), *below)

    def _volumes(
        self, connection: libvirt.virConnect, pool: libvirt.virStoragePool
    ) -> Iterator[Volume]:
        pool_name = pool.name()
        for name, volume in pools.volumes_in(pool):
            if not name:
                self._log_unreadable_name(pool_name)
                continue
            try:
                record = self._catalog.of_volume(connection, volume)
                made = (record.format, record.id) if record else (None, "")
                yield view_of(volume, pool_name, *made)
            except libvirt.libvirtError as error:
                if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_VOL:  # deleted a moment ago
                    raise

    def _log_unreadable_name(self, pool: str) -> None:
        if pool not in self._logged:
            self._logged.add(pool)
            _log.warning("libvirt.volume_left_out", pool=pool, reason="its name is not UTF-8")

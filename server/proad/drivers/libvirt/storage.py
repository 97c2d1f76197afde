"""Storage pools and their volumes; used on the driver's threads."""

import contextlib
import threading
from collections.abc import Iterable, Iterator

import libvirt
from lxml import etree

from proad.core.records import Layer, VolumeRecord
from proad.drivers.libvirt.domain_view import domain_of
from proad.drivers.libvirt.errors import ENGINE, code_of, seek
from proad.drivers.libvirt.ledger import Ledger
from proad.drivers.libvirt.rollback import Rollback
from proad.drivers.libvirt.xml import parse, serialise
from proad.errors import AlreadyExistsError, HostExhaustedError, InUseError, VolumeNotFoundError
from proad.model import DiskFormat, Volume, VolumeRef, VolumeSpec


class Storage:
    """The pools of a host.

    Args:
        default_pool: name of the pool that an empty name means.
        default_path: folder of that pool, for when it has to be made.
        ledger: what is known of the volumes that Proa made.
    """

    def __init__(self, default_pool: str, default_path: str, ledger: Ledger) -> None:
        self._ledger = ledger
        self._default_pool = default_pool
        self._default_path = default_path
        self._making = threading.Lock()

    def pool(
        self, connection: libvirt.virConnect, name: str, *, make: bool = False
    ) -> libvirt.virStoragePool:
        """Find a pool; an empty name is the default one, which `make` makes if need be.

        Raises:
            VolumeNotFoundError: there is none.
        """
        try:
            return seek(connection.storagePoolLookupByName, name or self._default_pool)
        except libvirt.libvirtError as error:
            if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_POOL:
                raise
        if make and not name:
            return self._make_default(connection)
        raise VolumeNotFoundError(
            name or self._default_pool, detail="(no storage pool of this name)"
        )

    def volume(self, connection: libvirt.virConnect, ref: VolumeRef) -> libvirt.virStorageVol:
        """Find a volume, also one that came into the pool behind libvirt's back.

        Raises:
            VolumeNotFoundError: no such pool, or nothing of that name in it.
        """
        pool = self.pool(connection, ref.pool)
        found = _find(pool, ref.name) or _find_after_refresh(pool, ref.name)
        if found is None:
            raise VolumeNotFoundError(ref.name, detail=f"in pool {pool.name()!r}")
        return found

    def list(self, connection: libvirt.virConnect, pool: str = "") -> list[Volume]:
        """Give the volumes of a pool, or of all active ones."""
        return _volumes(self.pool(connection, pool)) if pool else _all_volumes(connection)

    def create(
        self,
        connection: libvirt.virConnect,
        spec: VolumeSpec,
        rollback: Rollback,
        *,
        owner: str = "",
    ) -> libvirt.virStorageVol:
        """Create a volume, recorded before libvirt is asked for it.

        Args:
            connection: to libvirt.
            spec: what to make.
            rollback: takes it away again, if and only if it was made here.
            owner: UUID of the domain that it goes with; empty: of none.

        Raises:
            AlreadyExistsError: the name is taken.
            VolumeNotFoundError: no such pool or base volume.
            HostExhaustedError: the pool has less room than is to be taken at once.
            DatabaseUnreachableError: it cannot be recorded; nothing was made.
        """
        base = self.volume(connection, spec.base) if spec.base is not None else None
        pool = self.pool(connection, spec.pool, make=True)
        if _find(pool, spec.name) is not None:
            raise AlreadyExistsError("volume", spec.name)
        root = volume_xml(spec, view_of(base, pool.name()) if base is not None else None)
        capacity = int(root.findtext("capacity", "0"))
        if spec.preallocate and capacity > (available := pool.info()[3]):
            raise HostExhaustedError(
                ENGINE,
                f"pool {pool.name()!r} has {available} bytes left, {capacity} are to be taken",
            )
        flags = 0
        if spec.preallocate and spec.format is DiskFormat.QCOW2:
            flags = libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA
        record = self._ledger.plan(
            connection,
            pool=pool.name(),
            name=spec.name,
            format=spec.format,
            base_chain=self._layers(connection, base) if base is not None else (),
            owner=owner,
        )
        rollback.on_failure(
            f"record of volume {spec.name}", lambda again: self._ledger.end(again, [record])
        )
        try:
            volume = pool.createXML(serialise(root), flags)
        except libvirt.libvirtError as error:
            taken = code_of(error) == libvirt.VIR_ERR_STORAGE_VOL_EXIST
            # So says libvirt of a file of that name that the pool did not know.
            if not taken and code_of(error) == libvirt.VIR_ERR_OPERATION_INVALID:
                taken = _find_after_refresh(pool, spec.name) is not None
            if taken:
                raise AlreadyExistsError("volume", spec.name) from None
            raise
        made = VolumeRef(pool=pool.name(), name=spec.name)
        rollback.on_failure(f"volume {spec.name}", lambda again: self.volume(again, made).delete())
        self._ledger.made(connection, record, volume)
        return volume

    def delete(self, connection: libvirt.virConnect, ref: VolumeRef) -> None:
        """Delete a volume that nobody uses.

        Raises:
            VolumeNotFoundError: no such pool or volume.
            InUseError: a domain or another volume needs it.
        """
        volume = self.volume(connection, ref)
        if users := users_of(connection, volume):
            raise InUseError("volume", ref.name, users)
        record = self._ledger.of_volume(connection, volume)
        volume.delete()
        if record is not None:
            self._ledger.end(connection, [record])

    def delete_owned(
        self, connection: libvirt.virConnect, records: Iterable[VolumeRecord], *, owner: str
    ) -> None:
        """Delete what was made for a domain, but keep what another one uses by now.

        A volume that is not the recorded one any more, whatever its name, stays.

        Args:
            connection: to libvirt.
            records: the volumes. One that is gone already is no error.
            owner: UUID of the domain, whose own use does not count.
        """
        for record in records:
            try:
                volume = self.volume(connection, VolumeRef(pool=record.pool, name=record.name))
            except VolumeNotFoundError:
                self._ledger.end(connection, [record])
                continue
            if not self._ledger.is_same(connection, record, volume):
                self._ledger.end(connection, [record])
                continue
            if users_of(connection, volume, but=owner):
                self._ledger.release(connection, [record])
                continue
            try:
                volume.delete()
            except libvirt.libvirtError as error:  # another stop of the domain was quicker
                if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_VOL:
                    raise
            self._ledger.end(connection, [record])

    def _layers(
        self, connection: libvirt.virConnect, base: libvirt.virStorageVol
    ) -> tuple[Layer, ...]:
        """Give the images that a volume made on a base has below it."""
        if (record := self._ledger.of_volume(connection, base)) is not None:
            return (Layer(path=record.path, format=record.format), *record.base_chain)
        view = view_of(base, "")
        return (Layer(path=view.path, format=view.format or DiskFormat.RAW),)

    def _make_default(self, connection: libvirt.virConnect) -> libvirt.virStoragePool:
        root = etree.Element("pool", type="dir")
        etree.SubElement(root, "name").text = self._default_pool
        etree.SubElement(etree.SubElement(root, "target"), "path").text = self._default_path
        with self._making:
            try:  # somebody was quicker
                return seek(connection.storagePoolLookupByName, self._default_pool)
            except libvirt.libvirtError as error:
                if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_POOL:
                    raise
            pool = connection.storagePoolDefineXML(serialise(root))
            try:
                pool.build()
                pool.create()
                pool.setAutostart(1)
            except libvirt.libvirtError:
                if pool.isActive():
                    pool.destroy()
                pool.undefine()
                raise
        return pool


def volume_xml(spec: VolumeSpec, base: Volume | None) -> etree._Element:
    """Make libvirt's XML of a volume to be."""
    capacity = spec.capacity_bytes or (base.capacity_bytes if base is not None else 0)
    root = etree.Element("volume")
    etree.SubElement(root, "name").text = spec.name
    etree.SubElement(root, "capacity", unit="bytes").text = str(capacity)
    allocation = capacity if spec.preallocate else 0
    etree.SubElement(root, "allocation", unit="bytes").text = str(allocation)
    target = etree.SubElement(root, "target")
    etree.SubElement(target, "format", type=spec.format.lower())
    if base is not None:
        backing = etree.SubElement(root, "backingStore")
        etree.SubElement(backing, "path").text = base.path
        etree.SubElement(backing, "format", type=(base.format or DiskFormat.RAW).lower())
    return root


def view_of(volume: libvirt.virStorageVol, pool: str) -> Volume:
    """Read a volume."""
    root = parse(volume.XMLDesc())
    kind = root.find("target/format")
    word = "" if kind is None else kind.get("type", "").upper()
    return Volume(
        pool=pool,
        name=volume.name(),
        path=root.findtext("target/path", ""),
        format=DiskFormat(word) if word in DiskFormat.__members__ else None,
        capacity_bytes=int(root.findtext("capacity", "0")),
        allocation_bytes=int(root.findtext("allocation", "0")),
        base_path=root.findtext("backingStore/path", ""),
    )


def users_of(
    connection: libvirt.virConnect, volume: libvirt.virStorageVol, *, but: str = ""
) -> list[str]:
    """Name the domains, running or not, and the volumes that need a volume."""
    path, name = volume.path(), volume.name()
    pool = volume.storagePoolLookupByVolume().name()
    needed = VolumeRef(pool=pool, name=name)
    users = [
        f"domain {domain.name()}"
        for domain in connection.listAllDomains()
        if domain.UUIDString() != but
        and any(
            disk.path == path or disk.volume == needed
            for xml in _configurations(domain)
            for disk in domain_of(xml).disks
        )
    ]
    users += [
        f"volume {other.name}" for other in _all_volumes(connection) if other.base_path == path
    ]
    return sorted(users)


def _configurations(domain: libvirt.virDomain) -> Iterator[str]:
    """Give what runs and what the next start will use."""
    try:
        yield domain.XMLDesc()
        yield domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_DOMAIN:  # gone: needs nothing any more
            raise


def _all_volumes(connection: libvirt.virConnect) -> list[Volume]:
    """Read the volumes of all active pools, but for those that end meanwhile."""
    found: list[Volume] = []
    for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
        try:
            found += _volumes(pool)
        except libvirt.libvirtError:
            if _is_active(pool):
                raise
    return found


def _volumes(pool: libvirt.virStoragePool) -> list[Volume]:
    name = pool.name()
    found: list[Volume] = []
    for volume in pool.listAllVolumes():
        try:
            found.append(view_of(volume, name))
        except libvirt.libvirtError as error:
            if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_VOL:  # deleted a moment ago
                raise
    return found


def _is_active(pool: libvirt.virStoragePool) -> bool:
    try:
        return bool(pool.isActive() == 1)
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
    return False


def _find(pool: libvirt.virStoragePool, name: str) -> libvirt.virStorageVol | None:
    try:
        return seek(pool.storageVolLookupByName, name)
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_VOL:
            raise
    return None


def _find_after_refresh(pool: libvirt.virStoragePool, name: str) -> libvirt.virStorageVol | None:
    # A pool in which a volume is being made refuses, and then must do as it is.
    with contextlib.suppress(libvirt.libvirtError):
        pool.refresh()
    # libvirt stops a pool that it cannot read, be it that a file went at that moment.
    if not _is_active(pool):
        with contextlib.suppress(libvirt.libvirtError):
            pool.create()
    return _find(pool, name)

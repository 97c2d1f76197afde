"""Lookups of pools and volumes by name; used on the driver's threads."""

import shlex
import threading

import libvirt
from lxml import etree

from proad.drivers.libvirt.errors import ENGINE, code_of, seek
from proad.drivers.libvirt.storage import pools
from proad.drivers.libvirt.xml.parser import parse, serialise
from proad.errors import EngineConflictError, PoolNotFoundError, VolumeNotFoundError
from proad.model import VolumeRef


class Finder:
    """Finds pools and volumes.

    Args:
        default_pool: name of the pool that an empty name means.
        default_path: folder of that pool, for its creation.
    """

    def __init__(self, default_pool: str, default_path: str) -> None:
        self._default_pool = default_pool
        self._default_path = default_path
        self._making = threading.Lock()

    def pool_name(self, name: str) -> str:
        """Return the name of a pool; an empty one means the default pool."""
        return name or self._default_pool

    @property
    def default(self) -> tuple[str, str]:
        """Name and folder of the default pool."""
        return self._default_pool, self._default_path

    def path(self, connection: libvirt.virConnect, name: str) -> str:
        """Return the target path of a pool; of the default one also before it is made."""
        try:
            root = parse(self.pool(connection, name).XMLDesc())
        except PoolNotFoundError:
            if name:
                raise
            return self._default_path
        return root.findtext("target/path", "").rstrip("/")

    def pool(
        self,
        connection: libvirt.virConnect,
        name: str,
        *,
        make: bool = False,
        or_else: str = "",
    ) -> libvirt.virStoragePool:
        """Return an active pool; an empty name means the default one, which `make` creates if missing.

        Raises:
            PoolNotFoundError: no such pool.
            EngineConflictError: the pool is inactive; `or_else` names an alternative for the hint.
        """
        try:
            found = seek(connection.storagePoolLookupByName, name or self._default_pool)
            active = found.isActive()
        except libvirt.libvirtError as error:
            if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_POOL:
                raise
        else:
            if not active:
                raise _inactive(found.name(), or_else)
            return found
        if make and not name:
            return self._make_default(connection)
        raise PoolNotFoundError(name or self._default_pool)

    def volume(
        self, connection: libvirt.virConnect, ref: VolumeRef, *, or_else: str = ""
    ) -> libvirt.virStorageVol:
        """Return a volume, by the files in the pool rather than by libvirt's list of them.

        For calls that change something: the lookup may refresh the pool.

        Raises:
            VolumeNotFoundError: no such pool, or nothing of that name in it.
            EngineConflictError: the pool is inactive; see `pool`.
        """
        pool = self.pool(connection, ref.pool, or_else=or_else)
        found = pools.known(pool, ref.name)
        obstacle = ""
        if found is None:
            obstacle = pools.refresh(pool, ref.name)
            found = pools.find(pool, ref.name)
        if found is None:
            raise VolumeNotFoundError(ref.name, detail=f"in pool {pool.name()!r}{obstacle}")
        return found

    def _make_default(self, connection: libvirt.virConnect) -> libvirt.virStoragePool:
        root = etree.Element("pool", type="dir")
        etree.SubElement(root, "name").text = self._default_pool
        etree.SubElement(etree.SubElement(root, "target"), "path").text = self._default_path
        with self._making:
            try:  # another thread was faster
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


def _inactive(pool: str, or_else: str) -> EngineConflictError:
    hint = f"start it, such as with `virsh pool-start {shlex.quote(pool)}`"
    return EngineConflictError(
        ENGINE,
        f"the storage pool {pool!r} is not active",
        hint=f"{hint}, {or_else}" if or_else else hint,
    )

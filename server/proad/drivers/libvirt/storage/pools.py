"""Storage pools: their folders, and libvirt's view of their volumes."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from errno import EINVAL
from functools import partial
from pathlib import Path
from typing import TypeVar

import libvirt
import structlog
from lxml import etree

from proad.drivers.libvirt.errors import code_of, seek
from proad.drivers.libvirt.host.virt import is_local
from proad.drivers.libvirt.storage import qcow2
from proad.drivers.libvirt.storage.image_files import ImageFiles
from proad.drivers.libvirt.storage.qcow2 import Header, UnreadableImageError
from proad.drivers.libvirt.xml.parser import parse
from proad.ports.records import VolumeRecord

T = TypeVar("T")

_log = structlog.get_logger(__name__)

# Types of pools whose volumes are the files of a folder.
_FOLDERS = frozenset({"dir", "fs", "netfs"})
# The pool does not exist, or is inactive.
NO_POOL = frozenset({libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_OPERATION_INVALID})
NO_VOLUME = frozenset({libvirt.VIR_ERR_NO_STORAGE_VOL, libvirt.VIR_ERR_INVALID_STORAGE_VOL})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoragePool:
    """A storage pool.

    Attributes:
        name: its name.
        path: its target path.
        folder: whether its volumes are the files there.
        active: whether it is active.
    """

    name: str
    path: str
    folder: bool
    active: bool

    def holds(self, path: str, *, local: bool) -> bool:
        """Return whether a file is in the pool's folder or below, with links resolved."""
        if not self.path:
            return False
        inside, whole = (os.path.realpath(each) if local else each for each in (self.path, path))
        return whole.startswith(inside.rstrip("/") + "/")


def decoded(read: Callable[[], T]) -> T | None:
    """Return a text of libvirt; None: not UTF-8, which libvirt's binding cannot decode."""
    try:
        return read()
    except (UnicodeDecodeError, SystemError):
        return None


def document(read: Callable[[], str]) -> etree._Element | None:
    """Return a document of libvirt; None: not UTF-8, or no XML.

    libvirt copies names and texts into XML that XML does not permit, such as U+FFFF.
    """
    text = decoded(read)
    try:
        return None if text is None else parse(text)
    except etree.XMLSyntaxError:
        return None


def volume_document(volume: libvirt.virStorageVol) -> etree._Element | None:
    """Return the XML of a volume; None: unreadable, or libvirt fails to generate it."""
    return unless_undescribed(partial(document, volume.XMLDesc))


def unless_undescribed(ask: Callable[[], T]) -> T | None:
    """Return libvirt's answer about a volume; None: it fails because of the image's content.

    For example, it fails for an image with a backing file without a format.
    """
    try:
        return ask()
    except libvirt.libvirtError as error:
        invalid = code_of(error) == libvirt.VIR_ERR_SYSTEM_ERROR and error.get_int1() == EINVAL
        if code_of(error) != libvirt.VIR_ERR_INTERNAL_ERROR and not invalid:
            raise
        return None


def all_pools(connection: libvirt.virConnect) -> list[StoragePool]:
    """Return all pools, except for those that are removed meanwhile."""
    found = []
    for pool in connection.listAllStoragePools():
        try:
            root, active = document(pool.XMLDesc), bool(pool.isActive())
        except libvirt.libvirtError as error:
            if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_POOL:
                raise
            continue
        if root is not None:
            found.append(
                StoragePool(
                    name=root.findtext("name", ""),
                    path=root.findtext("target/path", ""),
                    folder=root.get("type") in _FOLDERS,
                    active=active,
                )
            )
    return found


def active_pools(connection: libvirt.virConnect) -> list[libvirt.virStoragePool]:
    """Return the active pools."""
    return list(connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE))


def volumes_in(pool: libvirt.virStoragePool) -> Iterator[tuple[str, libvirt.virStorageVol]]:
    """Yield the volumes of a pool with their names; an unreadable name is empty."""
    for volume in pool.listAllVolumes():
        yield decoded(volume.name) or "", volume


def paths_in(connection: libvirt.virConnect, pool: str) -> list[str]:
    """Return the paths of the volumes of a pool; none of one that is removed meanwhile."""
    try:
        found = seek(connection.storagePoolLookupByName, pool).listAllVolumes()
    except libvirt.libvirtError as error:
        if code_of(error) not in NO_POOL:
            raise
        return []
    return [path for volume in found if (path := decoded(volume.path))]


def files_in(folder: str) -> list[str] | None:
    """Return the paths of the files in a folder; None: the folder is unreadable."""
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_file()]
    except OSError:
        return None


def is_active(pool: libvirt.virStoragePool) -> bool:
    """Return whether a pool exists and is active."""
    try:
        return bool(pool.isActive() == 1)
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
    return False


def find(pool: libvirt.virStoragePool, name: str) -> libvirt.virStorageVol | None:
    """Return libvirt's volume of that name; None if it knows none."""
    try:
        return seek(pool.storageVolLookupByName, name)
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_VOL:
            raise
    return None


def known(pool: libvirt.virStoragePool, name: str) -> libvirt.virStorageVol | None:
    """Return libvirt's volume of that name; None also if others removed its file.

    libvirt does not notice the removal before a refresh.
    """
    found = find(pool, name)
    if found is not None and _has_gone(pool, found):
        refresh(pool, name)
        found = find(pool, name)
    return found


def _has_gone(pool: libvirt.virStoragePool, volume: libvirt.virStorageVol) -> bool:
    """Return whether the file of a volume is missing in an existing folder.

    An empty folder may be an unmounted one: a refresh would make libvirt forget the other volumes
    too, and with them their backing chains.
    """
    path = decoded(volume.path)
    if path is None or not is_local(volume.connect()) or os.path.lexists(path):
        return False
    folder = Path(path).parent
    return folder.is_dir() and (any(folder.iterdir()) or pool.numOfVolumes() == 1)


def is_there(pool: libvirt.virStoragePool, name: str) -> bool:
    """Return whether a pool has a volume or a file of that name."""
    path = parse(pool.XMLDesc()).findtext("target/path", "")
    if path and os.path.lexists(f"{path}/{name}"):
        return True
    refresh(pool, name)
    return find(pool, name) is not None


def refresh(pool: libvirt.virStoragePool, name: str) -> str:
    """Refresh a pool for a volume that was added or removed; return why that is impossible.

    libvirt stops a pool whose refresh fails, and cannot start it again while the cause is there.
    Hence refresh only if there is a change, and no torn image; if neither is visible from here,
    restart a pool that was stopped.
    """
    if not is_active(pool):
        return ""
    path = parse(pool.XMLDesc()).findtext("target/path", "")
    if path and Path(path).is_dir():
        if not os.path.lexists(f"{path}/{name}") and find(pool, name) is None:
            return ""
        if torn := _torn(path):
            return f", which cannot be refreshed: {torn}"
    try:
        pool.refresh()
    except libvirt.libvirtError as error:
        if is_active(pool):
            return ""  # a volume is being created in it, which it will know
        try:
            pool.create()
        except libvirt.libvirtError:
            _log.error("libvirt.pool_stopped", pool=pool.name(), error=str(error))
    return ""


def _torn(folder: str) -> str:
    """Return a description of a file that a refresh would fail at; empty if there is none."""
    for path in files_in(folder) or ():
        try:
            qcow2.read_file(path)
        except qcow2.TornImageError as error:
            return f"{qcow2.printable(path)} {error}"
        except (qcow2.UnreadableImageError, OSError):
            continue
    return ""


def images(
    connection: libvirt.virConnect, *seen: str, recorded: Iterable[VolumeRecord] = ()
) -> ImageFiles:
    """Return the image files of libvirt's host.

    Args:
        connection: to libvirt.
        seen: paths of volumes. If libvirt finds one that is missing here, its files are not
            those of this process: they are of another host, a container or a test hypervisor.
        recorded: records of existing volumes.
    """
    local = is_local(connection) and not any(
        _sees(connection, path) for path in seen if not os.path.lexists(path)
    )
    folders: list[str] = []

    def ask(path: str) -> Header | None:
        if not folders:
            folders.extend(pool.path for pool in all_pools(connection) if pool.active)
        return _header_of(connection, path, folders)

    return ImageFiles(local=local, ask=ask, recorded=recorded)


def _sees(connection: libvirt.virConnect, path: str) -> bool:
    """Return whether libvirt finds the file of a volume now."""
    try:
        seek(seek(connection.storageVolLookupByPath, path).info)
    except libvirt.libvirtError as error:
        if code_of(error) not in NO_VOLUME:
            raise
        return False
    return True


def _header_of(
    connection: libvirt.virConnect, path: str, folders: Collection[str]
) -> Header | None:
    """Return the header of an image as of libvirt's last refresh of its pool."""
    try:
        volume = seek(connection.storageVolLookupByPath, path)
        root = volume_document(volume)
    except libvirt.libvirtError as error:
        if code_of(error) not in NO_VOLUME:
            raise
        if os.path.dirname(path) in folders:  # noqa: PTH120 - of another host
            raise FileNotFoundError(path) from None
        raise UnreadableImageError("is in no active pool, and cannot be read from here") from None
    if root is None:
        raise UnreadableImageError("names a base that libvirt cannot tell")
    # libvirt's format of the base is probed, hence not used.
    return Header(backing=root.findtext("backingStore/path", ""))

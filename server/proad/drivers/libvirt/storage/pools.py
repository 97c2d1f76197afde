"""Storage pools: where they are, and what libvirt knows of their volumes."""

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

# Pools whose volumes are the files of a folder.
_FOLDERS = frozenset({"dir", "fs", "netfs"})
# There is no such pool, or it is stopped.
NO_POOL = frozenset({libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_OPERATION_INVALID})
NO_VOLUME = frozenset({libvirt.VIR_ERR_NO_STORAGE_VOL, libvirt.VIR_ERR_INVALID_STORAGE_VOL})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoragePool:
    """A storage pool.

    Attributes:
        name: its name.
        path: where its volumes are.
        folder: whether they are the files there.
        active: whether libvirt lists them.
    """

    name: str
    path: str
    folder: bool
    active: bool

    def holds(self, path: str, *, local: bool) -> bool:
        """Return whether a file is in the pool's folder or below, once links are resolved."""
        if not self.path:
            return False
        inside, whole = (os.path.realpath(each) if local else each for each in (self.path, path))
        return whole.startswith(inside.rstrip("/") + "/")


def decoded(read: Callable[[], T]) -> T | None:
    """Return what libvirt says; None: it is not UTF-8, which libvirt's binding cannot pass on."""
    try:
        return read()
    except (UnicodeDecodeError, SystemError):
        return None


def document(read: Callable[[], str]) -> etree._Element | None:
    """Return a document of libvirt's; None: it is not UTF-8, or no XML.

    libvirt writes names and texts that hold what no XML can, such as U+FFFF.
    """
    text = decoded(read)
    try:
        return None if text is None else parse(text)
    except etree.XMLSyntaxError:
        return None


def volume_document(volume: libvirt.virStorageVol) -> etree._Element | None:
    """Return what libvirt says of a volume; None: it cannot be read, or libvirt cannot say it."""
    return unless_undescribed(partial(document, volume.XMLDesc))


def unless_undescribed(ask: Callable[[], T]) -> T | None:
    """Return what libvirt answers about a volume; None: it has no words for what the image holds.

    So it fails at an image that names a base, but not the format of that.
    """
    try:
        return ask()
    except libvirt.libvirtError as error:
        invalid = code_of(error) == libvirt.VIR_ERR_SYSTEM_ERROR and error.get_int1() == EINVAL
        if code_of(error) != libvirt.VIR_ERR_INTERNAL_ERROR and not invalid:
            raise
        return None


def all_pools(connection: libvirt.virConnect) -> list[StoragePool]:
    """Return the pools, but for those that go meanwhile."""
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
    """Return the pools that libvirt can list."""
    return list(connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE))


def volumes_in(pool: libvirt.virStoragePool) -> Iterator[tuple[str, libvirt.virStorageVol]]:
    """Yield the volumes of a pool by name; an empty name is one that cannot be told."""
    for volume in pool.listAllVolumes():
        yield decoded(volume.name) or "", volume


def files_in(folder: str) -> list[str] | None:
    """Return the paths of the files in a folder; None: it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_file()]
    except OSError:
        return None


def is_active(pool: libvirt.virStoragePool) -> bool:
    """Return whether a pool is there and active."""
    try:
        return bool(pool.isActive() == 1)
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
    return False


def find(pool: libvirt.virStoragePool, name: str) -> libvirt.virStorageVol | None:
    """Return a volume that libvirt knows; None: it knows none of that name."""
    try:
        return seek(pool.storageVolLookupByName, name)
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_STORAGE_VOL:
            raise
    return None


def known(pool: libvirt.virStoragePool, name: str) -> libvirt.virStorageVol | None:
    """Return a volume that libvirt knows, but for one whose file somebody removed.

    libvirt does not hear of that: it is made to look.
    """
    found = find(pool, name)
    if found is not None and _has_gone(pool, found):
        refresh(pool, name)
        found = find(pool, name)
    return found


def _has_gone(pool: libvirt.virStoragePool, volume: libvirt.virStorageVol) -> bool:
    """Return whether the file of a volume is not where libvirt saw it, in a folder that is.

    A folder without anything in it may be one whose file system is not mounted: a refresh
    would have libvirt forget the other volumes too, and with them what they are based on.
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
    """Have libvirt look for a volume that came or went; give what keeps it from that.

    libvirt stops a pool that it cannot read, and cannot start it again either as long as what it
    stumbled over is there. Hence it is not asked when there is nothing to find or to forget, or
    something to stumble over; where that cannot be seen from here, the pool is at least started
    again.
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
            return ""  # a volume is being made in it, which it then knows
        try:
            pool.create()
        except libvirt.libvirtError:
            _log.error("libvirt.pool_stopped", pool=pool.name(), error=str(error))
    return ""


def _torn(folder: str) -> str:
    """Name a file that a refresh would stumble over."""
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
    """Return a look at the image files of libvirt's host.

    Args:
        connection: to libvirt.
        seen: paths of volumes. Where libvirt sees one that is not here, its files are others:
            those of another host, of a container, or of a hypervisor for tests.
        recorded: what Proa made and is still there.
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
    """Return whether libvirt itself finds the file of a volume, which it may merely remember."""
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
    """Return what libvirt read of an image when it last looked into its pool."""
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
    # The format of the base is a guess of libvirt's.
    return Header(backing=root.findtext("backingStore/path", ""))

"""Media that are named by a path: which files are permitted, and whether QEMU can read them.

At the start of a domain, libvirt changes the owner of its files to QEMU's user, and never changes
that of read-only media back. Hence a medium that is named by its path keeps its owner, and must be
readable as it is.
"""

import os
import stat
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import libvirt
from lxml import etree

from proad.domain_parser import invalid_xml
from proad.drivers.libvirt.host.virt import HostFacts, QemuUser, is_local, is_test
from proad.drivers.libvirt.storage.pools import all_pools
from proad.drivers.libvirt.xml.parser import UNWRITABLE
from proad.errors import InvalidArgumentError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a link that leads in circles",
}
_ACL = "system.posix_acl_access"
_ACL_HEADER, _ACL_ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_OWNER, _USER, _OWNING_GROUP, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20


class Media:
    """Checks the paths of media.

    Args:
        folders: permitted folders, besides those of the storage pools.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = tuple(folders)

    def checked(
        self, connection: libvirt.virConnect, path: str, host: HostFacts, *, field: str
    ) -> str:
        """Return the path of a permitted medium, with all links resolved.

        Args:
            connection: to libvirt.
            path: the caller's absolute path.
            host: facts about the host, with QEMU's user.
            field: the field of the request with the path.

        Raises:
            InvalidArgumentError: the medium is not permitted or unreadable; the text says what
                to change.
        """
        if is_test(connection):
            return path  # the test hypervisor has no files

        def refuse(why: str) -> NoReturn:
            raise InvalidArgumentError.of(field, f"{path!r} {why}")

        if not is_local(connection):
            refuse("is on another host than the daemon: name a volume of a pool instead of a path")
        resolved = os.path.realpath(path)
        pools = (each.path for each in all_pools(connection) if each.active and each.folder)
        folders = sorted({os.path.realpath(f) for f in (*self._folders, *pools) if f})
        # Checked first: outside of these folders, not even the existence of a file is disclosed.
        if not any(Path(resolved).is_relative_to(folder) for folder in folders):
            refuse(
                f"is in no folder for media: move it to one of {', '.join(folders) or 'none'}, "
                "or add its folder to the setting media_dirs of the daemon"
            )
        if UNWRITABLE.search(resolved):
            refuse(f"leads to {resolved!r}, a name that libvirt cannot be told: rename that file")
        try:
            mode = os.lstat(resolved).st_mode
        except OSError as error:
            refuse(f"cannot be used: {error.strerror}")
        if not stat.S_ISREG(mode):
            refuse(f"is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a regular file")
        user = host.qemu_user or QemuUser.of_this_process()
        if obstacle := _obstacle(resolved, user):
            refuse(
                f"cannot be read by QEMU, which runs as {user}: {obstacle}, "
                "or move the file to where it can be read; as a volume of a pool it is made "
                "readable by libvirt"
            )
        return resolved


def check_files(connection: libvirt.virConnect, root: etree._Element, host: HostFacts) -> None:
    """Refuse a caller's domain whose files are missing, or in folders that QEMU cannot enter.

    libvirt checks files only at the start, and folders never. Files of another host are not
    checked.

    Args:
        connection: to libvirt.
        root: the `<domain>`.
        host: facts about the host, with QEMU's user.

    Raises:
        InvalidArgumentError: with the field "xml".
    """
    if not is_local(connection):
        return
    user = host.qemu_user or QemuUser.of_this_process()
    for what, path, relabelled in _files_of(root):
        try:
            mode = Path(path).stat().st_mode
        except PermissionError:  # QEMU's user may have access that the daemon lacks, as with NFS
            continue
        except OSError as error:
            raise invalid_xml(
                f"{what} names {path!r}, which cannot be used: {error.strerror}"
            ) from None
        if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "something else")
            raise invalid_xml(
                f"{what} names {path!r}, which is {kind}, not a file or a block device"
            )
        if obstacle := _obstacle(os.path.realpath(path), user, relabelled=relabelled):
            raise invalid_xml(
                f"{what} names {path!r}, which QEMU, as {user}, cannot read: {obstacle}"
            )


def check_volume(connection: libvirt.virConnect, path: str, host: HostFacts, *, field: str) -> None:
    """Refuse a volume in a folder that QEMU cannot enter; libvirt makes the file readable.

    Raises:
        InvalidArgumentError: the folder is closed to QEMU, or XML does not permit the name; the
            text says what to change.
    """
    check_written(path, field=field)
    if not is_local(connection):
        return
    user = host.qemu_user or QemuUser.of_this_process()
    if obstacle := _obstacle(os.path.realpath(path), user, relabelled=True):
        raise InvalidArgumentError.of(
            field, f"is {path!r}, which QEMU, as {user}, cannot read: {obstacle}"
        )


def check_written(path: str, *, field: str) -> None:
    """Raise InvalidArgumentError if XML does not permit a path."""
    if UNWRITABLE.search(path):
        raise InvalidArgumentError.of(
            field, f"is {path!r}, a name that libvirt cannot be told: rename that file"
        )


def _files_of(root: etree._Element) -> Iterator[tuple[str, str, bool]]:
    """Yield the files that a start needs: the element, the path, and whether libvirt changes the
    owner to QEMU's user.
    """
    for tag in ("kernel", "initrd", "dtb"):
        if path := (root.findtext(f"os/{tag}") or "").strip():
            yield f"<{tag}>", path, True
    for disk in root.iterfind("devices/disk"):
        for source in disk.iter("source"):
            path = source.get("file") or source.get("dev") or ""
            if path and source.get("startupPolicy", "mandatory") == "mandatory":
                labels = source.findall("seclabel[@relabel='no']")
                target = disk.find("target")
                name = "" if target is None else target.get("dev", "")
                yield f"the disk {name}", path, not labels


def _obstacle(path: str, user: QemuUser, *, relabelled: bool = False) -> str:
    """Return why a user cannot read a file, and what to change; empty if the user can.

    A file that is `relabelled` at the start belongs to the user then. Files that the daemon cannot
    see are not checked.
    """
    try:
        for folder in reversed(Path(path).parents):
            if not _allows(str(folder), user, stat.S_IXOTH):
                return f"it may not pass {str(folder)!r}; chmod o+x that folder"
        if relabelled or _allows(path, user, stat.S_IROTH):
            return ""
    except OSError:
        return ""
    return "it may not read the file; chmod o+r it"


@dataclass(frozen=True, slots=True)
class _Entry:
    tag: int
    bits: int
    id: int = 0


def _allows(path: str, user: QemuUser, bit: int) -> bool:
    """Return the kernel's decision on an access, without the capabilities of root."""
    status = Path(path).stat()
    entries = _entries(path, status.st_mode)
    mask = next((each.bits for each in entries if each.tag == _MASK), 7)
    if user.uid == status.st_uid:
        return any(each.tag == _OWNER and each.bits & bit for each in entries)
    for each in entries:
        if each.tag == _USER and each.id == user.uid:
            return bool(each.bits & mask & bit)
    groups = [
        each
        for each in entries
        if (each.tag == _OWNING_GROUP and status.st_gid in user.groups)
        or (each.tag == _GROUP and each.id in user.groups)
    ]
    if groups:
        return any(each.bits & mask & bit for each in groups)
    return any(each.tag == _OTHERS and each.bits & bit for each in entries)


def _entries(path: str, mode: int) -> list[_Entry]:
    """Return the access control list of a file, or the equivalent of its mode."""
    try:
        data = os.getxattr(path, _ACL)
    except OSError:
        return [
            _Entry(_OWNER, mode >> 6 & 7),
            _Entry(_OWNING_GROUP, mode >> 3 & 7),
            _Entry(_OTHERS, mode & 7),
        ]
    return [_Entry(*each) for each in _ACL_ENTRY.iter_unpack(data[_ACL_HEADER.size :])]

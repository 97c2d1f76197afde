"""Media that are named by a path: which files may be used, and whether QEMU can read them.

libvirt gives the files of a domain to QEMU's user when it starts, and those of read-only
media never back. Hence a medium that is named by its path keeps its owner, and has to be
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

from proad.drivers.domain_parser import wrong
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
    """The media of a host.

    Args:
        folders: where they may lie, beside the folders of the storage pools.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = tuple(folders)

    def checked(
        self, connection: libvirt.virConnect, path: str, host: HostFacts, *, field: str
    ) -> str:
        """Give the path, with all links resolved, of a medium that may be used.

        Args:
            connection: to libvirt.
            path: absolute, as the caller named it.
            host: tells as whom QEMU runs.
            field: the field of the request that names it.

        Raises:
            InvalidArgumentError: it is none; the text says how to mend that.
        """
        if is_test(connection):
            return path  # on the test hypervisor no file is real

        def refuse(why: str) -> NoReturn:
            raise InvalidArgumentError.of(field, f"{path!r} {why}")

        if not is_local(connection):
            refuse("is on another host than the daemon: name a volume of a pool instead of a path")
        resolved = os.path.realpath(path)
        pools = (each.path for each in all_pools(connection) if each.active and each.folder)
        folders = sorted({os.path.realpath(f) for f in (*self._folders, *pools) if f})
        # Before anything is said of the file: elsewhere not even whether it is there is told.
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
    """Refuse a given domain whose files are not there, or not where QEMU may go.

    libvirt looks for them at the start alone, and knows of no folder that QEMU may not pass. Of
    another host it is left to libvirt.

    Args:
        connection: to libvirt.
        root: the `<domain>`.
        host: tells as whom QEMU runs.

    Raises:
        InvalidArgumentError: with the field "xml".
    """
    if not is_local(connection):
        return
    user = host.qemu_user or QemuUser.of_this_process()
    for what, path, relabelled in _files_of(root):
        try:
            mode = Path(path).stat().st_mode
        except PermissionError:  # QEMU's user may go where the daemon may not, as with NFS
            continue
        except OSError as error:
            raise wrong(f"{what} names {path!r}, which cannot be used: {error.strerror}") from None
        if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "something else")
            raise wrong(f"{what} names {path!r}, which is {kind}, not a file or a block device")
        if obstacle := _obstacle(os.path.realpath(path), user, relabelled=relabelled):
            raise wrong(f"{what} names {path!r}, which QEMU, as {user}, cannot read: {obstacle}")


def check_volume(connection: libvirt.virConnect, path: str, host: HostFacts, *, field: str) -> None:
    """Refuse a volume in a folder that QEMU may not pass; libvirt makes the file itself readable.

    Raises:
        InvalidArgumentError: it is in one, or has a name that no XML can hold; the text says
            how to mend that.
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
    """Raise InvalidArgumentError if libvirt cannot be told of a path, which goes by XML."""
    if UNWRITABLE.search(path):
        raise InvalidArgumentError.of(
            field, f"is {path!r}, a name that libvirt cannot be told: rename that file"
        )


def _files_of(root: etree._Element) -> Iterator[tuple[str, str, bool]]:
    """Yield the files that a start needs, with what needs them.

    The last one tells whether libvirt makes them QEMU's own.
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
    """Say what keeps a user from reading a file, and how to mend it; empty: nothing does.

    One that is `relabelled` at the start is the user's then. What the daemon itself may not see,
    or what goes meanwhile, is left to libvirt.
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
    """Tell what the kernel would; the capabilities of root, which QEMU has not, do not count."""
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
    """Give the access control list of a file; that of its mode where it has no other."""
    try:
        data = os.getxattr(path, _ACL)
    except OSError:
        return [
            _Entry(_OWNER, mode >> 6 & 7),
            _Entry(_OWNING_GROUP, mode >> 3 & 7),
            _Entry(_OTHERS, mode & 7),
        ]
    return [_Entry(*each) for each in _ACL_ENTRY.iter_unpack(data[_ACL_HEADER.size :])]

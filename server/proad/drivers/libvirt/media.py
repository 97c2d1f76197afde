"""Media that are named by a path: which files may be used, and whether QEMU can read them.

libvirt gives the files of a domain to QEMU's user when it starts, and those of read-only
media never back. Hence a medium that is named by its path keeps its owner, and has to be
readable as it is.
"""

import os
import re
import stat
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import libvirt

from proad.drivers.libvirt.pools import all_pools
from proad.drivers.libvirt.virt import HostFacts, QemuUser, is_local, is_test
from proad.errors import InvalidArgumentError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a link that leads in circles",
}
# What a path in a domain's XML cannot have in it.
_UNWRITABLE = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
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
        if _UNWRITABLE.search(resolved):
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


def _obstacle(path: str, user: QemuUser) -> str:
    """Say what keeps a user from reading a file, and how to mend it; empty: nothing does."""
    for folder in reversed(Path(path).parents):
        if not _allows(str(folder), user, stat.S_IXOTH):
            return f"it may not pass {str(folder)!r}; chmod o+x that folder"
    return "" if _allows(path, user, stat.S_IROTH) else "it may not read the file; chmod o+r it"


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

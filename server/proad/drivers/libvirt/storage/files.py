"""Identities of the files of this host."""

import ctypes
import os
import stat
import struct
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from proad.ports.records import FileIdentity

_AT_FDCWD = -100
_AT_SYMLINK_NOFOLLOW = 0x100
_STATX_INO, _STATX_BTIME = 0x100, 0x800
_STATX_BASIC = 0x7FF
# Of `struct statx`: the mask of what is known, the mode, the inode, the time of birth,
# the device.
_MASK, _MODE, _INO = struct.Struct("=I"), struct.Struct("=H"), struct.Struct("=Q")
_TIME, _DEVICE = struct.Struct("=qI"), struct.Struct("=II")
_MASK_AT, _MODE_AT, _INO_AT, _BTIME_AT, _DEVICE_AT = 0, 28, 32, 80, 136
_SIZE = 256
_NANO = 10**9
# The time of birth of a file is that of the kernel's last clock tick.
_CLOCK_STEP = _NANO // 10

_libc = ctypes.CDLL(None, use_errno=True)


def files_behind(path: str) -> Iterator[str]:
    """Yield the backing files of a block device: of loop devices, and of devices on top of them."""
    try:
        status = Path(path).stat()
    except OSError:
        return
    if stat.S_ISBLK(status.st_mode):
        number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        yield from _behind(Path("/sys/dev/block", number))


def _behind(device: Path) -> Iterator[str]:
    try:
        folder = device.resolve(strict=True)
        if (folder / "partition").exists():
            folder = folder.parent
        if (file := folder / "loop/backing_file").exists():
            yield os.fsdecode(file.read_bytes()).removesuffix("\n")
        below = [*(folder / "slaves").iterdir()]
    except OSError:  # gone meanwhile, or without underlying devices
        return
    for each in below:
        yield from _behind(each)


def is_born_after(file: FileIdentity | None, time: datetime) -> bool:
    """Return whether a file is known to be not older than `time`."""
    born = None if file is None else file.birth_time_ns
    return born is not None and born + _CLOCK_STEP >= time.timestamp() * _NANO


def identity_of(path: str) -> FileIdentity | None:
    """Return the identity of a regular file; None: this process sees none.

    Links are not followed: a delete would remove the link.
    """
    buffer = ctypes.create_string_buffer(_SIZE)
    # os.stat has the time of birth on Linux since Python 3.15.
    if _libc.statx(
        _AT_FDCWD,
        os.fsencode(path),
        _AT_SYMLINK_NOFOLLOW,
        _STATX_BASIC | _STATX_BTIME,
        buffer,
    ):
        return None
    (mask,) = _MASK.unpack_from(buffer, _MASK_AT)
    (mode,) = _MODE.unpack_from(buffer, _MODE_AT)
    if not stat.S_ISREG(mode) or not mask & _STATX_INO:
        return None
    (inode,) = _INO.unpack_from(buffer, _INO_AT)
    seconds, nanoseconds = _TIME.unpack_from(buffer, _BTIME_AT)
    birth = seconds * _NANO + nanoseconds if mask & _STATX_BTIME else 0
    return FileIdentity(
        device=os.makedev(*_DEVICE.unpack_from(buffer, _DEVICE_AT)),
        inode=inode,
        # Zero: the file system has no time of birth of this file.
        birth_time_ns=birth or None,
    )

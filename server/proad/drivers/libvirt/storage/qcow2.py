"""Headers of images, mainly of qcow2: the other files that an image references.

Nothing but the fields that name files is read, each checked against the limits of the format,
because an image may come from anybody. Names are bytes on disk, decoded as file names; use
`printable` for messages.
"""

import os
import re
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass

# Returns bytes at an offset, up to a size; fewer at the end of the image.
Read = Callable[[int, int], bytes]

_MAGIC = b"QFI\xfb"
_VERSION_1, _VERSION_2, _VERSION_3 = 1, 2, 3
_LENGTH_2, _LENGTH_3 = 72, 104
_MIN_CLUSTER_BITS, _MAX_CLUSTER_BITS = 9, 21
_MAX_NAME = 1023
_MAX_EXTENSIONS = 64
_BACKING_FORMAT = 0xE2792ACA
_DATA_FILE = 0x44415441
_HAS_DATA_FILE = 1 << 2
# QED: the magic, three sizes, the features, four numbers, and where the name of its base is.
_QED_MAGIC, _QED_HAS_BASE = b"QED\0", 1
_QED = struct.Struct("<16xQ32xII")
# VMDK: the descriptor, a text, lies at a sector that the header names, or is all there is.
_VMDK_MAGIC, _VMDK_TEXT = b"KDMV", b"# Disk DescriptorFile"
_VMDK, _VMDK_AT, _VMDK_MOST, _SECTOR = struct.Struct("<QQ"), 28, 1 << 16, 512
_VMDK_BASE = re.compile(rb'^\s*parentFileNameHint\s*=\s*"([^"\n]*)"', re.MULTILINE)


class UnreadableImageError(Exception):
    """An image is unreadable, or its header violates its format."""


class TornImageError(UnreadableImageError):
    """An image ends within its header, as during a copy."""

    def __init__(self) -> None:
        super().__init__("ends within its qcow2 header")


class NoImageError(UnreadableImageError):
    """The path leads to nothing that QEMU could open as an image, such as a folder."""

    def __init__(self) -> None:
        super().__init__("is neither a regular file nor a block device")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The references of an image to other files.

    Attributes:
        backing: name of the backing file; empty: none.
        backing_format: format of the backing file; empty: not in the header.
        data_file: name of the external data file; None: the image has none. Empty: the header
            does not name it.
    """

    backing: str = ""
    backing_format: str = ""
    data_file: str | None = None


def printable(name: str) -> str:
    """Return a file name with invalid UTF-8 escaped."""
    return os.fsencode(name).decode(errors="backslashreplace")


def read_file(path: str) -> Header | None:
    """Return the header of the image at a path; None: its format has no references.

    Raises:
        UnreadableImageError: the file is torn, or neither a regular file nor a block device.
        OSError: the file cannot be opened or read.
    """
    # Without O_NONBLOCK, the open of a FIFO would block.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            raise NoImageError

        def read(offset: int, size: int) -> bytes:
            return os.pread(descriptor, size, offset)

        return read_header(read) or read_other(read)
    finally:
        os.close(descriptor)


def read_header(read: Read) -> Header | None:
    """Return the header of an image; None: the image is not qcow2.

    Raises:
        UnreadableImageError: the header is torn or violates the format.
    """
    start = read(0, _LENGTH_3)
    if start[:4] != _MAGIC:
        return None
    if len(start) < _LENGTH_2:
        raise TornImageError
    version, offset, size, cluster_bits = struct.unpack_from(">IQII", start, 4)
    if version == _VERSION_1:
        return Header(backing=_name(read, offset, size))
    if version not in {_VERSION_2, _VERSION_3}:
        raise UnreadableImageError(f"is of qcow2 version {version}, which is not known")
    if version == _VERSION_3 and len(start) < _LENGTH_3:
        raise TornImageError
    if not _MIN_CLUSTER_BITS <= cluster_bits <= _MAX_CLUSTER_BITS:
        raise UnreadableImageError("has a qcow2 header with an impossible cluster size")
    cluster = 1 << cluster_bits
    features, length = 0, _LENGTH_2
    if version == _VERSION_3:
        (features,) = struct.unpack_from(">Q", start, 72)
        (length,) = struct.unpack_from(">I", start, 100)
        if not _LENGTH_3 <= length <= cluster:
            raise UnreadableImageError("has a qcow2 header of an impossible length")
    if offset and (offset > cluster or size > cluster - offset):
        raise UnreadableImageError("has the name of its backing file beyond its qcow2 header")
    backing = _name(read, offset, size)
    extensions = _extensions(read, length, offset or cluster)
    return Header(
        backing=backing,
        backing_format=extensions.get(_BACKING_FORMAT, "") if backing else "",
        data_file=extensions.get(_DATA_FILE, "") if features & _HAS_DATA_FILE else None,
    )


def read_other(read: Read) -> Header | None:
    """Return the header of a QED or VMDK image; None: it has no base.

    Raises:
        UnreadableImageError: the header is torn, or has the name of its base in an impossible
            place.
    """
    start = read(0, _QED.size)
    if start[:4] == _QED_MAGIC and len(start) == _QED.size:
        features, offset, size = _QED.unpack(start)
        return Header(backing=_name(read, offset, size)) if features & _QED_HAS_BASE else None
    if start[:4] == _VMDK_MAGIC and len(start) >= _VMDK_AT + _VMDK.size:
        offset, size = (each * _SECTOR for each in _VMDK.unpack_from(start, _VMDK_AT))
        if offset > _VMDK_MOST:
            raise UnreadableImageError("has its VMDK descriptor in an impossible place")
        text = read(offset, min(size, _VMDK_MOST))
    elif start.startswith(_VMDK_TEXT):
        text = read(0, _VMDK_MOST)
    else:
        return None
    named = _VMDK_BASE.search(text)
    return Header(backing=_text(named[1])) if named and named[1] else None


def _name(read: Read, offset: int, size: int) -> str:
    """Return the name of the backing file."""
    if offset == 0 or size == 0:
        return ""
    if size > _MAX_NAME or offset > 1 << _MAX_CLUSTER_BITS:
        raise UnreadableImageError("has the name of its backing file in an impossible place")
    return _text(_all(read, offset, size))


def _extensions(read: Read, position: int, end: int) -> dict[int, str]:
    """Return the header extensions that contain names."""
    found: dict[int, str] = {}
    for _ in range(_MAX_EXTENSIONS):
        # A header of version 2 may end without an end of its extensions.
        if position + 8 > end:
            return found
        kind, size = struct.unpack(">II", _all(read, position, 8))
        position += 8
        if kind == 0:
            return found
        if size > end - position:
            raise UnreadableImageError("has a qcow2 header extension that is too long")
        if kind in {_BACKING_FORMAT, _DATA_FILE}:
            if size > _MAX_NAME:
                raise UnreadableImageError("has a name in its qcow2 header that is too long")
            found[kind] = _text(_all(read, position, size))
        position += (size + 7) // 8 * 8
    raise UnreadableImageError("has too many qcow2 header extensions")


def _all(read: Read, offset: int, size: int) -> bytes:
    data = read(offset, size)
    if len(data) < size:
        raise TornImageError
    return data


def _text(name: bytes) -> str:
    if b"\0" in name:
        raise UnreadableImageError("has a NUL character in a name in its qcow2 header")
    return os.fsdecode(name)

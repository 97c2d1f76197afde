"""What both clients share about files inside resources."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

from grpc import StatusCode

from proa import v1
from proa.commands import pieces
from proa.errors import Details, Unavailable

_READ = 2**20

FORMATS: Mapping[v1.FileType.ValueType, int] = {
    v1.FILE_TYPE_REGULAR: stat.S_IFREG,
    v1.FILE_TYPE_DIRECTORY: stat.S_IFDIR,
    v1.FILE_TYPE_SYMLINK: stat.S_IFLNK,
    v1.FILE_TYPE_FIFO: stat.S_IFIFO,
    v1.FILE_TYPE_SOCKET: stat.S_IFSOCK,
    v1.FILE_TYPE_CHARACTER_DEVICE: stat.S_IFCHR,
    v1.FILE_TYPE_BLOCK_DEVICE: stat.S_IFBLK,
}
"""The types of files as they are in a mode of POSIX; of others, nothing is known there."""


def whole_size(source: object, size: int | None) -> int:
    """Return how many bytes a source has.

    Args:
        source: bytes, or a file that can be sought.
        size: what the caller says; None: nothing.

    Raises:
        TypeError: nobody says how many.
    """
    if size is not None:
        return size
    if isinstance(source, bytes | bytearray | memoryview):
        return memoryview(source).nbytes
    seek, tell = getattr(source, "seek", None), getattr(source, "tell", None)
    if seek is None or tell is None or not getattr(source, "seekable", lambda: True)():
        raise TypeError("`size` says how many bytes there are; it must be known before they come")
    at: int = tell()
    end: int = seek(0, os.SEEK_END)
    seek(at)
    return end - at


def pieces_of(
    source: bytes | BinaryIO | Iterable[bytes], most: int | None = None
) -> Iterator[bytes]:
    """Yield what a source has, in pieces that one request may have.

    Args:
        source: bytes, a file, or pieces of any size.
        most: bytes to read of a file, which may grow meanwhile; None: all.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        yield from pieces(bytes(source))
    elif hasattr(source, "read"):
        left = most
        while data := source.read(_READ if left is None else min(_READ, left)):
            yield from pieces(data)
            left = None if left is None else left - len(data)
    else:
        for data in source:
            yield from pieces(data)


def write_start(
    id: str,
    path: str,
    size: int,
    *,
    mode: int | None,
    uid: int | None,
    gid: int | None,
    overwrite: bool,
) -> v1.WriteFileStart:
    """Return the first message of a WriteFile."""
    return v1.WriteFileStart(
        id=id, path=path, size_bytes=size, mode=mode, uid=uid, gid=gid, overwrite=overwrite
    )


class Received:
    """The bytes of a file by now, and their checksum."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._size = 0

    def add(self, data: bytes) -> None:
        """Count bytes."""
        self._hash.update(data)
        self._size += len(data)

    def check(self, end: v1.FileDigest) -> None:
        """Check that all bytes have come, as they were sent.

        Raises:
            Unavailable: they have not.
        """
        if (end.size_bytes, end.sha256) != (self._size, self._hash.digest()):
            message = "what came of the file is not what was sent"
            raise Unavailable(StatusCode.UNAVAILABLE, Details(message=message))

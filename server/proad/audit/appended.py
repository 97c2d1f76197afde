"""A file that is appended to, and that forgets what could not be brought to disk."""

import errno
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from proad.audit.reserve import Reserve
from proad.ownership import open_own

Sync = Callable[[int], None]
"""Brings what was written to a descriptor to disk."""


class AppendedFile:
    """A file with a reserve ahead of its end.

    Args:
        descriptor: the file, open for writing.
        path: its path.
        whole: what it has already and keeps.
        written: its size, with what it does not keep.
        reserved_bytes: the room ahead of its end.
        sync: brings it to disk.
    """

    def __init__(
        self,
        descriptor: int,
        path: Path,
        *,
        whole: bytes = b"",
        written: int = 0,
        reserved_bytes: int,
        sync: Sync,
    ) -> None:
        self._descriptor = descriptor
        self.path = path
        self.size = len(whole)
        self._written = written
        self._digest = hashlib.sha256(whole)
        self._kept = self.size, self._digest.copy()
        self._reserved_bytes = reserved_bytes
        self._reserve = Reserve(reserved_bytes)
        self._sync = sync

    @classmethod
    def create(cls, path: Path, *, reserved_bytes: int, sync: Sync) -> Self:
        """Make a file that is not there."""
        descriptor = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        return cls(descriptor, path, reserved_bytes=reserved_bytes, sync=sync)

    @classmethod
    def open(
        cls, path: Path, *, whole: bytes, written: int, reserved_bytes: int, sync: Sync
    ) -> Self:
        """Open a file, of which only the whole beginning counts."""
        descriptor = open_own(path, os.O_WRONLY)
        file = cls(
            descriptor,
            path,
            whole=whole,
            written=written,
            reserved_bytes=reserved_bytes,
            sync=sync,
        )
        file._cut()
        return file

    @property
    def digest(self) -> str:
        """The SHA-256 digest of the file."""
        return self._digest.hexdigest()

    def stands(self) -> bool:
        """Return whether its path still leads to it, with all that was written.

        Who moves, deletes or empties a file, as tools do that rotate logs, is told by no error:
        what is written then is found by nobody.
        """
        own = os.fstat(self._descriptor)
        try:
            there = self.path.lstat()
        except FileNotFoundError:
            return False
        return os.path.samestat(own, there) and own.st_size >= self.size

    def extend(self, growth: int) -> bool:
        """Return whether the file can grow and keep its reserve; see `Reserve.extend`."""
        return self._reserve.extend(self._descriptor, self.size, growth)

    def begin(self, data: bytes) -> None:
        """Write the first bytes and bring them to disk, if there is room for the reserve.

        Raises:
            OSError: there is none, or the file cannot be written.
        """
        if not self.extend(len(data)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        self.write(data)
        self.sync()

    def write(self, data: bytes) -> None:
        """Write at the end.

        Raises:
            OSError: the file cannot be written; call `restore`.
        """
        if self._written > self.size + len(data):
            self._cut()
        view, place = memoryview(data), self.size
        while view:
            count = os.pwrite(self._descriptor, view, place)
            view, place = view[count:], place + count
            self._written = max(self._written, place)
        self.size = place
        self._digest.update(data)

    def sync(self) -> None:
        """Bring to disk what was written.

        Raises:
            OSError: it may not be there; call `restore`.
        """
        self._sync(self._descriptor)
        self._kept = self.size, self._digest.copy()

    def restore(self) -> None:
        """Forget what was written since the last sync: it will be written over."""
        size, digest = self._kept
        self.size, self._digest = size, digest.copy()

    def _cut(self) -> None:
        """Take away what is behind the end: a line that was not written whole."""
        if self._written > self.size:
            os.ftruncate(self._descriptor, self.size)
            self._written = self.size
            self._reserve = Reserve(self._reserved_bytes)  # which went with it

    def close(self) -> None:
        """Give up the reserve, as far as that can be done, and close the file."""
        # The lines are on disk already. One that may only be appended to keeps its reserve.
        with suppress(OSError):
            # One that somebody has cut is left as it is.
            os.ftruncate(self._descriptor, min(self.size, os.fstat(self._descriptor).st_size))
        with suppress(OSError):  # the descriptor is given up even so
            os.close(self._descriptor)

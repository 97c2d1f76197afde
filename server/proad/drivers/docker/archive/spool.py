"""Files on their way, on the daemon's disk.

While an archive is under way, Docker locks its container: nobody could look at it, stop it or run
anything in it. So it is exchanged with the engine as fast as that goes. The caller, who may be as
slow as he likes, deals with a file that has no name and goes with the process.
"""

import asyncio
import errno
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from proad.drivers.docker.archive.room import FOLDER, Room, Share
from proad.drivers.docker.errors import ENGINE
from proad.drivers.threads import EngineThreads, call_soon_threadsafe
from proad.errors import HostExhaustedError

_DISKS = 4


class SpooledFile:
    """A file that is written at its end, and read anywhere.

    Args:
        share: of the room for such files.

    Attributes:
        written: bytes that are there.
    """

    def __init__(self, share: Share) -> None:
        self._share = share
        self._file = tempfile.TemporaryFile(dir=FOLDER, buffering=0)  # noqa: SIM115 - see close
        self._in_use = threading.Lock()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._more = asyncio.Event()
        self.written = 0

    def append(self, data: bytes) -> None:
        """Add bytes. Blocks.

        Raises:
            HostExhaustedError: there is no room left.
        """
        left = memoryview(data)
        try:
            with self._used() as file:
                self._share.take(len(left))
                while left:
                    count = os.pwrite(file, left, self.written)
                    left = left[count:]
                    self.written += count
        except OSError as error:
            raise HostExhaustedError(ENGINE, f"the daemon's disk: {error.strerror}") from None
        call_soon_threadsafe(self._loop, self._more.set)

    def piece(self, offset: int, most: int) -> bytes:
        """Return bytes that are there. Blocks."""
        with self._used() as file:
            return os.pread(file, most, offset)

    def close(self) -> None:
        """Close it as soon as no thread uses it. Does not block."""
        self._closing = True
        self._close_unless_used()

    @contextmanager
    def _used(self) -> Iterator[int]:
        """Return its descriptor, which is not closed, and so not another file's, in the block."""
        try:
            with self._in_use:
                if self._closing:
                    raise OSError(errno.EBADF, "the transfer was given up")
                yield self._file.fileno()
        finally:
            self._close_unless_used()

    def _close_unless_used(self) -> None:
        if self._closing and self._in_use.acquire(blocking=False):
            self._file.close()
            self._share.give_back()
            self._in_use.release()

    async def more(self) -> None:
        """Wait until bytes have come since this was called last."""
        await self._more.wait()
        self._more.clear()


class Spool:
    """The files on their way between one engine and its callers.

    Args:
        room: the room for them.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._disks = EngineThreads(ENGINE, "spool", size=_DISKS)

    @property
    def threads(self) -> EngineThreads:
        """The threads that wait for the disk."""
        return self._disks

    @contextmanager
    def file(self, size: int) -> Iterator[SpooledFile]:
        """Return a file, of which there is nothing left after the block.

        Args:
            size: how many bytes are announced. Room is taken by those alone that come.

        Raises:
            HostExhaustedError: there is no room for so many now.
        """
        share = self._room.share()
        try:
            share.check(size)
            file = SpooledFile(share)
        except OSError as error:
            raise HostExhaustedError(ENGINE, f"the daemon's disk: {error.strerror}") from None
        try:
            yield file
        finally:
            file.close()

"""The room on the daemon's disk for files on their way, and whose share is how large."""

import os
import threading
from collections import Counter
from collections.abc import Callable

from proad.drivers.docker.errors import ENGINE
from proad.errors import HostExhaustedError

ROOM_BYTES = 16 * 2**30
"""Bytes of files that are on their way at a time, at most."""
FOLDER = "/var/tmp"  # noqa: S108 - not in memory, unlike /tmp; the files have no names

# What the daemon leaves of the disk to all others, itself among them.
_LEFT_TO_OTHERS = 2**30
_PART_FOR_OTHERS = 50


def _free_bytes() -> int:
    """Return how much of the disk there is for such files."""
    disk = os.statvfs(FOLDER)
    left = min(_LEFT_TO_OTHERS, disk.f_blocks * disk.f_frsize // _PART_FOR_OTHERS)
    return disk.f_bavail * disk.f_frsize - left


class Room:
    """The room for files on their way, of all engines together.

    Room is taken by bytes that have come. A user may have as much of it as there is left, so that
    no user ever keeps all others from it.

    Args:
        most: bytes of all files at a time.
        user: returns the id of the user for whom the current task works.
        free: returns the bytes that the disk has for such files.

    Attributes:
        user: returns the id of the user for whom the current task works.
    """

    def __init__(
        self,
        most: int = ROOM_BYTES,
        *,
        user: Callable[[], str] = lambda: "",
        free: Callable[[], int] = _free_bytes,
    ) -> None:
        self._most = most
        self._left = most
        self.user = user
        self._free = free
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def share(self) -> "Share":
        """Return a share of the current user, for one file."""
        return Share(self, self.user())

    def take(self, user: str, size: int) -> None:
        """Take room for a user.

        Raises:
            HostExhaustedError: there is not so much.
        """
        with self._lock:
            self._check(user, size)
            self._taken[user] += size
            self._left -= size

    def check(self, user: str, size: int) -> None:
        """Check that there is room for a user now, and take nothing.

        Raises:
            HostExhaustedError: there is not so much.
        """
        with self._lock:
            self._check(user, size)

    def give_back(self, user: str, size: int) -> None:
        """Give room back."""
        with self._lock:
            self._left += size
            self._taken[user] -= size
            if not self._taken[user]:
                del self._taken[user]

    def _check(self, user: str, size: int) -> None:
        if self._taken[user] + size > self._left - size:
            raise HostExhaustedError(
                ENGINE,
                f"the daemon keeps at most {self._most} bytes of files that are being moved, of "
                f"which {self._left} are free, and {(self._left - self._taken[user]) // 2} for "
                "this user",
            )
        if size and size > (free := self._free()):
            raise HostExhaustedError(
                ENGINE, f"the daemon's disk has {max(free, 0)} bytes for files that are being moved"
            )


class Share:
    """What one file takes of the room. Its methods may be called on any thread, one at a time.

    Args:
        room: the room.
        user: whose file it is.
    """

    def __init__(self, room: Room, user: str) -> None:
        self._room = room
        self._user = user
        self._size = 0

    def check(self, size: int) -> None:
        """Check that there is room; see `Room.check`."""
        self._room.check(self._user, size)

    def take(self, size: int) -> None:
        """Take room; see `Room.take`."""
        self._room.take(self._user, size)
        self._size += size

    def give_back(self) -> None:
        """Give back all that was taken."""
        size, self._size = self._size, 0
        self._room.give_back(self._user, size)

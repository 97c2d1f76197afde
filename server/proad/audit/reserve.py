"""Room that a file has ahead of its end, so that it can grow on a full disk."""

import ctypes
import errno
import os

_KEEP_SIZE = 1
# The room is extended by so many bytes more than is needed, and so once for many lines.
_STEP = 2**20
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_UNABLE = {errno.EOPNOTSUPP, errno.ENOSYS}

# Python has no other way to fallocate with flags; posix_fallocate would let the file grow.
_fallocate = ctypes.CDLL(None, use_errno=True).fallocate
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class Reserve:
    """Blocks behind the end of a file that are the file's already.

    Args:
        room: bytes that are there ahead of the end.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._until = 0
        self._able = True

    def extend(self, descriptor: int, end: int, growth: int) -> bool:
        """Return whether the whole room is there, also once the file has grown.

        Args:
            descriptor: the file.
            end: its size.
            growth: bytes that are about to be written.

        Raises:
            OSError: the file system fails for another reason than want of room.
        """
        wanted = end + growth + self._room
        if not self._able or not self._room or wanted <= self._until:
            return True
        if _fallocate(descriptor, _KEEP_SIZE, end, wanted + _STEP - end) == 0:
            self._until = wanted + _STEP
            return True
        code = ctypes.get_errno()
        if code in _UNABLE:
            self._able = False  # without a promise, then
            return True
        if code in _NO_ROOM:
            return False
        raise OSError(code, os.strerror(code))

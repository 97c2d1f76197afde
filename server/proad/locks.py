"""Locks between processes: file locks that the kernel releases when their holder ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from proad.errors import SetupError
from proad.ownership import open_own

_POLL_INTERVAL = 0.02


class LockedError(SetupError):
    """Another process holds a lock."""


@contextmanager
def locked(path: Path, refusal: str, *, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock within the context. The file stays, since its removal would be a race.

    Args:
        path: the file, in a folder that only this user can change.
        refusal: error message for a lock that another process holds.
        patience: seconds that another process is given to release it.

    Raises:
        LockedError: another process holds the lock.
        SetupError: the file cannot be opened or written.
    """
    until = time.monotonic() + patience
    with ExitStack() as kept:
        try:
            descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
            kept.callback(os.close, descriptor)
            _take(descriptor, refusal, until)
        except OSError as error:
            raise SetupError(f"{path}: {error.strerror}") from error
        yield


def is_locked(path: Path) -> bool:
    """Return whether a process holds a lock.

    Raises:
        SetupError: the file belongs to another user, or is a link.
    """
    try:
        descriptor = open_own(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _take(descriptor: int, refusal: str, until: float) -> None:
    """Lock an open file, and write the process id into it."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= until:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                raise LockedError(f"{refusal} (process {holder or 'unknown'})") from None
        time.sleep(_POLL_INTERVAL)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

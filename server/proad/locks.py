"""Locks between processes: file locks that the kernel releases when their holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from proad.errors import SetupError
from proad.ownership import open_own


@contextmanager
def locked(path: Path, refusal: str) -> Iterator[None]:
    """Hold a lock within the context. The file stays, since its removal would be a race.

    Args:
        path: the file, in a folder that only this user can change.
        refusal: error message for a lock that another process holds.

    Raises:
        SetupError: another process holds the lock, or the file cannot be opened or written.
    """
    with ExitStack() as kept:
        try:
            descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
            kept.callback(os.close, descriptor)
            _take(descriptor, refusal)
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


def _take(descriptor: int, refusal: str) -> None:
    """Lock an open file, and write the process id into it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip()
        raise SetupError(f"{refusal} (process {holder or 'unknown'})") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

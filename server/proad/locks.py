"""Locks between processes: files that the kernel unlocks when their holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from proad.errors import SetupError
from proad.ownership import open_own


@contextmanager
def locked(path: Path, refusal: str) -> Iterator[None]:
    """Hold a lock while this is entered. The file stays: to remove it would be a race.

    Args:
        path: the file; its folder is one that only this user can change.
        refusal: what to say if another process holds it.

    Raises:
        SetupError: another process does, or the file cannot be opened or written.
    """
    with ExitStack() as kept:
        try:
            descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
            kept.callback(os.close, descriptor)
            _take(descriptor, refusal)
        except OSError as error:
            raise SetupError(f"{path}: {error.strerror}") from error
        yield


def _take(descriptor: int, refusal: str) -> None:
    """Lock an open file, and write into it who did."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip()
        raise SetupError(f"{refusal} (process {holder or 'unknown'})") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

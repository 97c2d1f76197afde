"""Reservations of volumes, so that concurrent creates and deletes do not conflict."""

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Reservations:
    """Coordinates creates and deletes on different threads.

    The use of a volume by a new clone or domain is visible to libvirt only when the create is
    complete: a delete that checked before would remove the volume. No lock is held meanwhile: the
    delete refuses a reserved volume, and the create waits for a delete under way.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._used: Counter[str] = Counter()
        self._going: Counter[str] = Counter()

    @contextmanager
    def reserve(self, paths: Iterable[str]) -> Iterator[None]:
        """Reserve the volumes at these paths while the block runs; wait for deletes under way."""
        keys = {os.path.realpath(path) for path in paths}
        with self._changed:
            self._changed.wait_for(lambda: not any(self._going[key] for key in keys))
            self._used += Counter(keys)
        try:
            yield
        finally:
            with self._changed:
                self._used -= Counter(keys)

    @contextmanager
    def deleting(self, paths: Iterable[str]) -> Iterator[set[str]]:
        """Block reservations of the volumes at these paths while the block runs; yield those that
        are reserved already.
        """
        keys = {path: os.path.realpath(path) for path in paths}
        with self._changed:
            used = {path for path, key in keys.items() if self._used[key]}
            going = Counter({key for path, key in keys.items() if path not in used})
            self._going += going
        try:
            yield used
        finally:
            with self._changed:
                self._going -= going
                self._changed.notify_all()

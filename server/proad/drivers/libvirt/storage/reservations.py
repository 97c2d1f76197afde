"""Creates and deletes of volumes at the same time: what one is about to use, the other leaves."""

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Reservations:
    """Tells creates and deletes on different threads of each other.

    A create of a clone or a domain shows on the host only when it is done: a delete that
    looked just before would take the volume away from under it. No lock is held meanwhile:
    the delete refuses, and the create waits for the delete.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._used: Counter[str] = Counter()
        self._going: Counter[str] = Counter()

    @contextmanager
    def reserve(self, paths: Iterable[str]) -> Iterator[None]:
        """Keep the volumes at these paths from being deleted; wait for deletes under way."""
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
        """Have creates wait for the volumes at these paths, and yield those in use already."""
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

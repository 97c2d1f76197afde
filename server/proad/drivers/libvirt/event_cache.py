"""A cache of facts about domains, so that a list needs no call per domain."""

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import libvirt

T = TypeVar("T")


class EventCache(Generic[T]):
    """Caches one value per domain, valid until the next event of that domain.

    Used from the driver's threads. The loss of the event stream invalidates all values.

    Args:
        read: reads the value from libvirt.
    """

    def __init__(self, read: Callable[[libvirt.virDomain], T]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._known: dict[str, T] = {}
        self._changes = 0
        # The counter at the last change of each domain, and of all domains at once.
        self._changed: dict[str, int] = {}
        self._all_changed = 0

    @property
    def changes(self) -> int:
        """The counter of changes. A value that was read after this may be stored with it, unless
        the domain has changed since.
        """
        return self._changes

    def known(self, id: str) -> T | None:
        """Return the cached value of a domain; None if there is none."""
        return self._known.get(id)

    def items(self) -> list[tuple[str, T]]:
        """Return the ids and values of all domains that have one."""
        with self._lock:
            return list(self._known.items())

    def get(self, domain: libvirt.virDomain) -> T:
        """Return the cached value of a domain, or read it from libvirt."""
        id = domain.UUIDString()
        before = self._changes
        known = self._known.get(id)
        if known is not None:
            return known
        fresh = self._read(domain)
        self.put(id, fresh, before)
        return fresh

    def put(self, id: str, fresh: T, changes: int) -> None:
        """Store a value that was read at counter `changes`, unless the domain has changed since."""
        with self._lock:
            if self._is_as_it_was(id, changes):
                self._known[id] = fresh

    def change(self, id: str, made: T, changes: int) -> None:
        """Store the value that a call has `made`, which began at counter `changes`.

        Reads that run meanwhile may have begun before the call, so that they are not stored.
        """
        with self._lock:
            if self._is_as_it_was(id, changes):
                self._known[id] = made
            else:  # the domain has changed otherwise, before the call or after it
                self._known.pop(id, None)
            self._changes += 1
            self._changed[id] = self._changes

    def forget(self, id: str) -> None:
        """Invalidate the value of a domain."""
        with self._lock:
            self._known.pop(id, None)
            self._changes += 1
            self._changed[id] = self._changes

    def forget_all(self) -> None:
        """Invalidate all values."""
        with self._lock:
            self._known.clear()
            self._changed.clear()
            self._changes += 1
            self._all_changed = self._changes

    def keep_only(self, ids: Iterable[str]) -> None:
        """Drop the values of domains that do not exist any more."""
        with self._lock:
            there = set(ids)
            for id in self._known.keys() - there:
                del self._known[id]
            if gone := self._changed.keys() - there:
                # A domain may have been created since the list was taken.
                self._all_changed = max(self._all_changed, *(self._changed.pop(id) for id in gone))

    def _is_as_it_was(self, id: str, changes: int) -> bool:
        return changes >= self._changed.get(id, 0) and changes >= self._all_changed

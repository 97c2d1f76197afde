"""What is known of domains, so that a list need not ask for each."""

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import libvirt

T = TypeVar("T")


class EventCache(Generic[T]):
    """What was read of each domain, good until the next event of that one.

    Used from the driver's threads. The loss of the event stream ends all of it.

    Args:
        read: asks libvirt.
    """

    def __init__(self, read: Callable[[libvirt.virDomain], T]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._known: dict[str, T] = {}
        self._changes = 0
        # How many changes there had been with the last one of a domain, and of all at once.
        self._changed: dict[str, int] = {}
        self._all_changed = 0

    @property
    def changes(self) -> int:
        """How many changes there have been: what is read after it may be put in, if that
        domain has not changed since.
        """
        return self._changes

    def known(self, id: str) -> T | None:
        """Give what is known of a domain; None: nothing is."""
        return self._known.get(id)

    def get(self, domain: libvirt.virDomain) -> T:
        """Give what is known of a domain, from libvirt if nothing is."""
        id = domain.UUIDString()
        before = self._changes
        known = self._known.get(id)
        if known is not None:
            return known
        fresh = self._read(domain)
        self.put(id, fresh, before)
        return fresh

    def put(self, id: str, fresh: T, changes: int) -> None:
        """Note what was read of a domain when there had been `changes`."""
        with self._lock:
            # Read before a change that was told since: good for now, not for later.
            if self._is_as_it_was(id, changes):
                self._known[id] = fresh

    def change(self, id: str, made: T, changes: int) -> None:
        """Note what a call has `made` of a domain, begun when there had been `changes`.

        What is being read of it meanwhile may be of before the call, and is not put in.
        """
        with self._lock:
            if self._is_as_it_was(id, changes):
                self._known[id] = made
            else:  # more has happened, before the call or after it
                self._known.pop(id, None)
            self._changes += 1
            self._changed[id] = self._changes

    def forget(self, id: str) -> None:
        """Ask again for this domain next time."""
        with self._lock:
            self._known.pop(id, None)
            self._changes += 1
            self._changed[id] = self._changes

    def forget_all(self) -> None:
        """Ask again for every domain."""
        with self._lock:
            self._known.clear()
            self._changed.clear()
            self._changes += 1
            self._all_changed = self._changes

    def keep_only(self, ids: Iterable[str]) -> None:
        """Drop what is known of domains that are gone."""
        with self._lock:
            there = set(ids)
            for id in self._known.keys() - there:
                del self._known[id]
            if gone := self._changed.keys() - there:
                # Some may have come since these were listed.
                self._all_changed = max(self._all_changed, *(self._changed.pop(id) for id in gone))

    def _is_as_it_was(self, id: str, changes: int) -> bool:
        return changes >= self._changed.get(id, 0) and changes >= self._all_changed

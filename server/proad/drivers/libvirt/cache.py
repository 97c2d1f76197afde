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

    def get(self, domain: libvirt.virDomain) -> T:
        """Give what is known of a domain, from libvirt if nothing is."""
        id = domain.UUIDString()
        with self._lock:
            known = self._known.get(id)
            before = self._changes
        if known is not None:
            return known
        fresh = self._read(domain)
        with self._lock:
            # Read before a change that was told since: good for now, not for later.
            if self._changes == before:
                self._known[id] = fresh
        return fresh

    def forget(self, id: str) -> None:
        """Ask again for this domain next time."""
        with self._lock:
            self._known.pop(id, None)
            self._changes += 1

    def forget_all(self) -> None:
        """Ask again for every domain."""
        with self._lock:
            self._known.clear()
            self._changes += 1

    def keep_only(self, ids: Iterable[str]) -> None:
        """Drop what is known of domains that are gone."""
        with self._lock:
            for id in self._known.keys() - set(ids):
                del self._known[id]

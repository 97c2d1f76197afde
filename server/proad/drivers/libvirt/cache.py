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

    @property
    def changes(self) -> int:
        """How often something was forgotten: what is read after it may be put in, if no
        more has been forgotten since.
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
            if self._changes == changes:
                self._known[id] = fresh

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

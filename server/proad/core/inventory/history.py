"""The last changes in order, and the daemon's one revision."""

import asyncio
import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from proad.errors import ShuttingDownError
from proad.model import ChangeCause, Gap, Resource

HISTORY_SIZE = 8192
"""Entries kept. A watcher that falls further behind begins again with the present state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A resource appeared, changed or disappeared.

    Attributes:
        revision: of this change.
        before: the resource before; None if there was none.
        after: the resource afterwards; None if it is gone.
        cause: where the change came from.
        actor: the user whose call the change is attributed to.
    """

    revision: int
    before: Resource | None
    after: Resource | None
    cause: ChangeCause
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Changes of one engine may be missing here."""

    revision: int
    gap: Gap


HistoryEntry = Change | Notice


class ChangeHistory:
    """The last entries, numbered without a gap, for all watchers together: a slow watcher
    costs nothing.

    Args:
        size: how many entries are kept.
    """

    def __init__(self, size: int = HISTORY_SIZE) -> None:
        self.epoch = secrets.token_hex(4)
        """Distinguishes the revisions of this run of the daemon from another run's."""
        self.revision = 0
        self._entries: deque[HistoryEntry] = deque(maxlen=size)
        self._news = asyncio.Event()
        self._signals: dict[str, set[asyncio.Event]] = {}
        self._closed = False

    def next_revision(self) -> int:
        """Return the revision that the next entry must have."""
        return self.revision + 1

    def append(self, entry: HistoryEntry) -> None:
        """Add an entry and wake its waiters."""
        if entry.revision != self.next_revision():
            raise ValueError(f"revision {entry.revision} after {self.revision}")
        self.revision = entry.revision
        self._entries.append(entry)
        self._news.set()
        self._news.clear()  # the waiters are woken all the same
        if isinstance(entry, Change) and (resource := entry.after or entry.before) is not None:
            for signal in self._signals.get(resource.path, ()):
                signal.set()

    def note(self, gap: Gap) -> None:
        """Add a notice."""
        self.append(Notice(revision=self.next_revision(), gap=gap))

    def holds(self, revision: int) -> bool:
        """Return whether all entries after `revision` are still there."""
        return self.revision - len(self._entries) <= revision <= self.revision

    def after(self, revision: int, most: int) -> list[HistoryEntry]:
        """Return the first `most` entries after a revision that the history holds."""
        behind = self.revision - revision
        return [self._entries[-n] for n in range(behind, max(behind - most, 0), -1)]

    async def beyond(self, revision: int) -> None:
        """Wait for an entry after `revision`.

        Raises:
            ShuttingDownError: the history was closed.
        """
        while self.revision <= revision and not self._closed:
            await self._news.wait()
        self.check_open()

    @contextmanager
    def signal(self, path: str) -> Iterator[asyncio.Event]:
        """Give an event that each change of one resource sets, and the end of the history.

        However many wait in this way for other resources, a change costs the same.
        """
        signal = asyncio.Event()
        self._signals.setdefault(path, set()).add(signal)
        try:
            yield signal
        finally:
            self._signals[path].discard(signal)
            if not self._signals[path]:
                del self._signals[path]

    def check_open(self) -> None:
        """Check that entries may still come.

        Raises:
            ShuttingDownError: the history was closed.
        """
        if self._closed:
            raise ShuttingDownError

    def close(self) -> None:
        """Fail all waiters, present and future: no more entries come."""
        self._closed = True
        self._news.set()
        for signals in self._signals.values():
            for signal in signals:
                signal.set()

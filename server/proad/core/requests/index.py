"""Which requests have a record, so that a new one costs no look into the database."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from proad.errors import TooManyRequestsError
from proad.ports.requests import RequestKey

RETENTION = timedelta(hours=24)
"""How long a request is remembered after its end."""
MOST_RUNNING = 4096
"""Requests of one user that have not ended: each goes on though its caller is gone, and a pull
holds a connection to its engine."""


class RequestIndex:
    """The requests that are remembered, by user, in memory.

    Args:
        most: how many requests of one user are remembered at the most.
        most_running: how many of them may not have ended.
    """

    def __init__(self, most: int, most_running: int = MOST_RUNNING) -> None:
        self._most = most
        self._most_running = most_running
        self._running: Counter[str] = Counter()
        # Of each user those that have ended in the order of their ends; None: not ended.
        self._users: dict[str, dict[str, datetime | None]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._users.values()))

    def load(self, ends: Mapping[RequestKey, datetime | None]) -> None:
        """Add requests with their end times."""
        for key in [key for key, end in ends.items() if end is None]:
            self._users.setdefault(key.user_id, {})[key.id] = None
            self._running[key.user_id] += 1
        ended = [(end, key) for key, end in ends.items() if end is not None]
        for end, key in sorted(ended):
            self._users.setdefault(key.user_id, {})[key.id] = end

    def remembers(self, key: RequestKey, now: datetime) -> bool:
        """Return whether a request has a record that has not expired."""
        known = self._users.get(key.user_id, {})
        if key.id not in known:
            return False
        end = known[key.id]
        return end is None or end > now - RETENTION

    def begin(self, key: RequestKey, now: datetime) -> None:
        """Add a request that runs.

        Raises:
            TooManyRequestsError: the user has too many.
        """
        if self._running[key.user_id] >= self._most_running:
            raise TooManyRequestsError.under_way(self._most_running)
        known = self._users.setdefault(key.user_id, {})
        if len(known) >= self._most and key.id not in known:
            oldest = next((end for end in known.values() if end is not None), now)
            raise TooManyRequestsError(
                self._most, max(oldest + RETENTION - now, timedelta(seconds=1))
            )
        known[key.id] = None
        self._running[key.user_id] += 1

    def end(self, key: RequestKey, end: datetime) -> None:
        """Set the end time of a request."""
        known = self._users[key.user_id]
        if known.pop(key.id) is None:
            self._ended(key.user_id)
        known[key.id] = end

    def forget(self, key: RequestKey) -> None:
        """Remove a request."""
        known = self._users.get(key.user_id, {})
        if key.id in known and known.pop(key.id) is None:
            self._ended(key.user_id)
        if not known:
            self._users.pop(key.user_id, None)

    def _ended(self, user_id: str) -> None:
        self._running[user_id] -= 1
        if not self._running[user_id]:
            del self._running[user_id]

    def expired(self, now: datetime) -> bool:
        """Return whether any request has expired."""
        before = now - RETENTION
        return any(end < before for end in self._oldest())

    def _oldest(self) -> Iterator[datetime]:
        for known in self._users.values():
            oldest = next((end for end in known.values() if end is not None), None)
            if oldest is not None:
                yield oldest

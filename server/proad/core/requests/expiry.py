"""Forgets requests whose time is over."""

import asyncio
from collections.abc import Container
from datetime import UTC, datetime

from proad.core.requests.index import RETENTION, RequestIndex
from proad.errors import DatabaseUnreachableError
from proad.ports.requests import RequestKey, RequestRecords

_MOST_AT_ONCE = 500


class Expiry:
    """Removes expired records from the database and the index.

    Args:
        records: the records.
        index: which requests have one.
        running: the requests whose records stay.
        interval: seconds between two removals.
    """

    def __init__(
        self,
        records: RequestRecords,
        index: RequestIndex,
        running: Container[RequestKey],
        interval: float,
    ) -> None:
        self._records = records
        self._index = index
        self._running = running
        self._interval = interval

    async def run(self) -> None:
        """Remove expired records, some at a time."""
        while True:
            now = datetime.now(UTC)
            expired: list[RequestKey] = []
            if self._index.expired(now):
                try:
                    expired = await self._records.expire(now - RETENTION, _MOST_AT_ONCE)
                except DatabaseUnreachableError:
                    expired = []
                for key in expired:
                    if key not in self._running:
                        self._index.forget(key)
            if len(expired) < _MOST_AT_ONCE:
                await asyncio.sleep(self._interval)

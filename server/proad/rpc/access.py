"""The access log: one line for each call that was served."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import structlog

_log = structlog.get_logger("proad.access")

_WITHIN = 0.05


class AccessLog:
    """Writes a line for each call, a moment after it, many at a time.

    Rendered in between, a line costs the next call as much as its servicer does.
    """

    def __init__(self) -> None:
        self._lines: list[dict[str, Any]] = []

    def note(self, **fields: object) -> None:
        """Have a line written within 50 ms. It tells the time of now."""
        self._lines.append({"timestamp": datetime.now(UTC), **fields})
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_later(_WITHIN, self.write)

    def write(self) -> None:
        """Write what is not written yet."""
        lines, self._lines = self._lines, []
        for line in lines:
            _log.info("call", **line)

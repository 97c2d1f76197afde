"""The access log: one line for each call that was served, and some for those refused."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from proad.errors import Reason
from proad.rpc.timing import RpcTiming

_log = structlog.get_logger("proad.access")

# Of calls whose caller is not known, in a second: lines for one place, lines for all, and
# places that are told apart. What is more is counted.
_SECOND = 1.0
_LINES_OF_PLACE = 5
_LINES = 50
_PLACES = 500
# All others, where there are too many to be told apart.
_ELSEWHERE = "elsewhere"


class AccessLog:
    """Writes a line for each call, a moment after it, many at a time.

    Rendered in between, a line costs the next call as much as its servicer does. Calls
    whose caller is not known, for want of a good token or password, cost them nothing and
    could fill a disk: of these only some are written in a second, and the rest as a count.

    Args:
        place: tells from where a call comes, by its peer and what proxies say.
        timing: durations.
    """

    def __init__(
        self, place: Callable[[str, Sequence[str]], str], timing: RpcTiming = RpcTiming()
    ) -> None:
        self._place = place
        self._within = timing.log_within
        self._lines: list[dict[str, Any]] = []
        self._refused = _Refused()

    def note(
        self,
        *,
        code: str,
        peer: str,
        forwarded: Sequence[str] = (),
        subject: str | None,
        **fields: object,
    ) -> None:
        """Write a line, with the time of now, within `RpcTiming.log_within`."""
        known = subject is not None or code == "OK" or fields.get("reason") == Reason.INTERNAL
        if not known and not self._refused.has_line_for(self._place(peer, forwarded)):
            return
        self._lines.append(
            {"timestamp": datetime.now(UTC), "code": code, "peer": peer, "subject": subject}
            | fields
        )
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_later(self._within, self._write)

    def write(self) -> None:
        """Write what is not written yet, the counts included."""
        self._write()
        self._refused.tell()

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        for line in lines:
            _log.info("call", **line)


@dataclass(slots=True)
class _Count:
    """How many calls of a place were refused in this second, and how many have no line."""

    refused: int = 0
    without_line: int = 0


class _Refused:
    """Counts refused calls by place, second for second."""

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}
        self._lines = 0

    def has_line_for(self, place: str) -> bool:
        """Count a refused call, and tell whether it has a line of its own."""
        if not self._counts:
            # In no call's context: the count is of many, and not of the first one's request id.
            asyncio.get_running_loop().call_later(_SECOND, self.tell, context=Context())
        if place not in self._counts and len(self._counts) >= _PLACES:
            place = _ELSEWHERE
        count = self._counts.setdefault(place, _Count())
        count.refused += 1
        if count.refused > _LINES_OF_PLACE or self._lines >= _LINES:
            count.without_line += 1
            return False
        self._lines += 1
        return True

    def tell(self) -> None:
        """Write how many calls had no line, and begin to count anew."""
        counts, self._counts, self._lines = self._counts, {}, 0
        without = [(place, c.without_line) for place, c in counts.items() if c.without_line]
        without.sort(key=lambda each: (each[0] == _ELSEWHERE, -each[1]))
        for place, count in without[:_LINES]:
            _log.info("refused calls without a line", client_address=place, count=count)
        if rest := without[_LINES:]:
            count = sum(count for _place, count in rest)
            _log.info("refused calls without a line", client_address=_ELSEWHERE, count=count)

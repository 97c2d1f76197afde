"""The access log: a line for each call that was served, and some for those refused."""

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

# Of refused calls in one period: lines for one address, lines for all, and addresses that are
# counted one by one. The rest is counted together.
_LINES_PER_ADDRESS = 5
_LINES = 50
_ADDRESSES = 500
_ELSEWHERE = "elsewhere"


class AccessLog:
    """Writes a line for each call, a moment later and many at a time.

    To render a line at once would delay the next call by as much as its servicer takes. Calls
    that are refused for want of a good token or password cost their callers nothing, and could
    fill a disk: the log has some lines for them, and a count of the others.

    Args:
        client_address: returns the address of a client, by its peer and what proxies say.
        timing: durations.
    """

    def __init__(
        self,
        client_address: Callable[[str, Sequence[str]], str],
        timing: RpcTiming = RpcTiming(),
    ) -> None:
        self._client_address = client_address
        self._within = timing.log_within
        self._lines: list[dict[str, Any]] = []
        self._refusals = _Refusals(timing.refusal_period)

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
        if not known and not self._refusals.admit(self._client_address(peer, forwarded)):
            return
        self._lines.append(
            {"timestamp": datetime.now(UTC), "code": code, "peer": peer, "subject": subject}
            | fields
        )
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_later(self._within, self._write)

    def write(self) -> None:
        """Write all lines that wait, and the counts."""
        self._write()
        self._refusals.write()

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        for line in lines:
            _log.info("call", **line)


@dataclass(slots=True)
class _Count:
    """How many calls of an address were refused in this period, and how many have no line."""

    refused: int = 0
    without_line: int = 0


class _Refusals:
    """Counts refused calls by address, period by period."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._counts: dict[str, _Count] = {}
        self._lines = 0

    def admit(self, address: str) -> bool:
        """Count a refused call; return whether it gets a line of its own."""
        if not self._counts:
            # In an empty context: the count is of many calls, and must have no correlation id
            # of the first one.
            asyncio.get_running_loop().call_later(self._period, self.write, context=Context())
        if address not in self._counts and len(self._counts) >= _ADDRESSES:
            address = _ELSEWHERE
        count = self._counts.setdefault(address, _Count())
        count.refused += 1
        if count.refused > _LINES_PER_ADDRESS or self._lines >= _LINES:
            count.without_line += 1
            return False
        self._lines += 1
        return True

    def write(self) -> None:
        """Write how many calls had no line, and begin a new period."""
        counts, self._counts, self._lines = self._counts, {}, 0
        without = [(address, c.without_line) for address, c in counts.items() if c.without_line]
        without.sort(key=lambda each: (each[0] == _ELSEWHERE, -each[1]))
        for address, count in without[:_LINES]:
            _log.info("refused calls without a line", client_address=address, count=count)
        if rest := without[_LINES:]:
            count = sum(count for _address, count in rest)
            _log.info("refused calls without a line", client_address=_ELSEWHERE, count=count)

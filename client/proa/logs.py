"""Logs of resources: lines, and the iterator of the synchronous client."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from google.protobuf.timestamp_pb2 import Timestamp

from proa import v1
from proa.errors import Unauthenticated

# Seconds: what ends sooner with its token would end so for ever.
_SHORTEST = 1.0


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a log, or a part of one.

    Attributes:
        data: its bytes, without the end of the line. What runs inside has written them: any bytes,
            those that steer a terminal included.
        is_stderr: whether it was written to the standard error.
        time_ns: when the engine got it, in nanoseconds since 1970; None without `timestamps`.
        partial: whether no end of the line has come so far: the next line of the same output goes
            on where this one stops.
    """

    data: bytes
    is_stderr: bool = False
    time_ns: int | None = None
    partial: bool = False

    @property
    def text(self) -> str:
        """The line as a text; what is no UTF-8 is replaced."""
        return self.data.decode(errors="replace")

    @property
    def time(self) -> datetime | None:
        """When the engine got it, to the microsecond."""
        if self.time_ns is None:
            return None
        seconds, rest = divmod(self.time_ns, 10**9)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)

    @classmethod
    def of(cls, line: v1.LogLine) -> "LogLine":
        """Return a line of a response."""
        time = line.time.ToNanoseconds() if line.HasField("time") else None
        return cls(line.data, line.output == v1.LOG_OUTPUT_STDERR, time, line.partial)


class LogState:
    """What a log has told so far, over calls that end with their tokens.

    Args:
        request: of the first call.
        clock: monotonic time in seconds.

    Attributes:
        request: of the next call.
    """

    def __init__(
        self, request: v1.StreamLogsRequest, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.request = request
        self._clock = clock
        self._begun = 0.0
        # By output, the time of the last line, and how many have that time.
        self._last: dict[bool, tuple[int, int]] = {}
        self._known: dict[bool, tuple[int, int]] = {}

    def begin(self) -> v1.StreamLogsRequest:
        """Return the request of the call that begins now."""
        self._begun = self._clock()
        self._known = dict(self._last)
        return self.request

    def lines(self, response: v1.StreamLogsResponse) -> list[LogLine]:
        """Return the lines of a response that are new."""
        lines = map(LogLine.of, response.lines)
        if not self.request.follow:
            return [*lines]
        return [line for line in lines if self._is_new(line)]

    def _is_new(self, line: LogLine) -> bool:
        if line.time_ns is None:
            return True
        known, number = self._known.get(line.is_stderr, (0, 0))
        if number and line.time_ns <= known:
            self._known[line.is_stderr] = known, number - (line.time_ns == known)
            return False
        last, number = self._last.get(line.is_stderr, (0, 0))
        self._last[line.is_stderr] = line.time_ns, number * (last == line.time_ns) + 1
        return True

    def goes_on(self, error: Unauthenticated) -> bool:
        """Return whether another call goes on where one has ended with its token."""
        expired = self.request.follow and error.reason == "TOKEN_EXPIRED"
        if not expired or self._clock() - self._begun < _SHORTEST:
            return False
        following = v1.StreamLogsRequest()
        following.CopyFrom(self.request)
        if self._last:
            oldest = min(last for last, _ in self._last.values())
            following.since.FromMicroseconds(oldest // 1000)
            following.ClearField("tail")
        else:
            following.tail = 0  # a domain's has no times
        self.request = following
        return True


class Logs(Iterator[LogLine]):
    """The iterator of lines that `Client.logs` returns. Its end ends the call.

    Args:
        call: makes a call.
        request: of the call.
    """

    def __init__(
        self, call: Callable[[v1.StreamLogsRequest], Any], request: v1.StreamLogsRequest
    ) -> None:
        self._call = call
        self._state = LogState(request)
        self._closed = False
        self._responses: Any = self._call(self._state.begin())
        self._lines = self._all()

    def __next__(self) -> LogLine:
        return next(self._lines)

    def close(self) -> None:
        """End the call, from any thread."""
        self._closed = True
        self._responses.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _all(self) -> Iterator[LogLine]:
        while True:
            try:
                for response in self._responses:
                    yield from self._state.lines(response)
            except Unauthenticated as error:
                if self._closed or not self._state.goes_on(error):
                    raise
                self._responses = self._call(self._state.begin())
            else:
                return


def logs_request(
    id: str,
    *,
    follow: bool,
    since: datetime | None,
    until: datetime | None,
    tail: int | None,
    stderr: bool | None,
    timestamps: bool,
) -> v1.StreamLogsRequest:
    """Return the request of `Client.logs`."""
    outputs = {
        None: v1.LOG_OUTPUT_UNSPECIFIED,
        False: v1.LOG_OUTPUT_STDOUT,
        True: v1.LOG_OUTPUT_STDERR,
    }
    return v1.StreamLogsRequest(
        id=id,
        follow=follow,
        since=_timestamp(since),
        until=_timestamp(until),
        tail=tail,
        output=outputs[stderr],
        timestamps=timestamps,
    )


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    found = Timestamp()
    found.FromDatetime(time.astimezone(UTC))
    return found

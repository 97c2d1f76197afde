"""The times that Docker writes before the messages of a log.

A message is a line, or 16 KiB of a longer one.
"""

import re
from collections.abc import Iterator
from datetime import datetime

from proad.drivers.docker.frames import Frames

# Bytes of the part of a line that Docker takes for a message.
_MESSAGE = 16 * 2**10
_LONGEST_TIME = 40
_TIME = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ",
)


class _Times:
    """Converts times; those of one second share the work."""

    def __init__(self) -> None:
        self._last = b"", b"", 0

    def of(self, found: re.Match[bytes]) -> int | None:
        """Return a time in nanoseconds since 1970; None: it is none."""
        second, fraction, zone = found.groups()
        if self._last[:2] != (second, zone):
            try:
                moment = datetime.fromisoformat((second + zone).decode())
            except ValueError:
                return None
            self._last = second, zone, int(moment.timestamp()) * 10**9
        return self._last[2] + int((fraction or b"0").ljust(9, b"0"))


class FramedTimes:
    """Takes the times off messages that come in frames.

    Args:
        frames: takes the stream apart.
    """

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._times = _Times()
        self._head: bytes | None = None
        self._time: int | None = None

    def take(self, data: bytes) -> Iterator[tuple[bool, bytes, int | None]]:
        """Yield of each message whether it is of the standard error, its bytes, and its time."""
        for is_stderr, begins, piece in self._frames.frames(data):
            content = bytes(piece)
            if begins:
                self._head, self._time = b"", None
            if self._head is not None:
                content = self._head + content
                if b" " not in content[:_LONGEST_TIME] and len(content) < _LONGEST_TIME:
                    self._head = content
                    continue
                self._head = None
                if found := _TIME.match(content):
                    self._time = self._times.of(found)
                    content = content[found.end() :]
            yield is_stderr, content, self._time


class RawTimes:
    """Takes the times off messages that come without frames, as those of a terminal do."""

    def __init__(self) -> None:
        self._times = _Times()
        self._begun = b""
        self._left = 0  # of a message, before the next one must begin
        self._time: int | None = None

    def take(self, data: bytes) -> Iterator[tuple[bool, bytes, int | None]]:
        """Yield as `FramedTimes.take` does."""
        data, self._begun = self._begun + data, b""
        place, end = 0, len(data)
        while place < end:
            if not self._left:
                found = _TIME.match(data, place)
                if found is None and end - place < _LONGEST_TIME and b"\n" not in data[place:]:
                    self._begun = data[place:]
                    return
                if found is not None:
                    self._time = self._times.of(found)
                    place = found.end()
                self._left = _MESSAGE
            newline = data.find(b"\n", place, place + self._left)
            stop = newline + 1 if newline >= 0 else min(place + self._left, end)
            self._left = 0 if newline >= 0 else self._left - (stop - place)
            yield False, data[place:stop], self._time
            place = stop

    def rest(self) -> bytes:
        """Return what is left at the end."""
        return self._begun

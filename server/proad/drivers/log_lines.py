"""Lines out of the bytes of a log."""

from collections.abc import Iterator, Sequence

from proad.model import LONGEST_LINE, LogLine

_AT_ONCE = 1000
_LONGEST_CHARACTER = 4  # bytes of UTF-8
_CONTINUATIONS = range(0x80, 0xC0)


def batches(lines: Sequence[LogLine]) -> Iterator[Sequence[LogLine]]:
    """Yield lines, as many at a time as a response has at most."""
    for start in range(0, len(lines), _AT_ONCE):
        yield lines[start : start + _AT_ONCE]


class LogLines:
    """Cuts one output of a log into lines, wherever its pieces were cut.

    What has written them may have written anything: a line without an end comes in parts.

    Args:
        is_stderr: which output it is.
        is_terminal: whether lines may end as a terminal ends them, by a carriage return, too.
    """

    def __init__(self, *, is_stderr: bool = False, is_terminal: bool = False) -> None:
        self._is_stderr = is_stderr
        self._is_terminal = is_terminal
        self._begun = b""
        self._time: int | None = None

    def take(self, data: bytes, time: int | None = None) -> list[LogLine]:
        """Return the lines that a piece ends, and the parts of a line that is too long.

        Args:
            data: the piece.
            time: when the engine got it.
        """
        if self._begun:
            data, since = self._begun + data, self._time
        else:
            since = time
        *ends, self._begun = data.split(b"\n")
        self._time = since if not ends else time
        lines: list[LogLine] = []
        for each in ends:
            line = each.removesuffix(b"\r") if self._is_terminal else each
            if len(line) > LONGEST_LINE:
                line = self._parts(line, since, lines)
            lines.append(LogLine(line, self._is_stderr, since))
            since = time
        if len(self._begun) > LONGEST_LINE:
            self._begun = self._parts(self._begun, since, lines)
        return lines

    def _parts(self, line: bytes, time: int | None, lines: list[LogLine]) -> bytes:
        """Add the parts of a line that is too long, and return the last one."""
        start = 0
        while len(line) - start > LONGEST_LINE:
            end = _before_character(line, start + LONGEST_LINE)
            lines.append(LogLine(line[start:end], self._is_stderr, time, partial=True))
            start = end
        return line[start:]

    def rest(self) -> list[LogLine]:
        """Return what has come of a line that has no end so far; the next piece goes on with it."""
        begun, self._begun = self._begun, b""
        return [LogLine(begun, self._is_stderr, self._time, partial=True)] if begun else []


def _before_character(text: bytes, end: int) -> int:
    """Return where to cut UTF-8 at `end` or before, so that no character is torn; else `end`."""
    for place in range(end, end - _LONGEST_CHARACTER, -1):
        if text[place] not in _CONTINUATIONS:
            return place
    return end

"""Secrets in what resources write, masked where their values are known."""

import re
from collections.abc import Iterable

from proad.model import LogLine

MASK = b"***"

# What is shorter is in many a line that has nothing to do with it, and masks in there would tell it.
_SHORTEST = 4


class SecretMask:
    """Masks secrets in the lines of one log.

    Of a secret with several lines, each line is masked. A line that comes in parts is held back by
    as much as the longest secret has, which may go on in the next part.

    Args:
        secrets: the values.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        words = {
            word
            for secret in secrets
            for line in secret.encode(errors="surrogateescape").splitlines()
            if len(word := line.strip()) >= _SHORTEST
        }
        longest_first = sorted(words, key=len, reverse=True)
        self._held_back = len(longest_first[0]) - 1 if longest_first else 0
        self._found = re.compile(b"|".join(map(re.escape, longest_first))) if words else None
        self._begun: dict[bool, LogLine] = {}

    def lines(self, lines: Iterable[LogLine]) -> list[LogLine]:
        """Return the next lines, masked."""
        if self._found is None:
            return [*lines]
        masked = (self._masked(line, self._found) for line in lines)
        return [line for line in masked if line is not None]

    def rest(self) -> list[LogLine]:
        """Return what was held back of lines that have no end."""
        found, begun = self._found, self._begun.values()
        if found is None:
            return []
        return [line._replace(data=found.sub(MASK, line.data)) for line in begun if line.data]

    def _masked(self, line: LogLine, found: re.Pattern[bytes]) -> LogLine | None:
        """Return what can be told of a line now; None: nothing."""
        if (begun := self._begun.pop(line.is_stderr, None)) is not None:
            line = line._replace(data=begun.data + line.data, time=begun.time)
        if not line.partial:
            return (
                line._replace(data=found.sub(MASK, line.data)) if found.search(line.data) else line
            )
        cut = max(len(line.data) - self._held_back, 0)
        for match in found.finditer(line.data):
            if match.start() < cut < match.end():
                cut = match.end()
        self._begun[line.is_stderr] = line._replace(data=line.data[cut:])
        return line._replace(data=found.sub(MASK, line.data[:cut])) if cut else None

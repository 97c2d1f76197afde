"""Secrets in what resources write, masked where their values are known."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from proad.core.slices import TimeSlicer
from proad.model import LogLine

MASK = b"***"

# What is shorter is in many a line that has nothing to do with it, and masks in there would tell it.
_SHORTEST = 4
# By so many of its first bytes a secret is known; as much as the whole of it is masked from there.
# So the work does not grow with what anybody has chosen for a secret.
_KEY = 32
# Of more keys, their first bytes are looked up at each place; each of fewer is looked for.
_FEW = 64
# Of a longer line, so many bytes are looked at in one step.
_STEP = 2048

_Spans = list[tuple[int, int]]


class _Begun(NamedTuple):
    """What was held back of a line.

    Attributes:
        line: the rest of it.
        covered: bytes at its beginning of which the mask was told already.
    """

    line: LogLine
    covered: int


class SecretMask:
    """Masks secrets in the lines of one log, where they overlap by one mask.

    Of a secret with several lines, each line is masked. Of a line that comes in parts, some bytes are
    held back, in which a secret may begin. The log may begin and end within a line, and so within
    a secret.

    To mask takes long where secrets and lines were chosen for that, so that others are served in between.

    Args:
        slicer: shares the event loop's time.
    """

    def __init__(self, slicer: TimeSlicer) -> None:
        self._slicer = slicer
        self._words: set[bytes] = set()
        self._keys: dict[bytes, int] = {}  # with how much is masked
        self._sizes: dict[bytes, list[int]] = {}
        self._may_have = re.compile(b"").search
        self._held_back = 0
        self._begun: dict[bool, _Begun] = {}
        self._told: set[bool] = set()  # the outputs of which something was told

    @classmethod
    async def of(cls, secrets: Iterable[str], slicer: TimeSlicer) -> "SecretMask":
        """Return the mask of some values."""
        mask = cls(slicer)
        async for word in slicer.each(_words(secrets)):
            mask._words.add(word)
            mask._keys[word[:_KEY]] = max(len(word), mask._keys.get(word[:_KEY], 0))
        if len(mask._keys) > _FEW:
            async for key in slicer.each(mask._keys):
                sizes = mask._sizes.setdefault(key[:_SHORTEST], [])
                if len(key) not in sizes:  # at most as many as a key has bytes
                    sizes.append(len(key))
                    sizes.sort(reverse=True)
        else:
            starts = {key[:_SHORTEST] for key in mask._keys}
            mask._may_have = re.compile(b"|".join(map(re.escape, sorted(starts)))).search
        mask._held_back = max(map(len, mask._keys), default=1) - 1
        return mask

    async def lines(self, lines: Sequence[LogLine]) -> Sequence[LogLine]:
        """Return the next lines, masked."""
        if not self._words:
            return lines
        steps = self._slicer.each(self._steps(lines))
        return [line async for line in steps if line is not None]

    def rest(self) -> list[LogLine]:
        """Return what was held back of lines that have no end."""
        left, self._begun = self._begun.values(), {}
        found = (self._told_of(line, covered, len(line.data)) for line, covered in left)
        return [line for line, _ in found if line.data]

    def _steps(self, lines: Iterable[LogLine]) -> Iterator[LogLine | None]:
        """Yield what can be told of each line, and None where a step has told nothing."""
        for line in lines:
            if self._is_plain(line):
                yield line
                continue
            if len(line.data) <= _STEP:
                yield self._masked(line)
                continue
            told: list[LogLine] = []
            for start in range(0, len(line.data), _STEP):
                part = line.data[start : start + _STEP]
                partial = line.partial or start + _STEP < len(line.data)
                if (masked := self._masked(line._replace(data=part, partial=partial))) is not None:
                    told.append(masked)
                yield None
            if told:
                yield told[0]._replace(
                    data=b"".join(each.data for each in told), partial=line.partial
                )

    def _is_plain(self, line: LogLine) -> bool:
        """Return whether a line has no secret, as most have none."""
        return (
            not line.partial
            and not self._may_have(line.data)
            and line.is_stderr in self._told
            and line.is_stderr not in self._begun
        )

    def _masked(self, line: LogLine) -> LogLine | None:
        """Return what can be told of a line now; None: nothing."""
        covered = 0
        if (begun := self._begun.pop(line.is_stderr, None)) is not None:
            covered = begun.covered
            line = line._replace(data=begun.line.data + line.data, time=begun.line.time)
        if not line.partial:
            return self._told_of(line, covered, len(line.data))[0]
        cut = max(len(line.data) - self._held_back, 0)
        told, left = self._told_of(line, covered, cut) if cut else (None, covered)
        self._begun[line.is_stderr] = _Begun(line._replace(data=line.data[cut:]), left)
        return told if told is not None and told.data else None

    def _told_of(self, line: LogLine, covered: int, cut: int) -> tuple[LogLine, int]:
        """Return a line until `cut`, masked, and how many bytes after it are masked by that, too."""
        data, goes_on = line.data, covered > 0
        if line.is_stderr not in self._told:
            self._told.add(line.is_stderr)
            covered = self._end_of_secret(data)
        spans = [(0, covered)] if covered else []
        spans += self._found(data)
        if line.partial and cut == len(data) and (start := self._start_of_secret(data)):
            spans.append((cut - start, cut))
        parts, at = [], 0
        for start, end in _merged(spans):
            if start >= cut:
                break
            parts += [data[at:start], b"" if goes_on and not start else MASK]
            at = end
        if not at:
            return (line if cut == len(data) else line._replace(data=data[:cut])), 0
        return line._replace(data=b"".join((*parts, data[at:cut]))), max(at - cut, 0)

    def _found(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield where the secrets begin and end."""
        if not self._sizes:
            for key, length in self._keys.items():
                at = data.find(key)
                while at >= 0:
                    # The last one that overlaps with this one: all in between are within both.
                    last = data.rfind(key, at, at + 2 * len(key) - 1)
                    yield at, last + length
                    at = data.find(key, last + 1)
            return
        for at in range(len(data) - _SHORTEST + 1):
            for size in self._sizes.get(data[at : at + _SHORTEST], ()):
                if length := self._keys.get(data[at : at + size], 0):
                    yield at, at + length
                    break

    def _end_of_secret(self, data: bytes) -> int:
        """Return how much of the beginning of a log may be the end of a secret."""
        longest, start = 0, data[:_SHORTEST]
        for word in self._words:
            if len(start) < _SHORTEST or start not in word:
                continue
            if len(data) >= _KEY and (at := word.find(data[:_KEY], 1)) > 0:
                longest = max(longest, len(word) - at)
                continue
            for size in range(min(_KEY, len(word)) - 1, max(longest, _SHORTEST - 1), -1):
                if data.startswith(word[-size:]):
                    longest = size
                    break
        return longest

    def _start_of_secret(self, data: bytes) -> int:
        """Return how much of the end of a log may be the beginning of a secret."""
        longest, end = 0, data[-_KEY:]
        for key in self._keys:
            if key[:_SHORTEST] in end:
                for size in range(len(key) - 1, max(longest, _SHORTEST - 1), -1):
                    if end.endswith(key[:size]):
                        longest = size
                        break
        return longest


def _words(secrets: Iterable[str]) -> Iterator[bytes]:
    """Yield what is to be masked of secrets, line by line."""
    for secret in secrets:
        for line in secret.encode(errors="surrogateescape").splitlines():
            if len(word := line.strip()) >= _SHORTEST:
                yield word


def _merged(spans: _Spans) -> _Spans:
    """Return spans in their order, those that overlap as one."""
    merged: _Spans = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged

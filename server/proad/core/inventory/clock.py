"""The logical clock that orders reads, lists, verbs and events."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager


class LogicalClock:
    """Numbers whatever begins, is applied or is heard of, and knows which reads are under way."""

    def __init__(self) -> None:
        self._number = 0
        self._under_way: OrderedDict[int, None] = OrderedDict()

    def tick(self) -> int:
        """Return the next number."""
        self._number += 1
        return self._number

    @contextmanager
    def reading(self) -> Iterator[int]:
        """Return the number of a read that begins here, and is under way until the block ends."""
        begun = self.tick()
        self._under_way[begun] = None
        try:
            yield begun
        finally:
            del self._under_way[begun]

    @property
    def oldest(self) -> int:
        """The number of the oldest read under way; of the last tick if there is none."""
        return next(iter(self._under_way), self._number)

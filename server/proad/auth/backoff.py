"""Back-off after failures."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from proad.errors import TooManyAttemptsError

K = TypeVar("K", bound=Hashable)

# A doubling past this would only overflow.
_MAX_DOUBLINGS = 20


@dataclass(slots=True)
class _Record:
    failures: int
    last: float


class BackOff(Generic[K]):
    """Counts failures per key; after some, each demands a longer pause than the last.

    Bounded: when there are too many keys, the one that failed longest ago is forgotten.

    Args:
        free: failures without a pause.
        first: pause after the first failure past those; each further one doubles it.
        longest: where the doubling ends.
        forget_after: a key without a failure for so long starts anew.
        max_keys: how many keys are remembered.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        *,
        free: int,
        clock: Callable[[], float],
        first: timedelta = timedelta(seconds=1),
        longest: timedelta = timedelta(minutes=1),
        forget_after: timedelta = timedelta(minutes=15),
        max_keys: int = 65_536,
    ) -> None:
        self._free = free
        self._clock = clock
        self._first = first.total_seconds()
        self._longest = longest.total_seconds()
        self._forget_after = forget_after.total_seconds()
        self._max_keys = max_keys
        self._records: OrderedDict[K, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def count(self, key: K) -> int:
        """Return how often the key has failed of late."""
        record = self._records.get(key)
        if record is None or self._clock() - record.last > self._forget_after:
            return 0
        return record.failures

    def check(self, key: K) -> None:
        """Let the key try.

        Raises:
            TooManyAttemptsError: its pause is not over.
        """
        record = self._records.get(key)
        if record is None or record.failures <= self._free:
            return
        doublings = min(record.failures - self._free - 1, _MAX_DOUBLINGS)
        pause = min(self._first * 2**doublings, self._longest)
        left = record.last + pause - self._clock()
        if left > 0:
            raise TooManyAttemptsError(timedelta(seconds=left))

    def failed(self, key: K) -> None:
        """Count a failure."""
        failures = self.count(key) + 1
        self._records[key] = _Record(failures, self._clock())
        self._records.move_to_end(key)
        if len(self._records) > self._max_keys:
            self._records.popitem(last=False)

    def succeeded(self, key: K) -> None:
        """Forget the failures."""
        self._records.pop(key, None)

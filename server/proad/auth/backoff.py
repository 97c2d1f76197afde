"""Back-off after failed logins."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from proad.errors import TooManyAttemptsError

# A doubling past this would only overflow.
_MAX_DOUBLINGS = 20


@dataclass(slots=True)
class _Record:
    failures: int
    last: float


class BackOff:
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
        max_keys: int = 10_000,
    ) -> None:
        self._free = free
        self._clock = clock
        self._first = first.total_seconds()
        self._longest = longest.total_seconds()
        self._forget_after = forget_after.total_seconds()
        self._max_keys = max_keys
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def check(self, key: str) -> None:
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

    def failed(self, key: str) -> None:
        """Count a failure."""
        now = self._clock()
        record = self._records.pop(key, None)
        if record is None or now - record.last > self._forget_after:
            record = _Record(failures=0, last=now)
        record.failures += 1
        record.last = now
        self._records[key] = record
        if len(self._records) > self._max_keys:
            self._records.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Forget the failures."""
        self._records.pop(key, None)

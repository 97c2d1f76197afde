"""Growing pauses after failures."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from proad.auth.timing import AuthTiming
from proad.errors import TooManyAttemptsError

K = TypeVar("K", bound=Hashable)

# Bounds the exponent, so that the pause does not overflow.
_MAX_DOUBLINGS = 20


@dataclass(slots=True)
class _Record:
    failures: int
    last: float


class BackOff(Generic[K]):
    """Counts failures per key, and imposes growing pauses once there are too many.

    Memory is bounded: past `max_keys`, the key that failed longest ago is dropped.

    Args:
        free: failures without a pause.
        clock: monotonic time in seconds.
        timing: the length of pauses, and when failures are forgotten.
        max_keys: the maximum number of keys with a record.
    """

    def __init__(
        self,
        *,
        free: int,
        clock: Callable[[], float],
        timing: AuthTiming = AuthTiming(),
        max_keys: int = 65_536,
    ) -> None:
        self._free = free
        self._clock = clock
        self._first_pause = timing.first_pause.total_seconds()
        self._longest_pause = timing.longest_pause.total_seconds()
        self._forget_after = timing.forget_failures_after.total_seconds()
        self._max_keys = max_keys
        self._records: OrderedDict[K, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def count(self, key: K) -> int:
        """Return the number of recent failures of a key."""
        record = self._records.get(key)
        if record is None or self._clock() - record.last > self._forget_after:
            return 0
        return record.failures

    def check(self, key: K) -> None:
        """Check that no pause of a key is running.

        Raises:
            TooManyAttemptsError: the pause has not ended.
        """
        record = self._records.get(key)
        if record is None or record.failures <= self._free:
            return
        doublings = min(record.failures - self._free - 1, _MAX_DOUBLINGS)
        pause = min(self._first_pause * 2**doublings, self._longest_pause)
        left = record.last + pause - self._clock()
        if left > 0:
            raise TooManyAttemptsError(timedelta(seconds=left))

    def failed(self, key: K) -> None:
        """Count a failure of a key."""
        failures = self.count(key) + 1
        self._records[key] = _Record(failures, self._clock())
        self._records.move_to_end(key)
        if len(self._records) > self._max_keys:
            self._records.popitem(last=False)

    def succeeded(self, key: K) -> None:
        """Forget the failures of a key."""
        self._records.pop(key, None)

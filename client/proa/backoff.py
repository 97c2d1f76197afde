"""Pauses between the calls of a watch or a wait that go on after failures."""

import random
import time
from collections.abc import Callable

from grpc import StatusCode

from proa.errors import Error, Unavailable
from proa.timing import ClientTiming

# Bounds the exponent, so that a daemon that is away for long causes no overflow.
_MAX_DOUBLINGS = 20
_TRANSPORT_CODES = frozenset(
    {StatusCode.INTERNAL, StatusCode.UNKNOWN, StatusCode.CANCELLED, StatusCode.DEADLINE_EXCEEDED}
)


class Backoff:
    """Grows with each failure, and begins anew after a call that lasted.

    Args:
        timing: the bounds of the pauses.
        clock: monotonic time in seconds.
    """

    def __init__(
        self, timing: ClientTiming = ClientTiming(), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._timing = timing
        self._clock = clock
        self._failures = 0
        self._opened = 0.0

    def begin(self) -> None:
        """Note that a call begins."""
        self._opened = self._clock()

    def after(self, error: Error) -> float:
        """Return the pause after the failure of a call, in seconds."""
        if self._clock() - self._opened > self._timing.steady_after:
            self._failures = 0
        doublings = min(self._failures, _MAX_DOUBLINGS)
        bound = min(self._timing.longest_backoff, self._timing.first_backoff * 2**doublings)
        self._failures += 1
        # Random, so that the watchers of a restarted daemon do not all return at once.
        pause = random.uniform(0, bound)  # noqa: S311 - no secret
        if error.retry_after is not None:
            pause += error.retry_after.total_seconds()
        return pause


def is_transient(error: Error) -> bool:
    """Return whether the same call may succeed later."""
    if isinstance(error, Unavailable) or error.retry_after is not None:
        return True
    # Without a reason, the error is not the daemon's: a stream reset, a proxy, a login timeout.
    return not error.reason and error.code() in _TRANSPORT_CODES

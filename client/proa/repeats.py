"""Repetitions of calls that changed something, or not: their answer was lost.

A changing call carries a `request_id`, with which the daemon lets it happen once, however often
it is made. The client therefore repeats it where no answer came; an answer that is an error is
the caller's, who makes a new call, with a new id.
"""

import uuid
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from proa import contract
from proa.errors import Error, Unavailable
from proa.timing import ClientTiming

_NOTHING_WAS_SENT = "failed to connect to all addresses"


def with_id(method: str, request: Any) -> Any:
    """Return the request of a changing call with an id, unless the caller has given one."""
    if method not in contract.JOURNALLED or request.request_id:
        return request
    # The caller may use the message for another call.
    copy: Message = type(request)()
    copy.CopyFrom(request)
    copy.request_id = str(uuid.uuid4())  # type: ignore[attr-defined] # JOURNALLED has the field
    return copy


class Repeats:
    """The pauses between the attempts of one call.

    Args:
        allowed: whether the call has an id.
        timing: how long and how often to try.
        deadline: when the call must have ended, by `clock`; None for no such time.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        *,
        allowed: bool,
        timing: ClientTiming,
        deadline: float | None,
        clock: Callable[[], float],
    ) -> None:
        self._allowed = allowed
        self._timing = timing
        self._deadline = deadline
        self._clock = clock
        self.answered()

    def answered(self) -> None:
        """Begin anew: a response of a stream has come."""
        self._failures = 0
        self._sent = False
        self._since: float | None = None

    def remaining(self) -> float | None:
        """Return the seconds until the deadline."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def pause(self, error: Error) -> float | None:
        """Return the seconds until the next attempt; None: the error is the answer."""
        if not (self._allowed and isinstance(error, Unavailable)):
            return None
        if error.reason not in {"", "SHUTTING_DOWN"}:
            return None
        now = self._clock()
        since = self._since = now if self._since is None else self._since
        self._failures += 1
        self._sent = self._sent or _NOTHING_WAS_SENT not in error.message
        pause = min(
            self._timing.first_repeat * 2.0 ** (self._failures - 1), self._timing.longest_repeat
        )
        # Where no daemon was from the start, there is nothing to find out.
        over = (
            now + pause > since + self._timing.repeat_within
            if self._sent
            else self._failures >= contract.RETRY_ATTEMPTS
        )
        late = self._deadline is not None and now + pause >= self._deadline
        return None if over or late else pause

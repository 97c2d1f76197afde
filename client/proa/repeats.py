"""Repetitions of calls whose answer was lost, and of those that were too many.

A changing call carries a `request_id`, with which the daemon lets it happen once, however often
it is made. The client therefore repeats it where no answer came; an answer that is an error is
the caller's, who makes a new call, with a new id. Any call is repeated that the daemon refused
because the user has too many calls under way.
"""

import random
import uuid
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from proa import contract
from proa.errors import Error, Unavailable
from proa.timing import ClientTiming

_LIMITED = "TOO_MANY_CALLS"
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
        allowed: whether the call has an id, and is repeated if its answer was lost.
        refused: whether the call is repeated that was one too many.
        timing: how long and how often to try.
        deadline: when the call must have ended, by `clock`; None for no such time.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        *,
        allowed: bool,
        refused: bool = True,
        timing: ClientTiming,
        deadline: float | None,
        clock: Callable[[], float],
    ) -> None:
        self._allowed = allowed
        self._refused = refused
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
        # Refused for what else the user has under way: nothing was done.
        limited = self._refused and error.reason == _LIMITED and error.retry_after is not None
        lost = (
            self._allowed
            and isinstance(error, Unavailable)
            and error.reason in {"", "SHUTTING_DOWN"}
        )
        if not (limited or lost):
            return None
        now = self._clock()
        since = self._since = now if self._since is None else self._since
        self._failures += 1
        self._sent = self._sent or _NOTHING_WAS_SENT not in error.message
        pause = min(
            self._timing.first_repeat * 2.0 ** (self._failures - 1), self._timing.longest_repeat
        )
        if limited and error.retry_after is not None:
            # Random, so that calls that are refused together do not return together.
            spread = random.uniform(0, pause)  # noqa: S311 - no secret
            pause = error.retry_after.total_seconds() + spread
        # Where no daemon was from the start, there is nothing to find out.
        over = (
            now + pause > since + self._timing.repeat_within
            if self._sent
            else self._failures >= contract.RETRY_ATTEMPTS
        )
        late = self._deadline is not None and now + pause >= self._deadline
        return None if over or late else pause

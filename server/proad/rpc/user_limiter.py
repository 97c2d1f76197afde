"""Limits of what one user has under way: calls in a time, calls at a time, unread answers."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from proad.errors import UserLimitError

# When others of the user's calls have ended, nobody knows; so long a client waits.
_NEXT_TRY = timedelta(seconds=1)
# A client that is told to wait less than a timer takes would only come back too early.
_SHORTEST_PAUSE = timedelta(milliseconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLimits:
    """The most that one user may have, by whatever tokens.

    Attributes:
        calls_per_second: calls that begin in a second, on average; a pause of up to a second
            is made up for.
        concurrent_calls: calls that have not ended, with those whose answers are not read.
        unread_bytes: answers of reads that wait to be sent, since their callers do not read.
        request_streams: streams of requests, and calls that hold as much, that have not ended.
    """

    calls_per_second: int = 10_000
    concurrent_calls: int = 10_000
    unread_bytes: int = 64 * 2**20
    request_streams: int = 200


@dataclass(slots=True)
class _Share:
    """What one user has.

    Attributes:
        due: when the calls so far would have ended if they came evenly, by the limiter's clock.
        calls: calls under way.
        unread: bytes of their answers.
        streams: streams of requests, and calls that hold as much, under way.
        refused: methods of which an answer was refused since answers were read last.
    """

    due: float = 0.0
    calls: int = 0
    unread: int = 0
    streams: int = 0
    refused: set[str] = field(default_factory=set)


class UserLimiter:
    """Limits each user on its own, so that a busy one takes little from the others.

    Args:
        limits: the limits.
        clock: monotonic time in seconds.
    """

    def __init__(
        self, limits: UserLimits = UserLimits(), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        self._clock = clock
        self._shares: dict[str, _Share] = {}  # few: one for each user who has ever called

    def use(self, limits: UserLimits) -> None:
        """Hold calls that begin or answer from now on against other limits."""
        self.limits = limits

    def begin(self, user_id: str, read_method: str = "") -> "LimitedCall":
        """Admit a call, and count it until its end.

        Args:
            user_id: of the user.
            read_method: the method of a call that only reads, and can be made again; empty: the
                call changes something, and its answer is never refused.

        Raises:
            UserLimitError: the user has begun too many calls in this time, has too many under
                way, or too many answers unread.
        """
        limits, share = self.limits, self._share(user_id)
        if share.calls >= limits.concurrent_calls:
            raise UserLimitError(
                f"{limits.concurrent_calls} calls at a time", "user_concurrent_calls", _NEXT_TRY
            )
        if share.unread >= limits.unread_bytes or read_method in share.refused:
            raise _unread_error(limits)
        self._pace(share)
        share.calls += 1
        return LimitedCall(self, share, read_method)

    @contextmanager
    def stream(self, user_id: str) -> Iterator[None]:
        """Count a stream of requests, or what holds as much, while the block runs.

        Args:
            user_id: of the user, of whom a call has begun.

        Raises:
            UserLimitError: the user has too many under way.
        """
        share, most = self._shares[user_id], self.limits.request_streams
        if share.streams >= most:
            raise UserLimitError(
                f"{most} commands, consoles, connections, logs and files at a time",
                "user_request_streams",
                _NEXT_TRY,
            )
        share.streams += 1
        try:
            yield
        finally:
            share.streams -= 1

    def pace(self, user_id: str) -> None:
        """Count a login, or a request of a stream, as a call that begins, and as nothing else.

        Raises:
            UserLimitError: there were too many in this time.
        """
        self._pace(self._share(user_id))

    def _share(self, user_id: str) -> _Share:
        share = self._shares.get(user_id)
        if share is None:
            share = self._shares[user_id] = _Share()
        return share

    def _pace(self, share: _Share) -> None:
        now, rate = self._clock(), self.limits.calls_per_second
        due = max(share.due, now) + 1 / rate
        if due > now + 1:
            pause = max(timedelta(seconds=due - now - 1), _SHORTEST_PAUSE)
            raise UserLimitError(f"{rate} calls in a second", "user_calls_per_second", pause)
        share.due = due

    def check_room(self, user_id: str, read_method: str) -> None:
        """Check that the answer of a call would be sent, before there is any work for it.

        How large an answer is, is known only afterwards. Once one was refused, the next ones of its
        method are not even made, until the user has read any answer.

        Args:
            user_id: of the user, of whom a call has begun.
            read_method: as for `begin`.

        Raises:
            UserLimitError: the user has too many unread answers.
        """
        if read_method in self._shares[user_id].refused:
            raise _unread_error(self.limits)


class LimitedCall:
    """A call that is counted until gRPC has sent its answer, or its caller has gone."""

    __slots__ = ("_ended", "_limiter", "_read_method", "_share", "_unread")

    def __init__(self, limiter: UserLimiter, share: _Share, read_method: str) -> None:
        self._limiter = limiter
        self._share = share
        self._read_method = read_method
        self._unread = 0
        self._ended = False

    def answer(self, size: int) -> None:
        """Count an answer, which is sent next.

        Args:
            size: its bytes.

        Raises:
            UserLimitError: the user has too many unread answers to get this one.
        """
        limits = self._limiter.limits
        unread = self._share.unread
        # The first answer is always sent: or none larger than the limit ever would be.
        if self._read_method and unread and unread + size > limits.unread_bytes:
            self._share.refused.add(self._read_method)
            raise _unread_error(limits)
        self._unread += size
        self._share.unread += size

    def end(self) -> None:
        """End the count."""
        if not self._ended:
            self._ended = True
            self._share.calls -= 1
            self._share.unread -= self._unread
            if self._unread:
                self._share.refused.clear()


def _unread_error(limits: UserLimits) -> UserLimitError:
    """Return the error of a user who does not read."""
    return UserLimitError(
        f"{limits.unread_bytes} bytes of answers that are not read", "user_unread_bytes", _NEXT_TRY
    )

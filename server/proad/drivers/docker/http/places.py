"""Places for streams by SSH, each of which is a process here and some on the engine's host."""

import threading
from collections import Counter, deque
from collections.abc import Callable

from proad.drivers.docker.errors import ENGINE
from proad.errors import HostExhaustedError

MOST_BY_SSH = 256
"""Streams by SSH to one engine at a time, at most."""


class StreamPlaces:
    """The places for streams to one engine.

    A user may have as many as there are left, so that no user ever keeps all others from them.

    Args:
        user: returns the id of the user for whom the current task works.
        most: how many places there are.
    """

    def __init__(self, user: Callable[[], str], most: int = MOST_BY_SSH) -> None:
        self._user = user
        self._most = most
        self._taken: Counter[str] = Counter()
        # Given back without the lock: by the collector of garbage, too, whatever a thread holds then.
        self._back: deque[str] = deque()
        self._lock = threading.Lock()

    def of_user(self) -> Callable[[], Callable[[], None]]:
        """Return how a thread takes a place for the current user, and by that how it is given back."""
        user = self._user()
        return lambda: self._take(user)

    def _take(self, user: str) -> Callable[[], None]:
        """Take a place; return what gives it back, and is to be called once.

        Raises:
            HostExhaustedError: there is none.
        """
        with self._lock:
            while self._back:
                self._taken[self._back.popleft()] -= 1
            self._taken = +self._taken
            left = self._most - self._taken.total()
            if self._taken[user] + 1 > left:
                raise HostExhaustedError(
                    ENGINE,
                    f"the daemon keeps at most {self._most} streams by SSH to an engine, of which "
                    f"{left} are free and this user has {self._taken[user]}, who may have as many as "
                    "are free",
                )
            self._taken[user] += 1
        return lambda: self._back.append(user)

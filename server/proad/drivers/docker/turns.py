"""Taking turns: a container that hangs may hold a few threads, never all of them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from proad.drivers.docker.errors import ENGINE
from proad.errors import EngineTimedOutError

T = TypeVar("T")


class Turns:
    """Lets a few calls at a time through for each key.

    Args:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._gates: dict[str, asyncio.Semaphore] = {}
        self._users: dict[str, int] = {}

    async def take(
        self, key: str, limit: timedelta, call: Callable[[timedelta], Awaitable[T]]
    ) -> T:
        """Wait for a turn and make `call` with what is left of `limit`.

        A turn lasts until the call has ended, even when its caller has given up: it may
        hold a thread until then.

        Raises:
            EngineTimedOutError: the turn did not come within `limit`.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + limit.total_seconds()
        gate = self._gates.setdefault(key, asyncio.Semaphore(self._size))
        self._users[key] = self._users.get(key, 0) + 1
        try:
            async with asyncio.timeout_at(deadline):
                await gate.acquire()
        except BaseException as error:
            self._leave(key)
            if isinstance(error, TimeoutError):
                raise EngineTimedOutError(ENGINE) from None
            raise

        async def turn() -> T:
            try:
                return await call(timedelta(seconds=max(deadline - clock(), 0)))
            finally:
                gate.release()
                self._leave(key)

        going = asyncio.ensure_future(turn())
        going.add_done_callback(_retrieved)
        return await asyncio.shield(going)

    def _leave(self, key: str) -> None:
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key], self._gates[key]


def _retrieved(done: "asyncio.Future[T]") -> None:
    if not done.cancelled():
        done.exception()  # whoever asked for it may have gone

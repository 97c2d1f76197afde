"""A driver's own threads, for SDKs that block.

`asyncio.to_thread` will not do: its threads are shared, so that one hung engine takes
them from the other, and the interpreter waits for them when it exits.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self, TypeVar

from proad.errors import EngineTimedOutError

T = TypeVar("T")

DEFAULT_TIMEOUT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class _Job:
    call: Callable[[], Any]
    result: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop

    def run(self) -> None:
        if self.result.cancelled():  # its caller gave up while it was queued
            return
        try:
            value = self.call()
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits
            self._settle(self.result.set_exception, error)
        else:
            self._settle(self.result.set_result, value)

    def _settle(self, settle: Callable[[Any], None], outcome: object) -> None:
        def deliver() -> None:
            if not self.result.done():
                settle(outcome)

        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(deliver)


class EngineThreads:
    """A bounded pool of daemon threads, with one more for urgent calls.

    Args:
        engine: name of the engine, for errors and thread names.
        size: number of threads for ordinary calls.
    """

    def __init__(self, engine: str, *, size: int = 8) -> None:
        self._engine = engine
        self._size = size
        self._ordinary: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._urgent: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        for number in range(self._size):
            self._spawn(self._ordinary, str(number))
        self._spawn(self._urgent, "urgent")
        return self

    def __exit__(self, *_: object) -> None:
        """Let idle threads end. A hung one is left behind; it does not hold up the exit."""
        for _number in range(self._size):
            self._ordinary.put(None)
        self._urgent.put(None)

    async def run(
        self,
        call: Callable[[], T],
        *,
        timeout: timedelta = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - raises our own error
        urgent: bool = False,
    ) -> T:
        """Run a blocking call on a thread and give its result.

        When the caller is cancelled or `timeout` is over, the call itself goes on and
        its result is dropped when it comes.

        Raises:
            EngineTimedOutError: no result within `timeout`, waiting for a thread included.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        (self._urgent if urgent else self._ordinary).put(_Job(call, result, loop))
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                return await result
        except TimeoutError:
            if result.done() and not result.cancelled():
                # The call's own TimeoutError, or what it gave at the last moment.
                return result.result()
            raise EngineTimedOutError(self._engine) from None

    def _spawn(self, jobs: "queue.SimpleQueue[_Job | None]", label: str) -> None:
        def work() -> None:
            while (job := jobs.get()) is not None:
                job.run()

        threading.Thread(target=work, name=f"{self._engine}-{label}", daemon=True).start()

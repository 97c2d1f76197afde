"""A driver's own threads, for SDKs that block.

`asyncio.to_thread` is no alternative: its threads are shared, so that a hung engine takes
them from the other one, and the interpreter joins them at exit.
"""

import asyncio
import concurrent.futures
import contextvars
import queue
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Generic, Self, TypeVar, TypeVarTuple

from proad.errors import EngineTimedOutError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

DEFAULT_TIMEOUT = timedelta(seconds=60)


def call_soon_threadsafe(
    loop: asyncio.AbstractEventLoop, call: Callable[[*Ts], object], *args: *Ts
) -> None:
    """Schedule `call` on the asyncio loop from any thread; do nothing when the loop is closed."""
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(call, *args)


def from_thread(call: Callable[[*Ts], Awaitable[T]]) -> Callable[[*Ts], T]:
    """Return a function for other threads that awaits `call` on the running asyncio loop.

    The coroutine runs in the present context, and its exceptions are the function's.

    On a closed loop, the function raises concurrent.futures.CancelledError.
    """
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    under_way: set[asyncio.Task[None]] = set()  # the loop itself keeps no task alive

    def wait(*args: *Ts) -> T:
        result: concurrent.futures.Future[T] = concurrent.futures.Future()

        async def answer() -> None:
            try:
                result.set_result(await call(*args))
            except BaseException as error:  # noqa: BLE001 - raised on the thread
                result.set_exception(error)

        def begin() -> None:
            task = loop.create_task(answer(), context=context)
            under_way.add(task)
            task.add_done_callback(under_way.discard)

        try:
            loop.call_soon_threadsafe(begin)
        except RuntimeError:  # the loop is closed: nobody waits any more
            raise concurrent.futures.CancelledError from None
        return result.result()

    return wait


class _Job(Generic[T]):
    """A call for a worker thread; its caller may cancel it before it begins.

    Args:
        call: the blocking call.
        ended: called on the asyncio loop when the call has ended, or was cancelled before
            it began.
    """

    __slots__ = ("_call", "_ended", "_loop", "_taken", "result")

    def __init__(
        self,
        call: Callable[[], T],
        ended: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._call = call
        self._ended = ended
        self._loop = loop
        self._taken = threading.Lock()
        self.result: asyncio.Future[T] = loop.create_future()

    def run(self) -> None:
        """Run the call, on a thread."""
        if not self._taken.acquire(blocking=False):
            return
        try:
            value = self._call()
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits
            self._settle(self.result.set_exception, error)
        else:
            self._settle(self.result.set_result, value)

    def cancel(self) -> bool:
        """Cancel the call if it has not begun; return whether it had not. For the event loop."""
        in_time = self._taken.acquire(blocking=False)
        if in_time:
            self._ended()
        return in_time

    def _settle(self, settle: Callable[[Any], None], outcome: object) -> None:
        def deliver() -> None:
            self._ended()
            if not self.result.done():
                settle(outcome)

        # One callback for both: each call_soon_threadsafe costs a system call.
        call_soon_threadsafe(self._loop, deliver)


class EngineThreads:
    """A bounded pool of daemon threads.

    Args:
        engine: name of the engine, for errors and thread names.
        sort: purpose of the threads, for their names.
        size: number of threads.
    """

    def __init__(self, engine: str, sort: str = "calls", *, size: int) -> None:
        self._engine = engine
        self._sort = sort
        self._size = size
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._awaited: set[asyncio.Future[Any]] = set()

    def __enter__(self) -> Self:
        for number in range(self._size):
            name = f"{self._engine}-{self._sort}-{number}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End idle threads. A hung one is left behind; as a daemon it does not delay the exit."""
        for _number in range(self._size):
            self._jobs.put(None)

    async def run(
        self,
        call: Callable[[], T],
        *,
        timeout: timedelta = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - raises our own error
        ended: Callable[[], None] = lambda: None,
    ) -> T:
        """Run a blocking call on a thread; return its result.

        When the caller is cancelled or `timeout` is over, a call that has begun goes on,
        and its result is dropped.

        Args:
            call: the blocking call.
            timeout: limit of the call, which includes the wait for a thread.
            ended: called once on the asyncio loop when the call has ended, possibly long
                after its caller has gone, or was cancelled before it began.

        Raises:
            EngineTimedOutError: no result within `timeout`.
        """
        loop = asyncio.get_running_loop()
        job = _Job(call, ended, loop)
        self._jobs.put(job)
        # asyncio.timeout costs more, and its TimeoutError could be one of the call itself.
        timer = loop.call_later(timeout.total_seconds(), self._time_out, job)
        self._awaited.add(job.result)
        try:
            return await job.result
        finally:
            self._awaited.discard(job.result)
            timer.cancel()
            job.cancel()

    def fail(self, why: Callable[[], Exception]) -> None:
        """Fail all waiting callers, each with an error of its own. For the event loop."""
        for result in self._awaited:
            if not result.done():
                result.set_exception(why())

    def _time_out(self, job: _Job[T]) -> None:
        if not job.result.done():
            begun = not job.cancel()
            job.result.set_exception(EngineTimedOutError(self._engine, begun=begun))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()

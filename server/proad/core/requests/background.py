"""Work that goes on though nobody waits for it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class BackgroundTasks:
    """Tasks that end with what started them, and attempts that are repeated until one succeeds.

    Args:
        first_retry: seconds from a failed attempt to the next one; doubled after each.
        longest_retry: upper bound of that time.
    """

    def __init__(self, first_retry: float, longest_retry: float) -> None:
        self._first_retry = first_retry
        self._longest_retry = longest_retry
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start a task."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def cancel(self) -> None:
        """Cancel all tasks, and wait for their ends."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def retried(self, attempt: Callable[[], Coroutine[Any, Any, T | None]]) -> T:
        """Return the first result of an attempt that is neither None nor False."""
        pause = self._first_retry
        while not (result := await attempt()):
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._longest_retry)
        return result

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved: nobody may wait for it

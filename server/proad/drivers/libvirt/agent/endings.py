"""What must be done inside guests though nobody waits for it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from proad.drivers.libvirt.agent.talk import GuestPausedError
from proad.drivers.libvirt.timing import AgentTiming


class Endings:
    """Ends what was begun inside guests, whatever becomes of who began it.

    Args:
        timing: durations.
    """

    def __init__(self, timing: AgentTiming) -> None:
        self._timing = timing
        self._under_way: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait a moment for what is under way."""
        if self._under_way:
            await self._a_moment(self._under_way)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it in the background."""
        self._begin(work)

    async def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it; wait for it a moment."""
        await self._a_moment({self._begin(work)})

    async def once_resumed(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do it when the guest is not paused.

        Raises:
            TimeoutError: the guest is paused for too long, or the work takes too long.
            ProaError: those of the work.
        """
        async with asyncio.timeout(self._timing.clean_up.total_seconds()):
            while True:
                with suppress(GuestPausedError):
                    await work()
                    return
                await asyncio.sleep(self._timing.longest_pause.total_seconds())

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _a_moment(self, tasks: set[asyncio.Task[None]]) -> None:
        await asyncio.wait(tasks, timeout=self._timing.leave.total_seconds())

"""Changes under way: they outlive the call that asked for them, and go one at a time.

A client that goes away must not leave a create half done, and two verbs on one
resource must not run into each other.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from proad.errors import ActivityInProgressError, ProaError, ShuttingDownError
from proad.model import Verb

T = TypeVar("T")

_log = structlog.get_logger(__name__)

# How long a verb waits for the one before it. Long enough for two callers who pause
# and resume, too short to sit behind a graceful stop.
PATIENCE = 5.0


@dataclass(eq=False, slots=True)
class _Turn:
    """A verb that has the turn on a resource."""

    verb: Verb
    task: asyncio.Task[Any]
    over: asyncio.Event
    force: bool
    ousted_by: Verb | None = None


class Operations:
    """Runs changes as tasks of their own, serial for each resource, parallel otherwise."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._turns: dict[str, _Turn] = {}
        self._closed = False

    async def run(self, change: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a change to its end, even if the caller goes away meanwhile.

        Raises:
            ShuttingDownError: no new change is taken any more.
        """
        if self._closed:
            raise ShuttingDownError
        task = asyncio.create_task(change())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_tell_the_log)  # nobody else hears how it ends
            raise

    @asynccontextmanager
    async def turn(
        self, key: str, name: str, verb: Verb, *, oust: bool = False
    ) -> AsyncIterator[bool]:
        """Have the turn on the resource `key`, and tell whether it is one's own.

        With `oust` a stop or a restart that waits for its grace period is not waited for:
        force goes through at once, beside it. Where one of the two wants the resource to run, the
        one before is given up; a graceful stop ends well by itself. What goes by force itself
        is soon over: it is waited for.

        Raises:
            ActivityInProgressError: another verb took too long, or this one was ousted.
        """
        while (before := self._turns.get(key)) is not None:
            if oust and not before.force and before.verb in {Verb.STOP, Verb.RESTART}:
                if Verb.RESTART in {verb, before.verb}:
                    before.ousted_by = verb
                    before.task.cancel()
                    await before.over.wait()
                    continue
                yield False
                return
            try:
                async with asyncio.timeout(PATIENCE):
                    await before.over.wait()
            except TimeoutError:
                raise ActivityInProgressError(name, before.verb) from None
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a turn needs a task")
        turn = self._turns[key] = _Turn(verb, task, asyncio.Event(), force=oust)
        try:
            yield True
        except asyncio.CancelledError:
            if turn.ousted_by is None:
                raise
            task.uncancel()
            raise ActivityInProgressError(name, turn.ousted_by) from None
        finally:
            del self._turns[key]
            turn.over.set()

    async def close(self, patience: float) -> None:
        """Take no new change, let those under way end, and cancel what takes too long."""
        self._closed = True
        if not self._tasks:
            return
        _done, late = await asyncio.wait(self._tasks, timeout=patience)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=2)


def _tell_the_log(task: asyncio.Task[Any]) -> None:
    if task.cancelled() or (error := task.exception()) is None:
        return
    if isinstance(error, ProaError):
        _log.info("change refused, its caller is gone", reason=error.reason, error=error.message)
    else:
        _log.error("change failed, its caller is gone", exc_info=error)

"""Changes under way: once begun they outlive the call that asked for them, and on one
resource they go one at a time.

A client that goes away must not leave a create half done, and two verbs on one
resource must not run into each other.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from proad.errors import ActivityInProgressError, ProaError, ShuttingDownError
from proad.model import Verb

T = TypeVar("T")

_log = structlog.get_logger(__name__)

# How long a verb waits for those before it. Long enough for two callers who pause
# and resume, too short to sit behind a graceful stop.
PATIENCE = 5.0


@dataclass(eq=False, slots=True)
class _Turn:
    """The turn on a resource: the verb that took it, and how many are at work in it."""

    verb: Verb
    task: asyncio.Task[Any]
    force: bool
    users: int = 1
    over: asyncio.Event = field(default_factory=asyncio.Event)
    ousted_by: Verb | None = None


class Operations:
    """Runs changes as tasks of their own, serial for each resource, parallel otherwise."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        # Those of them that nothing has been done for yet.
        self._waiting: set[asyncio.Task[Any]] = set()
        self._turns: dict[str, _Turn] = {}
        self._closed = False

    async def run(self, change: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a change to its end, even if the caller goes away meanwhile.

        One that takes turns is given up with its caller until it has begun: nobody expects
        it any more, and whoever asks again would have it done twice.

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
            if task in self._waiting:
                task.cancel()
            raise

    @asynccontextmanager
    async def turn(
        self, key: str, name: str, verb: Verb, *, oust: bool = False
    ) -> AsyncIterator[bool]:
        """Have the turn on the resource `key`, and tell whether it is one's own.

        With `oust` a stop or a restart that waits for its grace period is not waited for:
        force goes through at once, beside it, and whoever leaves last ends the turn. Where
        one of the two wants the resource to run, the one before is given up; a graceful stop
        ends well by itself. What goes by force itself is soon over: it is waited for.

        Raises:
            ActivityInProgressError: others took too long, or this one was ousted.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a turn needs a task")
        self._waiting.add(task)
        try:
            turn = await self._enter(key, name, verb, task, oust=oust)
            ours = turn.task is task
            try:
                yield ours
            except asyncio.CancelledError:
                if not ours or turn.ousted_by is None:
                    raise
                task.uncancel()
                raise ActivityInProgressError(name, turn.ousted_by) from None
            finally:
                turn.users -= 1
                if not turn.users:
                    del self._turns[key]
                    turn.over.set()
        finally:
            self._waiting.discard(task)

    def begin(self) -> None:
        """Say of the change that calls this in its turn: from now on it goes to its end."""
        self._waiting -= {asyncio.current_task()}

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

    async def _enter(
        self, key: str, name: str, verb: Verb, task: asyncio.Task[Any], *, oust: bool
    ) -> _Turn:
        until = asyncio.get_running_loop().time() + PATIENCE
        while (before := self._turns.get(key)) is not None:
            if oust and not before.force and before.verb in {Verb.STOP, Verb.RESTART}:
                if Verb.RESTART not in {verb, before.verb}:
                    before.users += 1
                    return before
                if before.ousted_by is None:
                    before.ousted_by = verb
                    before.task.cancel()
            try:
                async with asyncio.timeout_at(until):
                    await before.over.wait()
            except TimeoutError:
                raise ActivityInProgressError(name, before.verb) from None
        turn = self._turns[key] = _Turn(verb, task, force=oust)
        return turn


def _tell_the_log(task: asyncio.Task[Any]) -> None:
    if task.cancelled() or (error := task.exception()) is None:
        return
    if isinstance(error, ProaError):
        _log.info("change failed, its caller is gone", reason=error.reason, error=error.message)
    else:
        _log.error("change failed, its caller is gone", exc_info=error)

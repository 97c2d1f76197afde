"""Changes that go to their end though their callers go away.

A client that disconnects must not leave a create half done.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import structlog

from proad.errors import ProaError, ShuttingDownError

P = ParamSpec("P")
T = TypeVar("T")

_log = structlog.get_logger(__name__)

OnLeft = Callable[["asyncio.Task[Any]"], None]
"""Receives the task of a change whose caller went away."""


def _unheard(task: "asyncio.Task[Any]") -> None:
    """Ignore a change whose caller went away."""


_on_left: ContextVar[OnLeft] = ContextVar("on_left", default=_unheard)
_shields: ContextVar[bool] = ContextVar("shields", default=True)


def tell_left(on_left: OnLeft) -> None:
    """Set who hears that the current task left a change behind, which goes to its end alone."""
    _on_left.set(on_left)


def shield_changes(shields: bool) -> None:  # noqa: FBT001 - sets a switch
    """Set whether the changes of the current task are shielded: what is only checked changes nothing."""
    _shields.set(shields)


class ShieldedTasks:
    """Runs each change in a task of its own that outlives its caller.

    Args:
        undo_within: seconds that a change which `close` cancels has to undo what it did.
    """

    def __init__(self, *, undo_within: float = 2.0) -> None:
        self._undo_within = undo_within
        self._tasks: set[asyncio.Task[Any]] = set()
        self._unshielded: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def run(self, change: Coroutine[Any, Any, T], *, shielded: bool = True) -> T:
        """Run a change and return its result.

        Args:
            change: the change.
            shielded: whether the change is shielded from the start. Otherwise it is cancelled
                with its caller until it calls `shield`: nobody expects its result any more,
                and a caller who asks again would have the change made twice.

        Raises:
            ShuttingDownError: no new change is taken any more.
        """
        return await self.join(self.start(change, shielded=shielded))

    def start(self, change: Coroutine[Any, Any, T], *, shielded: bool = True) -> "asyncio.Task[T]":
        """Start a change and return its task, for one or more callers to `join`; see `run`."""
        if self._closed:
            change.close()
            raise ShuttingDownError
        task = asyncio.create_task(change)
        self._tasks.add(task)
        if not (shielded and _shields.get()):
            self._unshielded.add(task)
        task.add_done_callback(self._forget)
        return task

    async def join(self, task: "asyncio.Task[T]") -> T:
        """Return the result of a change, which goes to its end though its caller goes away."""
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if _shields.get():  # otherwise nothing was changed
                task.add_done_callback(_log_failure)  # nobody else hears how the change ends
            if task in self._unshielded:
                task.cancel()
            _on_left.get()(task)
            raise

    def shield(self) -> None:
        """Shield the current task from the cancellation of its caller from now on."""
        if _shields.get():
            self._unshielded -= {asyncio.current_task()}

    async def close(self, patience: float) -> None:
        """Take no new change, wait for those under way, and cancel those that take too long.

        Args:
            patience: seconds to wait before cancelling.
        """
        self._closed = True
        if not self._tasks:
            return
        _done, late = await asyncio.wait(self._tasks, timeout=patience)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=self._undo_within)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._unshielded.discard(task)


class _HasTasks(Protocol):
    _tasks: ShieldedTasks


S = TypeVar("S", bound=_HasTasks)


def shielded(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Run a method in a task of its own that goes to its end though its caller goes away."""

    @wraps(method)
    async def run_shielded(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._tasks.run(method(self, *args, **kwargs))

    return run_shielded


def _log_failure(task: asyncio.Task[Any]) -> None:
    if task.cancelled() or (error := task.exception()) is None:
        return
    if isinstance(error, ProaError):
        _log.info("change failed, its caller is gone", reason=error.reason, error=error.message)
    else:
        _log.error("change failed, its caller is gone", exc_info=error)

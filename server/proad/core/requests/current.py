"""The request on whose behalf the current task works."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

from proad.core.shielded_tasks import shield_changes
from proad.errors import ProaError
from proad.model import Intent, Plan

Announce = Callable[[Intent], Awaitable[None]]
"""Receives what a request is about to change, before anything is changed.

If it raises, the request ends with that exception, and must have changed nothing.
"""

WitnessPart = Callable[[Intent], AbstractAsyncContextManager[None]]
"""Receives one of several changes of a request; the change is the block."""

OnWaiting = Callable[["asyncio.Task[Any] | None"], None]
"""Receives the task that may be cancelled to end the request from now on; None: none may."""


async def _unheard(intent: Intent) -> None:
    """Ignore an intent: the request has no id."""


@asynccontextmanager
async def _unheard_part(intent: Intent) -> AsyncIterator[None]:  # noqa: ARG001 - as WitnessPart
    """Ignore a part: nobody writes it down."""
    yield


def _unwatched(task: "asyncio.Task[Any] | None") -> None:
    """Ignore a task: the request has no id."""


_announce: ContextVar[Announce] = ContextVar("announce", default=_unheard)
_witness: ContextVar[Announce] = ContextVar("witness", default=_unheard)
_witness_part: ContextVar[WitnessPart] = ContextVar("witness part", default=_unheard_part)
_on_waiting: ContextVar[OnWaiting] = ContextVar("on_waiting", default=_unwatched)
_findings: ContextVar[list[ProaError] | None] = ContextVar("findings", default=None)
_plans: ContextVar[list[Plan] | None] = ContextVar("plans", default=None)
_passes_over: ContextVar[bool] = ContextVar("passes over", default=False)


def announce_to(
    announce: Announce,
    on_waiting: OnWaiting = _unwatched,
    *,
    findings: list[ProaError] | None = None,
    plans: list[Plan] | None = None,
) -> None:
    """Set who hears the intents of the current task and of all tasks that it starts.

    Args:
        announce: hears the intents.
        on_waiting: hears which task may be cancelled.
        findings: receives what `refuse` refuses of a request that is only checked, and that
            `announce` ends, or the departure of its caller; None: the request is to have its effect.
        plans: receives what such a request would do.
    """
    _announce.set(announce)
    _on_waiting.set(on_waiting)
    _findings.set(findings)
    _plans.set(plans)
    shield_changes(findings is None)


def witness_by(witness: Announce, part: WitnessPart = _unheard_part) -> None:
    """Set who hears the intents of the current task, and of all that it starts, before anybody else.

    Args:
        witness: hears the intents; if it raises, nobody else does.
        part: hears each of several changes of one request.
    """
    _witness.set(witness)
    _witness_part.set(part)


def is_only_checked() -> bool:
    """Return whether the current request ends where its first effect would begin."""
    return _findings.get() is not None


def refuse(error: ProaError) -> None:
    """Raise an error; note the error of a request that is only checked, and return.

    The checks that follow then find what else is wrong, and the caller hears of all at once.
    """
    findings = _findings.get()
    if findings is None or _passes_over.get():
        raise error
    findings.append(error)


@contextmanager
def passing_over() -> Iterator[None]:
    """Let `refuse` raise within the block, though the request is only checked.

    The block is one of several changes of the request, which goes on with the others.
    """
    token = _passes_over.set(True)
    try:
        yield
    finally:
        _passes_over.reset(token)


@contextmanager
def noting() -> Iterator[None]:
    """Refuse the current request for an error of the block, which is a check; see `refuse`."""
    try:
        yield
    except ProaError as error:
        refuse(error)


def tell_plan(plan: Plan) -> None:
    """Tell what the current request would do, if it is only checked."""
    plans = _plans.get()
    if plans is not None:
        plans.append(plan)


async def announce(intent: Intent) -> None:
    """Announce what the current request is about to change.

    Each change calls this once: after every check that has no effect, and before its first call
    to an engine that changes something. Without a request id nothing is written but to the audit log.

    Raises:
        AuditUnavailableError: the audit log cannot be written; the request must change nothing.
        DatabaseUnreachableError: the intent cannot be kept; the request must change nothing.
        Exception: the request ends here, since it was only to be checked.
    """
    await _witness.get()(intent)
    await _announce.get()(intent)


def part(intent: Intent) -> AbstractAsyncContextManager[None]:
    """Return the block of one change of a request that changes several resources.

    The request was announced as a whole; each change is written to the audit log by itself.

    Raises:
        AuditUnavailableError: the audit log cannot be written. The block is not entered.
    """
    return _witness_part.get()(intent)


@contextmanager
def cancellable() -> Iterator[None]:
    """Let CancelRequest end the current request within the block by cancelling this task."""
    on_waiting = _on_waiting.get()
    on_waiting(asyncio.current_task())
    try:
        yield
    finally:
        on_waiting(None)

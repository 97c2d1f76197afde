"""The request on whose behalf the current task works."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Protocol

from proad.core.shielded_tasks import shield_changes
from proad.errors import ProaError
from proad.model import Intent, Plan


class Witness(Protocol):
    """Has a line of the current request, or writes one, before anything is changed."""

    async def written(self) -> None:
        """Wait until the line of the request is on disk.

        Raises:
            AuditUnavailableError: it cannot be; the request must change nothing.
        """

    def hear(self, intent: Intent) -> None:
        """Note what the request is about to change."""

    def part(self, intent: Intent) -> AbstractAsyncContextManager[None]:
        """Return the block of one of several changes of the request; see `part`."""


class _NoWitness:
    """The witness of a request that is written down nowhere."""

    async def written(self) -> None:
        """Wait for nothing."""

    def hear(self, intent: Intent) -> None:
        """Ignore an intent."""

    def part(self, intent: Intent) -> AbstractAsyncContextManager[None]:  # noqa: ARG002 - as Witness
        """Return a block that nobody writes down."""
        return nullcontext()


Written = Callable[[], Awaitable[None]]
"""Waits until the line of a request is on disk; see `Witness.written`."""

Announce = Callable[[Intent, Written], Awaitable[None]]
"""Receives what a request is about to change, before anything is changed, and waits for its line.

If it raises, the request ends with that exception, and must have changed nothing.
"""

OnWaiting = Callable[["asyncio.Task[Any] | None"], None]
"""Receives the task that may be cancelled to end the request from now on; None: none may."""


async def _unheard(intent: Intent, written: Written) -> None:  # noqa: ARG001 - as Announce
    """Wait for the line alone: the request has no id."""
    await written()


def _unwatched(task: "asyncio.Task[Any] | None") -> None:
    """Ignore a task: the request has no id."""


_NO_WITNESS = _NoWitness()

_announce: ContextVar[Announce] = ContextVar("announce", default=_unheard)
_witness: ContextVar[Witness] = ContextVar("witness", default=_NO_WITNESS)
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


def witness_by(witness: Witness) -> None:
    """Set the witness of the current task, and of all that it starts."""
    _witness.set(witness)


async def witnessed() -> None:
    """Wait until the line of the current request is on disk.

    For what has an effect before it can `announce` itself.

    Raises:
        AuditUnavailableError: it cannot be; the request must change nothing.
    """
    await _witness.get().written()


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
    witness = _witness.get()
    witness.hear(intent)
    await _announce.get()(intent, witness.written)


def part(intent: Intent) -> AbstractAsyncContextManager[None]:
    """Return the block of one change of a request that changes several resources.

    The request was announced as a whole; each change is written to the audit log by itself.

    Raises:
        AuditUnavailableError: the audit log cannot be written. The block is not entered.
    """
    return _witness.get().part(intent)


@contextmanager
def cancellable() -> Iterator[None]:
    """Let CancelRequest end the current request within the block by cancelling this task."""
    on_waiting = _on_waiting.get()
    on_waiting(asyncio.current_task())
    try:
        yield
    finally:
        on_waiting(None)

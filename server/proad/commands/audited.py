"""What commands on the host change, in the audit log.

The intent is on disk before the change, as a call's is. The running daemon writes the lines, since
the log is its own; while none runs, the command does.
"""

import asyncio
import os
import pwd
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
    closing,
    contextmanager,
    suppress,
)
from pathlib import Path

from proad.audit import AuditCall, CallOutcome, host_call
from proad.auth.keys import KeyRing
from proad.composition.audit import offline_log
from proad.config import Settings
from proad.control import NotServedError, ask
from proad.errors import ProaError, SetupError
from proad.locks import LockedError
from proad.state import audit_log_held
from proad.store.database import Database

# A daemon that starts or stops has the log, and does not answer.
_PATIENCE = 20.0  # seconds
_POLL_INTERVAL = 0.1


@asynccontextmanager
async def audited(
    settings: Settings, database: Database, command: str, target: str, detail: str = ""
) -> AsyncIterator[None]:
    """Write a line before the block, which makes a change, and one about what became of it.

    Args:
        settings: the daemon's.
        database: the daemon's.
        command: the words of the command.
        target: what it is about.
        detail: what it changes.

    Raises:
        AuditUnavailableError: the line cannot be written; nothing must be changed.
        SetupError: the daemon does not answer, or another process holds the log.
    """
    async with AsyncExitStack() as stack:
        await _enter(stack, settings, database, command, target, detail)
        yield


async def _enter(
    stack: AsyncExitStack,
    settings: Settings,
    database: Database,
    command: str,
    target: str,
    detail: str,
) -> None:
    """Enter the block in which whoever has the log writes the lines; see `audited`."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            stack.enter_context(audit_log_held(settings.state_dir))
        except LockedError:
            with suppress(NotServedError):
                stack.enter_context(audited_by_daemon(settings.state_dir, command, target, detail))
                return
            if time.monotonic() > until:
                raise
            await asyncio.sleep(_POLL_INTERVAL)
        else:
            call = host_call(command, target, detail, _peer())
            await stack.enter_async_context(_audited_here(settings, database, call))
            return


@asynccontextmanager
async def _audited_here(
    settings: Settings, database: Database, call: AuditCall
) -> AsyncIterator[None]:
    """Write both lines in this process, which holds the log; see `audited`."""
    with closing(offline_log(settings, database, KeyRing.open(settings.keys_dir))) as log:
        await log.begin(call)
        outcome = CallOutcome(code="OK")
        try:
            yield
        except BaseException as error:
            outcome = _failure(error)
            raise
        finally:
            try:
                await log.end(outcome)
            except ProaError as error:
                _without_outcome(error)


@contextmanager
def audited_by_daemon(
    state_dir: Path, command: str, target: str, detail: str = ""
) -> Iterator[None]:
    """Let the running daemon write both lines; see `audited`.

    Raises:
        NotServedError: no daemon runs.
        SetupError: it does not answer, or cannot write; nothing must be changed.
    """
    begun = ask(state_dir, "audit-begin", command, target, detail, _peer())
    if "error" in begun:
        raise SetupError(begun["error"])
    outcome = CallOutcome(code="OK")
    try:
        yield
    except BaseException as error:
        outcome = _failure(error)
        raise
    finally:
        try:
            ask(state_dir, "audit-end", begun["call"], outcome.code, outcome.reason)
        except SetupError as error:
            _without_outcome(error)


def _without_outcome(error: Exception) -> None:
    """Say that the log does not tell what became of the change, which is no failure of the change."""
    print(f"proad: the audit log has no outcome of this command: {error}", file=sys.stderr)  # noqa: T201


def _failure(error: BaseException) -> CallOutcome:
    return CallOutcome(
        code="ABORTED", reason=str(error.reason) if isinstance(error, ProaError) else ""
    )


def _peer() -> str:
    """Return the user of the host, and as whom they logged in if that is another one."""
    user = _name(os.geteuid())
    try:
        login = int(Path("/proc/self/loginuid").read_text())
    except (OSError, ValueError):
        return f"host:{user}"
    if login in {os.geteuid(), 2**32 - 1}:  # nobody logged in
        return f"host:{user}"
    return f"host:{user}, logged in as {_name(login)}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)

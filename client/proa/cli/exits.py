"""Messages and exit codes of failed commands."""

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import typer

import proa
from proa.cli.hints import hint_for
from proa.cli.invocation import Invocation
from proa.cli.output import write_json, write_line
from proa.cli.protocol import other_protocol
from proa.cli.wording import in_cli_words, option_of


class Exit(IntEnum):
    """The exit codes, for scripts."""

    OK = 0
    OTHER = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    WRONG_STATE = 5
    UNAVAILABLE = 6
    CONFLICT = 7
    TIMED_OUT = 8
    EXEC_FAILED = 125
    NOT_EXECUTED = 126
    NO_PROGRAM = 127
    INTERRUPTED = 130


MEANINGS: Mapping[Exit, str] = {
    Exit.OK: "done",
    Exit.OTHER: "another error",
    Exit.USAGE: "wrong usage, or the daemon calls an argument invalid",
    Exit.NOT_FOUND: "no such resource, image, snapshot, volume or host",
    Exit.NOT_ALLOWED: "not logged in, or not allowed",
    Exit.WRONG_STATE: "not possible in this state, or not by this engine",
    Exit.UNAVAILABLE: "the daemon or an engine does not answer, or not in time",
    Exit.CONFLICT: "it exists already, or something else is under way",
    Exit.TIMED_OUT: "what was waited for did not come in time",
    Exit.EXEC_FAILED: "any error of exec, whose other exit codes are those of the command",
    Exit.NOT_EXECUTED: "what exec was to run cannot be executed",
    Exit.NO_PROGRAM: "what exec was to run is not there",
    Exit.INTERRUPTED: "ended with Ctrl-C",
}

_BY_KIND: Mapping[type[proa.Error], Exit] = {
    proa.InvalidArgument: Exit.USAGE,
    proa.NotFound: Exit.NOT_FOUND,
    proa.Unauthenticated: Exit.NOT_ALLOWED,
    proa.PermissionDenied: Exit.NOT_ALLOWED,
    proa.FailedPrecondition: Exit.WRONG_STATE,
    proa.Unimplemented: Exit.WRONG_STATE,
    proa.Unavailable: Exit.UNAVAILABLE,
    proa.WaitTimedOut: Exit.TIMED_OUT,
    proa.DeadlineExceeded: Exit.UNAVAILABLE,
    proa.AlreadyExists: Exit.CONFLICT,
    proa.Aborted: Exit.CONFLICT,
}


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Treat Ctrl-C as the regular end of a command that runs until then."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None


def run_until_interrupted(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine until it ends, or cancel it at Ctrl-C and treat that as its regular end.

    `asyncio.run` by itself may wait on after Ctrl-C: a signal that comes just before the event loop
    waits, or to another thread, does not wake it up. A second Ctrl-C does not wait for the end.
    """

    async def run() -> None:
        loop = asyncio.get_running_loop()
        running = asyncio.current_task()
        assert running is not None  # noqa: S101 - for mypy; it is this one

        def interrupt() -> None:
            loop.remove_signal_handler(signal.SIGINT)
            running.cancel()

        loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            await main
        except asyncio.CancelledError:
            if not running.cancelling():  # a fault, and nobody's wish
                raise
            raise typer.Exit(Exit.INTERRUPTED) from None

    with until_interrupted():
        asyncio.run(run())


def table() -> str:
    """Return the exit codes, as `proa --help` shows them."""
    rows = "\n\n".join(f"{code.value}  {meaning}" for code, meaning in MEANINGS.items())
    return f"Exit codes:\n\n{rows}"


def code_for(error: proa.Error) -> Exit:
    """Return the exit code of an error."""
    kinds = (kind for kind in type(error).__mro__ if kind in _BY_KIND)
    return next((_BY_KIND[kind] for kind in kinds), Exit.OTHER)


def code_of_exec(error: proa.Error) -> Exit:
    """Return the exit code of an error of exec, as shells have it for their own."""
    blamed = {violation.field for violation in error.violations}
    if "command.argv" not in blamed:
        return Exit.EXEC_FAILED
    is_there = error.metadata.get("exit_code") != str(Exit.NO_PROGRAM.value)
    return Exit.NOT_EXECUTED if is_there else Exit.NO_PROGRAM


def local_reason(error: ValueError | OSError) -> str:
    """Return what is wrong with an argument, or with a file of this machine."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    return f"{name!r}: {error.strerror}" if name else error.strerror


def report(error: proa.Error, invocation: Invocation, *, as_json: bool) -> None:
    """Write an error and a hint to standard error."""
    other = "" if error.reason else other_protocol(error, invocation)
    message, hint = other or error.message, "" if other else hint_for(error, invocation).text
    violations = {violation.field: violation.description for violation in error.violations}
    if as_json:
        fields = {
            "code": error.code().name,
            "reason": error.reason,
            "message": message,
            "metadata": error.metadata,
            "violations": violations,
            "correlation_id": error.correlation_id,
            "hint": hint,
        }
        write_json({"error": fields}, err=True)
        return
    lines = [f"Error: {in_cli_words(message, invocation) or error.code().name}"]
    # The daemon's message names the fields already; that of another server may not.
    lines += [
        f"  {option_of(field, invocation) or field}: {description}"
        for field, description in violations.items()
        if field not in error.message
    ]
    if error.reason:
        lines.append(f"Reason: {error.reason}")
    if hint:
        lines.append(f"Hint: {hint}")
    for line in lines:
        write_line(line, err=True)

"""exec: a command inside a container or a virtual machine."""

import os
import signal
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

import proa
from proa.cli import exits
from proa.cli import run_options as parse
from proa.cli.invocation import Invocation
from proa.cli.output import drop_output, write_bytes, write_json, write_line, write_warning
from proa.cli.passing_on import feed, forwarded, start_thread
from proa.cli.session import Id, Output, Session
from proa.cli.terminal import DetachKeys, SignalledError, keys, raw, size_of
from proa.cli.text import duration
from proa.process import Process

_READ = 64 * 2**10
_SIGNALLED = 128
_EPILOG = """\
In a virtual machine its guest agent runs the command, so that qemu-guest-agent has to be in there; it
has no terminal, no live input, no user and no folder.

The exit code is that of the command; of one that a signal ended, 128 and the number of the signal.
proa itself exits with 125 when it fails, whatever the reason, with 127 when the command is not
there, with 126 when it cannot be executed, and with 130 when Ctrl-C ends it before the command runs.

What the command leaves running may go on to write, but who waits for that may miss it: engines pass
it on for a second or two, guest agents not at all. Let the command wait for its children.

Without --tty, Ctrl-C and SIGTERM are passed on to the command; Ctrl-\\ ends proa, and the command
with it. With --interactive and --tty all keys are the command's, but for --detach-keys: to send
those, name others, such as --detach-keys ctrl-a,d."""


class ExecCommand(TyperCommand):
    """A command with exit codes of its own: all others may be those of what it runs."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the arguments."""
        try:
            return super().make_context(*args, **kwargs)
        except TyperException as error:
            error.exit_code = exits.Exit.EXEC_FAILED
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except TyperException as error:
            error.exit_code = exits.Exit.EXEC_FAILED
            raise
        except proa.Error as error:
            session = ctx.find_object(Session)
            exits.report(
                error, Invocation.last(ctx), as_json=session is not None and session.as_json
            )
            raise typer.Exit(exits.code_of_exec(error)) from error
        except (ValueError, OSError) as error:
            write_line(f"Error: {error}", err=True)
            raise typer.Exit(exits.Exit.EXEC_FAILED) from error


def add_to(app: typer.Typer) -> None:
    """Register the command; what follows the id is the command to run."""
    settings = {"allow_interspersed_args": False}
    app.command("exec", cls=ExecCommand, context_settings=settings, epilog=_EPILOG)(exec)


def exec(
    ctx: typer.Context,
    *,
    id: Id,
    command: Annotated[list[str], typer.Argument(metavar="CMD...", help="Command and arguments.")],
    interactive: Annotated[
        bool, typer.Option("--interactive", "-i", help="Pass standard input on to it (containers).")
    ] = False,
    tty: Annotated[
        bool, typer.Option("--tty", "-t", help="Give it a terminal (containers).")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Leave it running in the background.")
    ] = False,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", metavar="NAME[=VALUE]", help="Environment.")
    ] = None,
    user: Annotated[str, typer.Option("--user", "-u", help="USER[:GROUP] (containers).")] = "",
    workdir: Annotated[
        str, typer.Option("--workdir", "-w", help="Folder to run in (containers).")
    ] = "",
    timeout: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="TIME", help="Kill it after that, such as 30s."),
    ] = None,
    detach_keys: Annotated[
        bytes,
        typer.Option(parser=keys, metavar="KEYS", help="Keys that leave it running; empty: none."),
    ] = "ctrl-p,ctrl-q",  # type: ignore[assignment] # the parser makes it bytes
    output: Output = None,
) -> None:
    """Run a command inside a container or a virtual machine, as docker exec."""
    session = Session.of(ctx, output)
    if session.as_json and not detach:
        raise typer.BadParameter("-o json goes with --detach alone: the output is the command's")
    if interactive and detach:
        raise typer.BadParameter("--interactive and --detach exclude each other")
    terminal = Terminal.of(interactive=interactive, tty=tty)
    with (
        session.connect() as client,
        client.exec(
            id,
            command[1:] if command[0] == "--" else command,
            env=parse.environment(env),
            user=user,
            working_dir=workdir,
            tty=tty,
            size=terminal.size,
            stdin=interactive,
            timeout=timeout,
            detach=detach,
        ) as process,
    ):
        if detach:
            if session.as_json:
                write_json({"pid": process.pid, "can_signal": process.can_signal}, indent=2)
            return
        code = terminal.run(process, detach_keys)
    raise typer.Exit(code)


@dataclass(frozen=True)
class Terminal:
    """What a command elsewhere is connected to.

    Attributes:
        stdin: descriptor of the standard input; None: it gets none.
        is_raw: whether it is a terminal whose keys are passed on.
        size: rows and columns of the terminal; None: there is none, or none is wanted.
    """

    stdin: int | None
    is_raw: bool
    size: tuple[int, int] | None

    @classmethod
    def of(cls, *, interactive: bool, tty: bool) -> "Terminal":
        """Return what the options ask for.

        Raises:
            BadParameter: the standard input is to be the command's terminal, and is none.
        """
        stdin = sys.stdin.fileno() if interactive else None
        if tty and stdin is not None and not os.isatty(stdin):
            raise typer.BadParameter("--tty: the standard input is no terminal; leave it out")
        return cls(stdin, tty and stdin is not None, size_of(1, 0) if tty else None)

    def run(self, process: Process, detach_keys: bytes) -> int:
        """Connect a command until it ends, and return the exit code for it."""
        try:
            if not self.is_raw or self.stdin is None:
                with forwarded(process, resizes=self.size is not None):
                    return self._run(process, DetachKeys(b""))
            with raw(self.stdin), forwarded(process, signals=(), resizes=True):
                code = self._run(process, DetachKeys(detach_keys))
            if process.exit is None:
                write_line("", err=True)
                write_line("Detached: the command goes on.", err=True)
            return code  # noqa: TRY300 - what may fail is above
        except SignalledError as error:
            return _SIGNALLED + error.number
        except KeyboardInterrupt:
            if not process.can_signal:
                write_warning("the command goes on: the daemon has no way to end it")
            raise
        except BrokenPipeError:
            drop_output()
            return _SIGNALLED + signal.SIGPIPE

    def _run(self, process: Process, detach_keys: DetachKeys) -> int:
        if self.stdin is not None:
            start_thread(feed, process, self.stdin, detach_keys, process.close_stdin)
        for output in process:
            write_bytes(output.data, err=output.is_stderr)
        if process.exit is None:
            return 0  # detached
        if process.exit.timed_out:
            write_warning("its timeout has passed: it was killed")
        return process.exit.code

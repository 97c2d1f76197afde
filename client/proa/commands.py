"""Commands and consoles inside resources: what is asked for, and what came of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from signal import Signals
from typing import BinaryIO, TypeAlias

from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from proa import v1
from proa.errors import Details, Error, Unavailable
from proa.timing import ClientTiming

PIECE = 64 * 2**10
"""Bytes that one request of a stream may have."""

Input: TypeAlias = bool | bytes | BinaryIO | Iterable[bytes]
"""Where standard input comes from; see `Client.exec` and `Client.attach`."""


@dataclass(frozen=True)
class Exit:
    """How a command, or the main process of a container, ended.

    Attributes:
        code: its exit code; of one that a signal ended 128 and the number of the signal.
        signal: name of the signal that ended it, such as "SIGKILL", where the engine tells it.
        timed_out: whether it was killed since its timeout had passed.
    """

    code: int
    signal: str = ""
    timed_out: bool = False

    @classmethod
    def of(cls, exit: v1.CommandExit) -> "Exit":
        """Return the exit that a response tells."""
        known = Signals.__members__.get(exit.signal)
        code = exit.code if not exit.signal else 128 + (known or 0)
        return cls(code, exit.signal, exit.timed_out)


@dataclass(frozen=True)
class Output:
    """A piece of what a command, a main process or a serial console wrote.

    Attributes:
        data: the bytes.
        is_stderr: whether it wrote them to its standard error. On a terminal both are one.
    """

    data: bytes
    is_stderr: bool = False

    @classmethod
    def of(cls, response: v1.ExecResponse | v1.AttachResponse) -> "Output":
        """Return the output that a response has."""
        if response.WhichOneof("message") == "stderr":
            return cls(response.stderr, is_stderr=True)
        return cls(response.stdout)


@dataclass(frozen=True, kw_only=True)
class CompletedCommand:
    """A command that has run to its end.

    Attributes:
        argv: the program and its arguments.
        exit: how it ended.
        stdout: the beginning of its standard output.
        stderr: the beginning of its standard error.
        stdout_bytes: bytes that it wrote to its standard output.
        stderr_bytes: bytes that it wrote to its standard error.
    """

    argv: tuple[str, ...]
    exit: Exit
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)
    stdout_bytes: int
    stderr_bytes: int

    @classmethod
    def of(cls, argv: Sequence[str], response: v1.RunCommandResponse) -> "CompletedCommand":
        """Return the command that a response tells of."""
        return cls(
            argv=tuple(argv),
            exit=Exit.of(response.exit),
            stdout=response.stdout,
            stderr=response.stderr,
            stdout_bytes=response.stdout_bytes,
            stderr_bytes=response.stderr_bytes,
        )

    @property
    def code(self) -> int:
        """Its exit code; see `Exit`."""
        return self.exit.code

    @property
    def is_truncated(self) -> bool:
        """Whether it wrote more than is here."""
        return len(self.stdout) < self.stdout_bytes or len(self.stderr) < self.stderr_bytes

    def checked(self) -> "CompletedCommand":
        """Return the command if it succeeded.

        Raises:
            CommandFailed: its exit code is not 0, or its timeout passed.
        """
        if self.code or self.exit.timed_out:
            raise CommandFailed(self)
        return self


class CommandFailed(Exception):  # noqa: N818 - as the errors of calls are named
    """A command that was to succeed did not.

    Attributes:
        command: the command, with its exit and its output.
    """

    def __init__(self, command: CompletedCommand) -> None:
        super().__init__(command)
        self.command = command

    def __str__(self) -> str:
        exit = self.command.exit
        how = "its timeout passed" if exit.timed_out else exit.signal or f"exit code {exit.code}"
        return f"{self.command.argv[0]!r} failed: {how}"


def command_spec(
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    user: str,
    working_dir: str,
    timeout: timedelta | float | None,
) -> v1.CommandSpec:
    """Return the command of the arguments of `Client.exec`.

    Raises:
        TypeError: the arguments are one text.
    """
    if isinstance(argv, str | bytes):
        raise TypeError('give the program and its arguments one by one: ["sh", "-c", "…"]')
    return v1.CommandSpec(
        argv=argv,
        env=env,
        user=user,
        working_dir=working_dir,
        timeout=None if timeout is None else _duration(timeout),
    )


def exec_start(
    id: str,
    command: v1.CommandSpec,
    stdin: object,
    size: tuple[int, int] | None,
    *,
    tty: bool,
    detach: bool,
) -> v1.ExecStart:
    """Return the beginning of an Exec, from the arguments of `Client.exec`."""
    return v1.ExecStart(
        id=id,
        command=command,
        tty=tty,
        size=terminal_size(size),
        stdin=stdin is not False,
        detach=detach,
    )


def attach_start(
    id: str,
    stdin: object,
    size: tuple[int, int] | None,
    *,
    exclusive: bool,
    force: bool,
) -> v1.AttachStart:
    """Return the beginning of an Attach, from the arguments of `Client.attach`."""
    return v1.AttachStart(
        id=id,
        stdin=None if stdin is None else stdin is not False,
        size=terminal_size(size),
        exclusive=exclusive,
        force=force,
    )


def deadline(command: v1.CommandSpec, timing: ClientTiming) -> float | None:
    """Return the deadline of a call that runs a command to its end, in seconds.

    None: that of the client, which has one for calls that answer at once.
    """
    if not command.HasField("timeout"):
        return None
    return command.timeout.ToTimedelta().total_seconds() + timing.command_margin


def _duration(timeout: timedelta | float) -> Duration:
    made = Duration()
    made.FromTimedelta(
        timeout if isinstance(timeout, timedelta) else timedelta(seconds=float(timeout))
    )
    return made


def terminal_size(size: tuple[int, int] | None) -> v1.TerminalSize | None:
    """Return a size as the contract has it, from rows and columns."""
    return None if size is None else v1.TerminalSize(rows=size[0], columns=size[1])


def signal_name(signal: str | int) -> str:
    """Return the name of a signal: 15 and `signal.SIGTERM` are "SIGTERM"."""
    return signal if isinstance(signal, str) else Signals(signal).name


def cut_short(before: str = "its end was told") -> Error:
    """Return the error of a stream that ended with OK, and without what it must have."""
    message = f"the daemon ended the stream before {before}"
    return Unavailable(StatusCode.UNAVAILABLE, Details(message=message))


def pieces(data: bytes) -> Iterator[bytes]:
    """Yield bytes in pieces that one request may have."""
    view = memoryview(data)
    for start in range(0, len(view), PIECE):
        yield bytes(view[start : start + PIECE])


def chunks(source: bytes | BinaryIO | Iterable[bytes]) -> Iterable[bytes]:
    """Return what a source of standard input gives, as it comes."""
    if isinstance(source, bytes | bytearray | memoryview):
        return (bytes(source),)
    if not hasattr(source, "read"):
        return source
    # What is there already goes at once: `read` would wait for a whole piece.
    read: Callable[[int], bytes] = getattr(source, "read1", source.read)
    return iter(partial(read, PIECE), b"")

"""Commands that are run inside resources."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from proad.model.checks import AbsolutePath, Text, named_variables

LONGEST_COMMAND = timedelta(hours=24)
"""The longest timeout of a command."""

_LARGEST_CELL = 2**16 - 1

_Cells = Annotated[int, Field(ge=1, le=_LARGEST_CELL)]


def _named(argv: tuple[str, ...]) -> tuple[str, ...]:
    if not argv or not argv[0]:
        raise ValueError("must begin with the name of a program")
    return argv


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalSize:
    """The size of a terminal, in characters."""

    rows: _Cells
    columns: _Cells


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """What to run.

    Attributes:
        argv: the program and its arguments.
        env: variables of the environment, beside those that are there.
        working_dir: an absolute path; None: where the container's own process is.
        user: USER or USER:GROUP; empty: that of the container or the guest agent.
        timeout: after which the command is killed; None: never.
    """

    argv: Annotated[tuple[Text, ...], AfterValidator(_named)]
    env: Annotated[Mapping[Text, Text], AfterValidator(named_variables)] = field(
        default_factory=dict, repr=False
    )
    working_dir: AbsolutePath | None = None
    user: Text = ""
    timeout: Annotated[timedelta, Field(gt=timedelta(0), le=LONGEST_COMMAND)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandStreams:
    """What a command is connected to.

    Attributes:
        tty: whether it has a terminal.
        size: the size of the terminal; None: the engine's default.
        stdin: whether it reads what is written to it while it runs.
        input: the whole standard input of a command without `stdin`; None: it is empty.
        detach: whether it is left alone, without streams.
    """

    tty: bool = False
    size: TerminalSize | None = None
    stdin: bool = False
    input: bytes | None = field(default=None, repr=False)
    detach: bool = False


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """Bytes that a command, a main process or a serial console has written."""

    data: bytes
    is_stderr: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandExit:
    """How a command, or the main process of a container, ended.

    Attributes:
        code: its exit code; None: a signal ended it, and the engine tells which.
        signal: name of that signal; None: as `code` tells.
        timed_out: whether it was killed after its timeout.
    """

    code: int | None = None
    signal: str | None = None
    timed_out: bool = False


def signal_number(name: str) -> int:
    """Return the number of a signal by its name, with or without "SIG".

    Raises:
        ValueError: no signal has this name.
    """
    try:
        return signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"].value
    except KeyError:
        raise ValueError(f"{name!r} is no signal, such as SIGTERM") from None

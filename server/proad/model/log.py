"""The logs of resources."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import Field

LONGEST_LINE = 16 * 2**10
"""Bytes of a line; what is longer comes in several."""


class LogOutput(StrEnum):
    """What a line of a log was written to."""

    STDOUT = "STDOUT"
    STDERR = "STDERR"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """Which lines of a log.

    Attributes:
        follow: whether to go on with what comes, until the resource ends.
        since: lines that the engine got at this time or later; None: from the beginning.
        until: lines that the engine got until this time; None: to the end.
        tail: lines from the end to begin with; None: all.
        output: lines of this output; None: of both.
        timestamps: whether lines have their time; of a container that is followed, they always do.
    """

    follow: bool = False
    since: datetime | None = None
    until: datetime | None = None
    tail: Annotated[int, Field(ge=0)] | None = None
    output: LogOutput | None = None
    timestamps: bool = False


class LogLine(NamedTuple):
    """A line of a log, or a part of one. There may be many: a tuple is made fastest.

    Attributes:
        data: its bytes, without the end of the line.
        is_stderr: whether it was written to the standard error.
        time: when the engine got it, in nanoseconds since 1970; None: nobody asked.
        partial: whether no end of the line has come so far.
    """

    data: bytes
    is_stderr: bool = False
    time: int | None = None
    partial: bool = False

"""The files of the log, and what is in one."""

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from proad.audit.chain import GENESIS, Line, parse
from proad.ownership import open_own

_LONGEST_HEADER = 4096
_NAME = re.compile(r"audit-[0-9]{12}\.jsonl")


def file_name(first: int) -> str:
    """Return the name of the file that begins with a line."""
    return f"audit-{first:012}.jsonl"


def first_line(path: Path) -> int:
    """Return the number of the line that a file of the log begins with."""
    return int(path.stem.removeprefix("audit-"))


def log_files(folder: Path) -> list[tuple[int, Path]]:
    """Return the files of the log with the numbers of their first lines, the oldest first."""
    if not folder.exists():
        return []
    return sorted(
        (first_line(path), path) for path in folder.iterdir() if _NAME.fullmatch(path.name)
    )


@dataclass(slots=True)
class LogFile:
    """What is in a file.

    Attributes:
        path: the file.
        data: its bytes.
        lines: its lines with the places where they begin, as far as they can be read.
        unreadable: the places of lines that end and cannot be read.
        end: where the last line that ends does so.
    """

    path: Path
    data: bytes
    lines: list[tuple[int, Line]] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    end: int = 0

    @property
    def torn(self) -> bytes:
        """What is behind the last line: a line that was not written to its end."""
        return self.data[self.end :]

    @property
    def header(self) -> Line | None:
        """The first line, which tells of the file before; None: it is missing."""
        first = self.lines[0] if self.lines else None
        if first is None or first[0] or first[1].fields.get("kind") != "file":
            return None
        return first[1]

    @property
    def value_before(self) -> bytes:
        """The value of the chain before the first line, as the header has it."""
        previous = self.header.fields.get("previous") if self.header else None
        try:
            return bytes.fromhex(previous["value"]) if isinstance(previous, dict) else GENESIS
        except (KeyError, TypeError, ValueError):
            return GENESIS

    @property
    def digest(self) -> str:
        """The digest of all whole lines, by which the next file knows this one."""
        return hashlib.sha256(self.data[: self.end]).hexdigest()


def read_file(path: Path) -> LogFile:
    """Read a file.

    Raises:
        SetupError: it belongs to another user, or is a link.
        OSError: it cannot be read.
    """
    with os.fdopen(open_own(path, os.O_RDONLY), "rb") as file:
        found = LogFile(path, file.read())
    place = 0
    while (end := found.data.find(b"\n", place)) >= 0:
        line = parse(found.data[place:end])
        if line is None:
            found.unreadable.append(place)
        else:
            found.lines.append((place, line))
        place = end + 1
    # A crash of the host may leave zeros where a line was to be.
    found.end = place
    return found


def read_header(path: Path) -> Line | None:
    """Return the first line of a file; None: it is none of the log's.

    Raises:
        SetupError: the file belongs to another user, or is a link.
        OSError: it cannot be read.
    """
    with os.fdopen(open_own(path, os.O_RDONLY), "rb") as file:
        line = parse(file.readline(_LONGEST_HEADER).removesuffix(b"\n"))
    return line if line is not None and line.fields.get("kind") == "file" else None


def files_after(folder: Path, sequence: int) -> list[Path]:
    """Return the files that may have lines with higher numbers than one, the oldest first."""
    files = log_files(folder)
    nexts = [first for first, _path in files[1:]]
    return [
        path
        for place, (_first, path) in enumerate(files)
        if place == len(nexts) or nexts[place] > sequence + 1
    ]

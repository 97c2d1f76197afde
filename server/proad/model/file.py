"""Files inside resources."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from proad.model.checks import Bytes, Text

MOST_NAMES = 64
"""Names that a path may have, each of which may have to be looked at."""
LONGEST_NAME = 255
"""Bytes of the name of a file."""

_LARGEST_MODE = 0o7777
_LARGEST_NUMBER = 2**32 - 2  # the last one stands for "as it is" in chown


def _file_path(path: str) -> str:
    names = [name for name in path.split("/") if name not in {"", "."}]
    if not path.startswith("/") or ".." in names:
        raise ValueError("must be an absolute path without '..'")
    if len(names) > MOST_NAMES:
        raise ValueError(f"must have at most {MOST_NAMES} names")
    if any(len(name.encode(errors="replace")) > LONGEST_NAME for name in names):
        raise ValueError(f"a name must have at most {LONGEST_NAME} bytes")
    return "/" + "/".join(names)


def _below_root(path: str) -> str:
    if path == "/":
        raise ValueError("must not be the root directory")
    return path


FilePath = Annotated[Text, AfterValidator(_file_path)]
PathBelowRoot = Annotated[FilePath, AfterValidator(_below_root)]
FileMode = Annotated[int, Field(ge=0, le=_LARGEST_MODE)]
FileOwner = Annotated[int, Field(ge=0, le=_LARGEST_NUMBER)]


class FileType(StrEnum):
    """The type of a file."""

    REGULAR = "REGULAR"
    DIRECTORY = "DIRECTORY"
    SYMLINK = "SYMLINK"
    FIFO = "FIFO"
    SOCKET = "SOCKET"
    CHARACTER_DEVICE = "CHARACTER_DEVICE"
    BLOCK_DEVICE = "BLOCK_DEVICE"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfo:
    """A file, as its engine or its guest tells.

    Attributes:
        name: its name, with U+FFFD for what is not UTF-8.
        raw_name: its name where that is not UTF-8; empty otherwise.
        type: its type.
        size_bytes: its size.
        mode: its permissions, with setuid, setgid and sticky bit.
        uid: its owner; None: not known.
        gid: its group; None: not known.
        modify_time: when its content last changed; None: not known.
        link_target: what a symbolic link leads to; empty: not told.
    """

    name: str
    raw_name: bytes = b""
    type: FileType = FileType.REGULAR
    size_bytes: int = 0
    mode: int = 0
    uid: int | None = None
    gid: int | None = None
    modify_time: datetime | None = None
    link_target: str = ""

    @property
    def key(self) -> bytes:
        """Its name, byte for byte."""
        return self.raw_name or self.name.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRef:
    """Names a file.

    Attributes:
        path: its absolute path, without "..".
    """

    path: FilePath


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRead:
    """What to read.

    Attributes:
        path: of the file.
        offset: the first byte.
        length: how many bytes at most; None: all.
    """

    path: FilePath
    offset: Bytes = 0
    length: Bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileWrite:
    """What to write.

    Attributes:
        path: of the file.
        size_bytes: how many bytes there will be.
        mode: its permissions.
        uid: its owner; None: root in a container, the agent's user in a domain.
        gid: its group; None: as `uid`.
        overwrite: whether it may take the place of another.
    """

    path: PathBelowRoot
    size_bytes: Bytes = 0
    mode: FileMode = 0o644
    uid: FileOwner | None = None
    gid: FileOwner | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryMake:
    """What directory to make.

    Attributes:
        path: of the directory.
        parents: whether to make those above it, too, and to be content with one that is there.
        mode: permissions of what is made.
    """

    path: PathBelowRoot
    parents: bool = False
    mode: FileMode = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRemoval:
    """What to remove.

    Attributes:
        path: of the file.
        recursive: whether a directory goes with all that is in it.
    """

    path: PathBelowRoot
    recursive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDigest:
    """What was moved.

    Attributes:
        size_bytes: how many bytes.
        sha256: their checksum.
    """

    size_bytes: int
    sha256: bytes

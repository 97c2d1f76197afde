"""The one file in an archive of the engine, and archives for it.

An archive comes from an engine, and what is in it from a container. Nothing of it is believed but
one regular file of the expected name, which may have grown since its size was asked for; headers have limits, and nothing is unpacked.
"""

import re
import secrets
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from proad.drivers.docker.errors import ENGINE
from proad.errors import EngineConflictError
from proad.model import FileInfo

BLOCK = tarfile.BLOCKSIZE
# Docker writes extended attributes there, and names that are long.
_LARGEST_EXTENSION = 2**20
_LENGTH = re.compile(rb"([0-9]{1,7}) ")
_LARGEST_SIZE = 2**63 - 1
_LARGEST_NUMBER = 2**32 - 1

ReadExactly = Callable[[int], bytes]
"""Returns so many bytes, fewer at the end alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TarMember:
    """A regular file at the beginning of an archive.

    Attributes:
        info: the file.
        size: bytes of it in the archive.
    """

    info: FileInfo
    size: int

    @property
    def padding(self) -> int:
        """Bytes between its end and the next header."""
        return -self.size % BLOCK


def read_member(read: ReadExactly, name: str, size: int) -> TarMember:
    """Read up to the content of the file with this name, of which so many bytes are wanted.

    Raises:
        EngineConflictError: there is something else, or less.
    """
    extended: dict[str, str] = {}
    header = _header(read)
    if header is not None and header.type == tarfile.XHDTYPE:
        extended = _extended(read, header.size)
        header = _header(read)
    if header is None:
        raise _refused("there is nothing in it")
    if header.type not in {tarfile.REGTYPE, tarfile.AREGTYPE}:
        raise _refused(
            f"it begins with something of type {header.type!r}, which is no regular file"
        )
    if any(key.startswith("GNU.sparse") for key in extended):
        raise _refused("its file is sparse, which no engine writes")
    found, told = extended.get("path", header.name), _number(extended, "size", header.size)
    if found != name:
        raise _refused("its file has another name")
    if told < size:
        raise EngineConflictError(ENGINE, "the file was cut while it was opened", hint="try again")
    info = FileInfo(
        name=name,
        size_bytes=size,
        mode=header.mode & 0o7777,
        uid=_within(_number(extended, "uid", header.uid)),
        gid=_within(_number(extended, "gid", header.gid)),
        modify_time=_time(extended.get("mtime", str(header.mtime))),
    )
    return TarMember(info=info, size=told)


def check_end(read: ReadExactly, member: TarMember) -> None:
    """Check that nothing comes after the content of a file.

    Raises:
        EngineConflictError: there is something.
    """
    if len(read(member.padding)) != member.padding or _header(read) is not None:
        raise _refused("there is more than one file in it, or it is cut")


def file_header(name: str, size: int, mode: int, uid: int, gid: int) -> bytes:
    """Return what is before the content of a file in an archive."""
    return _made(name, tarfile.REGTYPE, mode, uid, gid, size)


def file_end(size: int) -> bytes:
    """Return what is after the content of a file in an archive, and ends the archive."""
    return bytes(-size % BLOCK + 2 * BLOCK)


def directories(names: Sequence[str], mode: int) -> bytes:
    """Return an archive of directories, each in the one before it."""
    paths = ("/".join(names[: count + 1]) for count in range(len(names)))
    return b"".join(_made(path, tarfile.DIRTYPE, mode, 0, 0) for path in paths) + bytes(2 * BLOCK)


def moved(name: str, to: str, mode: int, uid: int, gid: int) -> bytes:
    """Return an archive by which an engine makes a file another one of its directory.

    The engine removes what has the name of a member before it makes that: so the file becomes a
    second name of its own, and the first one gives way to a link that fails.
    """
    place = _made(to, tarfile.LNKTYPE, mode, uid, gid, link=name)
    return place + removed(name)


def removed(name: str) -> bytes:
    """Return an archive by which an engine removes a file, and then fails to make a link."""
    missing = f".proa-{secrets.token_hex(16)}"
    return _made(name, tarfile.LNKTYPE, 0, 0, 0, link=missing) + bytes(2 * BLOCK)


def _made(
    name: str, type: bytes, mode: int, uid: int, gid: int, size: int = 0, link: str = ""
) -> bytes:
    made = tarfile.TarInfo(name)
    made.linkname = link
    made.type, made.size, made.mtime = type, size, int(time.time())
    made.mode, made.uid, made.gid = mode, uid, gid
    return made.tobuf(tarfile.PAX_FORMAT, "utf-8")


def _header(read: ReadExactly) -> tarfile.TarInfo | None:
    """Return the next header; None: the archive ends."""
    block = read(BLOCK)
    if not block.strip(b"\0"):
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise _refused(f"its header is none ({error})") from None
    if not 0 <= header.size <= _LARGEST_SIZE:
        raise _refused("its header has a size that cannot be")
    return header


def _extended(read: ReadExactly, size: int) -> dict[str, str]:
    """Return the records of an extended header; see pax(1)."""
    if size > _LARGEST_EXTENSION:
        raise _refused("it has a header that is too large")
    data = read(size + -size % BLOCK)[:size]
    records: dict[str, str] = {}
    while data:
        length = _LENGTH.match(data)
        record = data[: int(length[1])] if length else b""
        key, equals, value = record[length.end() : -1].partition(b"=") if length else (b"",) * 3
        if (
            not equals
            or not record.endswith(b"\n")
            or len(record) != int(length[1] if length else 0)
        ):
            raise _refused("it has an extended header that is none")
        records[key.decode(errors="replace")] = value.decode(errors="surrogateescape")
        data = data[len(record) :]
    return records


def _number(records: dict[str, str], key: str, otherwise: int) -> int:
    if (text := records.get(key)) is None:
        return otherwise
    if not re.fullmatch("[0-9]{1,19}", text):
        raise _refused(f"its extended header has no number as {key}")
    return int(text)


def _within(number: int) -> int | None:
    return number if 0 <= number <= _LARGEST_NUMBER else None


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _refused(why: str) -> EngineConflictError:
    return EngineConflictError(ENGINE, f"its archive is not the one file that was asked for: {why}")

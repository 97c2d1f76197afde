"""Files by the POSIX shell of a resource: what no engine's own calls do.

The shell, the tools and the names are the resource's own: what they say has limits, and whatever
does not have the expected form is an error.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from stat import S_IFMT, S_IMODE

from proad.errors import (
    AlreadyExistsError,
    CapabilityMissingError,
    EngineConflictError,
    FileNotFoundInsideError,
    InvalidArgumentError,
)
from proad.model import CommandSpec, CommandStreams, FileInfo, FileRemoval, FileType
from proad.ports import RunningCommand

SHELL = "/bin/sh"

StartCommand = Callable[
    [str, CommandSpec, CommandStreams], AbstractAsyncContextManager[RunningCommand]
]
"""See `ports.Commands.start_command`."""


class _Code(IntEnum):
    """The exit codes of the scripts."""

    NO_FILE = 91
    NO_DIRECTORY = 92
    NO_TOOL = 93
    NO_REGULAR_FILE = 94
    EXISTS = 95
    NOT_EMPTY = 96


STATUS = "%f %s %Y %u %g"
"""What `stat -c` is to tell."""

# Its own tools first: whoever may write to a folder of its PATH would run as root.
_NEED = r"""
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
for tool in TOOLS; do
    command -v "$tool" >/dev/null 2>&1 || { echo "$tool" >&2; exit 93; }
done
"""

# Names come with a NUL after each, their status as lines that no name can add to. What goes away
# between find and stat is left out.
_LIST = r"""
[ -e "$1" ] || [ -L "$1" ] || exit 91
[ -d "$1" ] || exit 92
exec find "$1/." ! -name . -prune -exec /bin/sh -c '
    if told=$(stat -c "STATUS" -- "$@" 2>/dev/null); then
        printf "%s\0" "$#" "$@" "$told"
    else
        for each; do
            if told=$(stat -c "STATUS" -- "$each" 2>/dev/null); then
                printf "%s\0" 1 "$each" "$told"
            fi
        done
    fi
' sh {} +
"""

_REMOVE = r"""
[ -e "$1" ] || [ -L "$1" ] || exit 91
if [ "$2" ]; then
    exec rm -rf -- "$1"
elif [ -d "$1" ] && [ ! -L "$1" ]; then
    for each in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        if [ -e "$each" ] || [ -L "$each" ]; then
            exit 96
        fi
    done
    exec rmdir -- "$1"
fi
exec rm -f -- "$1"
"""

# Longer than any that `find` passes on at once.
_LARGEST_BATCH = 8 * 2**20
_LARGEST_COUNT = 2**18
_LONGEST_TEXT = 1000
_SLICE = 100
_LARGEST_ANSWER = 16 * 2**10
_LONGEST_FILE_NAME = 1024  # bytes; Linux has 255
_LINE = re.compile(rb"([0-9a-f]{1,8}) ([0-9]{1,19}) (-?[0-9]{1,19}) ([0-9]{1,10}) ([0-9]{1,10})")
_LARGEST_SIZE = 2**63 - 1

_TYPES = {
    0o100000: FileType.REGULAR,
    0o040000: FileType.DIRECTORY,
    0o120000: FileType.SYMLINK,
    0o010000: FileType.FIFO,
    0o140000: FileType.SOCKET,
    0o020000: FileType.CHARACTER_DEVICE,
    0o060000: FileType.BLOCK_DEVICE,
}


def script(text: str, *tools: str) -> str:
    """Return a script that ends with NO_TOOL where one of these is missing."""
    return _NEED.replace("TOOLS", " ".join(tools)) + text.replace("STATUS", STATUS)


@dataclass(slots=True)
class _Listing:
    """What a listing has said by now.

    Attributes:
        engine: for errors.
        begun: bytes of what has not come whole.
    """

    engine: str
    begun: bytearray = field(default_factory=bytearray)
    _parts: list[bytes] = field(default_factory=list)
    _count: int = 0
    _held: int = 0

    def take(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Return the names that are known with these bytes, and what `stat` told of each.

        Raises:
            EngineConflictError: they have another form.
        """
        self.begun += data
        parts: list[bytes] = []
        if b"\0" in data:  # or nothing is whole: it is not copied for each byte that comes
            *parts, rest = bytes(self.begun).split(b"\0")
            self.begun = bytearray(rest)
        found: list[tuple[bytes, bytes]] = []
        for part in parts:
            self._held += len(part)
            if not self._count:
                self._count = self._number(part)
                continue
            self._parts.append(part)
            if len(self._parts) > self._count:
                found += self._files()
                self._parts, self._count, self._held = [], 0, 0
        if self._held + len(self.begun) > _LARGEST_BATCH:
            raise self.odd()
        return found

    def end(self) -> None:
        """Check that all has come whole."""
        if self.begun or self._count:
            raise self.odd()

    def odd(self) -> EngineConflictError:
        """Return the error of what cannot be read."""
        return EngineConflictError(
            self.engine, "what the resource's own tools say of its files cannot be read"
        )

    def _number(self, text: bytes) -> int:
        count = int(text) if text.isdigit() and len(text) <= len(str(_LARGEST_COUNT)) else 0
        if not 0 < count <= _LARGEST_COUNT:
            raise self.odd()
        return count

    def _files(self) -> list[tuple[bytes, bytes]]:
        *names, told = self._parts
        lines = told.split(b"\n")
        if len(lines) != self._count:
            raise self.odd()
        return list(zip(names, lines, strict=True))


def file_of(name: bytes, status: bytes, engine: str, link_target: bytes = b"") -> FileInfo:
    """Return a file by its name and what `stat` told.

    Raises:
        EngineConflictError: that has another form.
    """
    found = _LINE.fullmatch(status.strip())
    if found is None or len(name) > _LONGEST_FILE_NAME:
        raise _Listing(engine).odd()
    mode, size, seconds = int(found[1], 16), int(found[2]), int(found[3])
    text, is_text = name.decode(errors="replace"), _is_text(name)
    return FileInfo(
        name=text,
        raw_name=b"" if is_text else name,
        type=_TYPES.get(S_IFMT(mode), FileType.OTHER),
        size_bytes=min(size, _LARGEST_SIZE),
        mode=S_IMODE(mode),
        uid=int(found[4]),
        gid=int(found[5]),
        modify_time=_time(seconds),
        link_target=link_target.decode(errors="replace"),
    )


def directory_not_empty(engine: str, path: str) -> EngineConflictError:
    """Return the error of a directory that is to be removed without what is in it."""
    return EngineConflictError(
        engine,
        f"the directory {path!r} is not empty",
        hint="set recursive to remove it with all that is in it",
    )


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _time(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


class PosixFiles:
    """Works on files by commands inside resources.

    Args:
        engine: for errors.
        start: starts the commands; see `ports.Commands`.
        user: who runs them; empty: whoever the engine takes.
        working_dir: where they run; None: where the engine has them run, which may have been removed.
        own_name: returns the name of what a command has for itself in a directory, which a listing
            leaves out.
    """

    def __init__(
        self,
        engine: str,
        start: StartCommand,
        *,
        user: str = "",
        working_dir: str | None = None,
        own_name: Callable[[RunningCommand], str] = lambda _: "",
    ) -> None:
        self._engine = engine
        self._start = start
        self._user = user
        self._working_dir = working_dir
        self._own_name = own_name

    async def list(self, id: str, path: str) -> AsyncIterator[FileInfo]:
        """Yield what is in a directory; see `ports.Files`."""
        listing = _Listing(self._engine)
        said = bytearray()
        async with self._running(id, script(_LIST, "find", "stat"), path) as command:
            own = self._own_name(command).encode()
            async for output in command.output():
                if output.is_stderr:
                    said += output.data[: _LONGEST_TEXT - len(said)]
                    continue
                for index, (name, told) in enumerate(listing.take(output.data)):
                    if index % _SLICE == 0:
                        await asyncio.sleep(0)  # there may be a hundred thousand
                    if (last := name.rpartition(b"/")[2]) != own:
                        yield file_of(last, told, self._engine)
            code = (await command.exit()).code
        self._check(code, bytes(said), path)
        listing.end()

    async def remove(self, id: str, what: FileRemoval) -> None:
        """Remove a file or a directory; see `ports.Files`."""
        arguments = (what.path, "r" if what.recursive else "")
        await self.run(id, script(_REMOVE, "rm", "rmdir"), *arguments)

    async def run(self, id: str, text: str, path: str, *arguments: str) -> bytes:
        """Return what a script about a path says, which is not much.

        Raises:
            ProaError: it failed, as its exit code tells.
        """
        said = {False: bytearray(), True: bytearray()}
        async with self._running(id, text, path, *arguments) as command:
            async for output in command.output():
                before = said[output.is_stderr]
                before += output.data[: _LARGEST_ANSWER - len(before)]
            code = (await command.exit()).code
        self._check(code, bytes(said[True]), path)
        return bytes(said[False])

    @asynccontextmanager
    async def _running(self, id: str, text: str, *arguments: str) -> AsyncIterator[RunningCommand]:
        argv = (SHELL, "-c", text, "sh", *arguments)
        spec = CommandSpec(argv=argv, user=self._user, working_dir=self._working_dir)
        async with AsyncExitStack() as stack:
            try:
                command = await stack.enter_async_context(self._start(id, spec, CommandStreams()))
            except InvalidArgumentError:  # its program, which is ours
                raise self._missing("a POSIX shell") from None
            yield command

    def _check(self, code: int | None, said: bytes, path: str) -> None:
        """Check that a script has done what it should."""
        text = said.decode(errors="replace").strip()[:_LONGEST_TEXT]
        match code:
            case 0:
                return
            case _Code.NO_FILE:
                raise FileNotFoundInsideError(path)
            case _Code.NO_DIRECTORY:
                raise InvalidArgumentError.of("path", f"{path!r} is no directory")
            case _Code.NO_REGULAR_FILE:
                raise InvalidArgumentError.of("path", f"{path!r} is no regular file")
            case _Code.EXISTS:
                raise AlreadyExistsError.of_a_file(path)
            case _Code.NOT_EMPTY:
                raise directory_not_empty(self._engine, path)
            case _Code.NO_TOOL:
                raise self._missing(text)
        raise EngineConflictError(self._engine, text or "the resource's own tools failed")

    def _missing(self, what: str) -> CapabilityMissingError:
        return CapabilityMissingError(
            f"this with the files of a resource that has not {what}",
            driver=self._engine,
            hint="it takes a POSIX shell with the usual tools in the resource",
        )

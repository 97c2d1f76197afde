"""Files inside domains, by their guest agents and their shells."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from posixpath import basename

import structlog

from proad.drivers.libvirt.agent import file_scripts, scripts
from proad.drivers.libvirt.agent.agent import GuestAgents
from proad.drivers.libvirt.agent.endings import Endings
from proad.drivers.libvirt.agent.filed_command import CHUNK, FiledCommand
from proad.drivers.libvirt.agent.guest_file import ROW, GuestFile
from proad.drivers.libvirt.agent.talk import AgentRefusedError, Talk
from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.posix_files import PosixFiles, StartCommand, file_of
from proad.errors import AlreadyExistsError, EngineConflictError, ProaError
from proad.model import DirectoryMake, FileInfo, FileRead, FileRemoval, FileWrite, pieces
from proad.ports import RunningCommand

# Of a file that tells no size, such as those of /proc.
_MOST_OF_UNSIZED = 16 * 2**20

_log = structlog.get_logger(__name__)


class DomainFiles:
    """Reads and writes files inside domains; see `ports.Files`.

    Args:
        agents: the guest agents.
        start: starts commands in domains.
    """

    def __init__(self, agents: GuestAgents, start: StartCommand) -> None:
        self._agents = agents
        self._posix = PosixFiles(ENGINE, start, own_name=_own_name)
        self._endings = Endings(agents.timing)

    async def close(self) -> None:
        """Wait a moment for what is being cleaned up."""
        await self._endings.close()

    async def stat_file(self, id: str, path: str) -> FileInfo:
        """Return what is known of one file."""
        said = await self._posix.run(id, file_scripts.STAT, path)
        status, _, target = said.partition(b"\n")
        return file_of(_name(path), status, ENGINE, target.removesuffix(b"\n"))

    def list_files(self, id: str, path: str) -> AsyncIterator[FileInfo]:
        """Yield what is in a directory."""
        return self._posix.list(id, path)

    async def remove_file(self, id: str, what: FileRemoval) -> None:
        """Remove a file or a directory."""
        await self._posix.remove(id, what)

    async def make_directory(self, id: str, what: DirectoryMake) -> None:
        """Make a directory."""
        arguments = ("p" if what.parents else "", f"{what.mode:o}")
        try:
            await self._posix.run(id, file_scripts.MAKE, what.path, *arguments)
        except AlreadyExistsError as error:  # nothing takes its place
            raise AlreadyExistsError("file", what.path, hint="choose another path") from error

    @asynccontextmanager
    async def read_file(self, id: str, what: FileRead) -> "AsyncIterator[GuestFileReader]":
        """Open a regular file for reading."""

        async def look() -> FileInfo:
            said = await self._posix.run(id, file_scripts.REGULAR, what.path)
            return file_of(_name(what.path), said, ENGINE)

        info = await look()
        async with self._opened(id, what.path, "r") as file:
            yield GuestFileReader(file, info, what, look)

    @asynccontextmanager
    async def write_file(self, id: str, what: FileWrite) -> "AsyncIterator[GuestFileWriter]":
        """Begin a regular file, under another name beside it."""
        beginning = asyncio.ensure_future(self._begin(id, what))
        try:
            temporary, target = await asyncio.shield(beginning)
        except asyncio.CancelledError:
            self._endings.later(self._remove_when_begun(id, beginning))
            raise
        writer = None
        try:
            async with self._opened(id, temporary, "w") as file:

                async def place() -> None:
                    await self._place(id, what, temporary, target)

                writer = GuestFileWriter(file, place)
                yield writer
        finally:
            if writer is None or not writer.is_placed:
                await self._endings.soon(self._remove(id, temporary))

    async def _begin(self, id: str, what: FileWrite) -> tuple[str, str]:
        """Make an empty file; return its path, and the one that it is to have."""
        overwrite, name = "o" if what.overwrite else "", f".proa-{secrets.token_hex(16)}"
        said = await self._posix.run(id, file_scripts.BEGIN, what.path, name, overwrite)
        temporary, _, rest = said.partition(b"\0")
        try:
            return temporary.decode(), rest.removesuffix(b"\0").decode()
        except UnicodeDecodeError:
            raise EngineConflictError(ENGINE, "the path leads to a name that is no text") from None

    async def _place(self, id: str, what: FileWrite, temporary: str, target: str) -> None:
        await self._posix.run(
            *(id, file_scripts.PLACE, target, temporary),
            *("o" if what.overwrite else "", f"{what.mode:o}"),
            *("" if number is None else str(number) for number in (what.uid, what.gid)),
            str(what.size_bytes),
        )

    @asynccontextmanager
    async def _opened(self, id: str, path: str, mode: str) -> AsyncIterator[GuestFile]:
        """Have the agent open a file, and close it whatever happens."""
        opening = asyncio.ensure_future(self._agents.talk(id, lambda talk: talk.open(path, mode)))
        try:
            file = GuestFile(self._agents, id, await asyncio.shield(opening))
        except asyncio.CancelledError:
            self._endings.later(self._close_when_open(id, opening))
            raise
        try:
            yield file
        finally:
            if not file.is_closed:
                await self._endings.soon(self._close(id, file.handle))

    async def _close_when_open(self, id: str, opening: asyncio.Future[int]) -> None:
        with suppress(ProaError):
            await self._close(id, await opening)

    async def _close(self, id: str, handle: int) -> None:
        await self._in_time(id, lambda talk: talk.close(handle), f"handle {handle}")

    async def _remove_when_begun(self, id: str, beginning: asyncio.Future[tuple[str, str]]) -> None:
        with suppress(ProaError):
            await self._remove(id, (await beginning)[0])

    async def _remove(self, id: str, path: str) -> None:
        def say(talk: Talk) -> int:
            return talk.execute(scripts.SHELL, ["-c", file_scripts.REMOVE, "sh", path])

        await self._in_time(id, say, path)

    async def _in_time(self, id: str, say: Callable[[Talk], object], what: str) -> None:
        """Tell an agent to clean up; wait for a guest that is paused."""
        try:
            await self._endings.once_resumed(lambda: self._agents.talk(id, say))
        except AgentRefusedError:
            return  # it has gone already
        except (ProaError, TimeoutError) as error:
            _log.warning("file left in guest", domain=id, what=what, error=str(error))


class GuestFileReader:
    """See `ports.FileReader`.

    Args:
        file: the file, which is open.
        info: the file, as it was before.
        what: which part is wanted.
        look: tells of the file as it is now.
    """

    def __init__(
        self,
        file: GuestFile,
        info: FileInfo,
        what: FileRead,
        look: Callable[[], Awaitable[FileInfo]],
    ) -> None:
        self.info = info
        self._file = file
        self._what = what
        self._look = look

    async def data(self) -> AsyncIterator[bytes]:
        """Yield the bytes that were asked for."""
        size, offset, length = self.info.size_bytes, self._what.offset, self._what.length
        left = max((size or _MOST_OF_UNSIZED) - offset, 0)
        left = left if length is None else min(left, length)
        if left and offset:
            await self._file.seek(offset)
        while left:
            data, at_end = await self._file.read(min(CHUNK, left))
            for piece in pieces(data):
                yield piece
            left -= len(data)
            if at_end or not data:
                break
        # Some files, such as those of /sys, have fewer bytes than they say.
        if left and size and (await self._look()).size_bytes != size:
            raise EngineConflictError(
                ENGINE, "the file changed its size while it was read", hint="try again"
            )


class GuestFileWriter:
    """See `ports.FileWriter`.

    Args:
        file: a file beside the one that is to be, which is open.
        place: puts it in its place.

    Attributes:
        is_placed: whether it is there.
    """

    def __init__(self, file: GuestFile, place: Callable[[], Awaitable[None]]) -> None:
        self.is_placed = False
        self._file = file
        self._place = place
        self._waiting = bytearray()

    async def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._waiting += data
        if len(self._waiting) >= ROW:
            await self._flush()

    async def commit(self) -> None:
        """Put the file in its place."""
        await self._flush()
        await self._file.close()
        await self._place()
        self.is_placed = True

    async def _flush(self) -> None:
        data, self._waiting = bytes(self._waiting), bytearray()
        if data:
            await self._file.write(data)


def _own_name(command: RunningCommand) -> str:
    return basename(command.folder) if isinstance(command, FiledCommand) else ""


def _name(path: str) -> bytes:
    return (basename(path) or "/").encode()

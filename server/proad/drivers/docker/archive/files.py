"""Files inside containers."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from posixpath import basename, dirname, join

from proad.drivers.docker.archive.client import BLOCK, ArchiveClient
from proad.drivers.docker.archive.paths import ContainerPaths, Place
from proad.drivers.docker.archive.replacing import Replacing
from proad.drivers.docker.archive.room import Room
from proad.drivers.docker.archive.spool import Spool, SpooledFile
from proad.drivers.docker.archive.tar_member import (
    directories,
    file_end,
    file_header,
    moved,
    removed,
)
from proad.drivers.docker.archive.transfers import SpoolingReader, SpoolingWriter
from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.http.stream import Stream
from proad.drivers.docker.reader import path as path_of
from proad.drivers.posix_files import PosixFiles, StartCommand
from proad.errors import (
    AlreadyExistsError,
    EngineConflictError,
    FileNotFoundInsideError,
    HostExhaustedError,
    InvalidArgumentError,
    ProaError,
)
from proad.model import (
    DirectoryMake,
    FileInfo,
    FileRead,
    FileRemoval,
    FileType,
    FileWrite,
)

_TORN = "and the file may be torn or gone", "look at it, and write it again"
# A second name of a file loses these rights.
_SPECIAL = 0o7000

_Left = Callable[[], Awaitable[tuple[str, str]]]
"""Tells what is left of a write that has failed, and what to do."""


class ContainerFiles:
    """Reads and writes files inside containers; see `ports.Files`.

    Args:
        engine: the engine.
        start: starts commands in containers.
        threads: how many archives may be under way at once.
        room: for files on their way.
    """

    def __init__(
        self, engine: EngineClient, start: StartCommand, *, threads: int, room: Room
    ) -> None:
        self._engine = engine
        self._archive = ArchiveClient(engine, threads)
        self._spool = Spool(room)
        self._posix = PosixFiles(ENGINE, start, user="0:0", working_dir="/")
        self._replacing = Replacing(start)
        self._open = ExitStack()
        self._placings: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Start the threads."""
        self._open.enter_context(self._archive)
        self._open.enter_context(self._spool.threads)

    async def close(self) -> None:
        """Wait for files that are being put in their places, and end the threads."""
        if self._placings:
            await asyncio.wait(self._placings, timeout=self._engine.timeout.total_seconds())
        self._open.close()

    async def stat_file(self, id: str, path: str) -> FileInfo:
        """Return what is known of one file."""
        paths = await self._paths(id)
        _, file = await paths.existing(path, follow=False)
        return file

    def list_files(self, id: str, path: str) -> AsyncIterator[FileInfo]:
        """Yield what is in a directory."""
        path_of(id)
        return self._posix.list(id, path)

    async def remove_file(self, id: str, what: FileRemoval) -> None:
        """Remove a file or a directory."""
        path_of(id)
        await self._posix.remove(id, what)

    @asynccontextmanager
    async def read_file(self, id: str, what: FileRead) -> AsyncIterator[SpoolingReader]:
        """Open a regular file for reading."""
        paths = await self._paths(id)
        at, file = await paths.existing(what.path, follow=True)
        if file.type is not FileType.REGULAR:
            raise _not_regular(what.path)
        size = max(file.size_bytes - what.offset, 0)
        if what.length is not None:
            size = min(size, what.length)
        with self._spool.file(size) as spooled:
            reader = SpoolingReader(spooled, self._spool, what.offset, size)
            stream = Stream()

            def take(stream: Stream) -> None:
                reader.take(stream, basename(at), file.size_bytes)

            fetching = asyncio.ensure_future(self._archive.fetch(id, at, stream, take))
            try:
                await reader.opened(fetching)
                yield reader
            finally:
                fetching.cancel()
                await asyncio.wait({fetching})

    @asynccontextmanager
    async def write_file(self, id: str, what: FileWrite) -> AsyncIterator[SpoolingWriter]:
        """Begin a regular file."""
        at = (await self._place_for(await self._paths(id), what)).path
        with ExitStack() as room:
            spooled = room.enter_context(self._spool.file(what.size_bytes))

            async def place() -> None:
                # What follows goes to its end, though its caller may go away: a file that
                # the engine has begun would be torn.
                with room.pop_all():
                    await self._place(id, what, at, spooled)

            async def commit() -> None:
                placing = asyncio.create_task(place())
                self._placings.add(placing)
                placing.add_done_callback(self._placings.discard)
                await asyncio.shield(placing)

            yield SpoolingWriter(spooled, self._spool, commit)

    async def make_directory(self, id: str, what: DirectoryMake) -> None:
        """Make a directory."""
        paths = await self._paths(id)
        place = await paths.find(what.path, follow=True)
        if place.file is not None:
            if what.parents and place.file.type is FileType.DIRECTORY:
                return
            raise AlreadyExistsError("file", what.path, hint="choose another path")
        first, *rest = place.missing
        if rest and not what.parents:
            raise FileNotFoundInsideError(first)
        await self._check_folder(paths, first)
        paths.check_writable(first)
        archive = directories([basename(first), *rest], what.mode)
        await self._archive.put(id, dirname(first), len(archive), iter((archive,)))

    async def _paths(self, id: str) -> ContainerPaths:
        path_of(id)
        return await ContainerPaths.of(self._engine, self._archive, id)

    async def _place_for(self, paths: ContainerPaths, what: FileWrite) -> Place:
        """Return where a file is to be written, after all checks."""
        place = await paths.find(what.path, follow=True)
        if place.file is None:
            first, *rest = place.missing
            if rest:
                raise FileNotFoundInsideError(first)
            await self._check_folder(paths, first)
        elif place.file.type is not FileType.REGULAR:
            raise _not_regular(what.path)
        elif not what.overwrite:
            raise AlreadyExistsError.of_a_file(what.path)
        paths.check_writable(place.path)
        return place

    async def _check_folder(self, paths: ContainerPaths, path: str) -> None:
        """Check that there is a directory for what is to be made: a link may have led elsewhere."""
        at, folder = await paths.existing(dirname(path), follow=False)
        if folder.type is not FileType.DIRECTORY:
            raise InvalidArgumentError.of("path", f"{at!r} is no directory")

    async def _place(self, id: str, what: FileWrite, at: str, spooled: SpooledFile) -> None:
        paths = await self._paths(id)
        place = await self._place_for(paths, what)
        if place.path != at:
            raise EngineConflictError(ENGINE, "the path leads elsewhere by now", hint="try again")
        if place.file is None:
            await self._unpack(id, what, at, spooled, partial(self._undone, id, what, paths, at))
            return
        if paths.is_running and await self._is_renamed_over(id, what, paths, at, spooled):
            return
        if not what.mode & _SPECIAL and await self._is_linked_over(id, what, paths, at, spooled):
            return
        # The engine removes the old file first.
        await self._unpack(id, what, at, spooled, _torn)

    async def _is_renamed_over(
        self, id: str, what: FileWrite, paths: ContainerPaths, at: str, spooled: SpooledFile
    ) -> bool:
        """Have the container's shell put a file in the place of another; return whether it has."""
        async with self._replacing.begun(id, at) as renaming:
            # What the container has mounted itself, the engine does not see.
            if renaming is None or await paths.size_of(renaming.path) != 0:
                return False
            await self._unpack(id, what, renaming.path, spooled, _as_it_was)
            return await renaming.rename() and await self._is_moved(paths, renaming.path, at, what)

    async def _is_linked_over(
        self, id: str, what: FileWrite, paths: ContainerPaths, at: str, spooled: SpooledFile
    ) -> bool:
        """Have the engine put a whole file in the place of another; return whether it has."""
        beside = join(dirname(at), f".proa-{secrets.token_hex(16)}")
        try:
            await self._unpack(id, what, beside, spooled, _as_it_was)
            names = basename(beside), basename(at)
            await self._put(id, at, moved(*names, what.mode, what.uid or 0, what.gid or 0))
            return await self._is_moved(paths, beside, at, what)
        finally:
            await self._remove(id, paths, beside)

    async def _is_moved(self, paths: ContainerPaths, of: str, to: str, what: FileWrite) -> bool:
        return await paths.size_of(of) is None and await paths.size_of(to) == what.size_bytes

    async def _undone(
        self, id: str, what: FileWrite, paths: ContainerPaths, at: str
    ) -> tuple[str, str]:
        """Remove the part of a new file that the engine has written."""
        if (size := await paths.size_of(at)) is not None and size < what.size_bytes:
            await self._remove(id, paths, at)
        if await paths.size_of(at) is None:
            return "and there is no such file", "make room"
        return _TORN

    async def _remove(self, id: str, paths: ContainerPaths, path: str) -> None:
        """Remove a file, if the engine can."""
        with suppress(ProaError):
            if await paths.size_of(path) is not None:
                await self._put(id, path, removed(basename(path)))

    async def _put(self, id: str, beside: str, archive: bytes) -> None:
        """Unpack a small archive, one that ends in a link which fails."""
        with suppress(EngineConflictError, HostExhaustedError):
            await self._archive.put(id, dirname(beside), len(archive), iter((archive,)))

    async def _unpack(
        self, id: str, what: FileWrite, at: str, spooled: SpooledFile, left: _Left
    ) -> None:
        """Have the engine write a file; the error of one that fails says what is `left` then."""
        size = what.size_bytes
        head = file_header(basename(at), size, what.mode, what.uid or 0, what.gid or 0)
        end = file_end(size)

        def parts() -> Iterator[bytes]:
            yield head
            for start in range(0, size, BLOCK):
                yield spooled.piece(start, min(BLOCK, size - start))
            yield end

        try:
            await self._archive.put(id, dirname(at), len(head) + size + len(end), parts())
        except (EngineConflictError, HostExhaustedError) as error:
            state, hint = await left()
            text = f"{error.metadata['engine_message']}, {state}"
            if isinstance(error, HostExhaustedError):
                raise HostExhaustedError(ENGINE, text) from None
            raise EngineConflictError(ENGINE, text, hint=hint) from None


async def _as_it_was() -> tuple[str, str]:
    return "and the file is as it was", "make room"


async def _torn() -> tuple[str, str]:
    return _TORN


def _not_regular(path: str) -> InvalidArgumentError:
    return InvalidArgumentError.of("path", f"{path!r} is no regular file")

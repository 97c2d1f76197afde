"""Files inside resources."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proad.core.entrance import Entrance
from proad.errors import InvalidArgumentError
from proad.model import (
    Action,
    DirectoryMake,
    FileDigest,
    FileInfo,
    FileRead,
    FileRemoval,
    FileWrite,
    ResourceState,
)
from proad.ports import FileReader, Files, FileWriter

# Where an engine needs nothing that runs, it says so itself.
_AT_REST = frozenset({ResourceState.PAUSED, ResourceState.STOPPED})


class _Digest:
    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size = 0

    def add(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)

    @property
    def value(self) -> FileDigest:
        return FileDigest(size_bytes=self.size, sha256=self._hash.digest())


class FileReading:
    """A file that is read.

    Args:
        reader: the driver's.

    Attributes:
        info: the file, as it was when it was opened.
    """

    def __init__(self, reader: FileReader) -> None:
        self.info = reader.info
        self._reader = reader
        self._digest = _Digest()

    async def data(self) -> AsyncIterator[bytes]:
        """Yield its bytes; see `ports.FileReader`."""
        async for piece in self._reader.data():
            self._digest.add(piece)
            yield piece

    @property
    def digest(self) -> FileDigest:
        """What was read by now."""
        return self._digest.value


class FileWriting:
    """A file that is written.

    Args:
        writer: the driver's.
        size: how many bytes there will be.
    """

    def __init__(self, writer: FileWriter, size: int) -> None:
        self._writer = writer
        self._size = size
        self._digest = _Digest()

    async def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            InvalidArgumentError: there are more than were announced.
        """
        self._digest.add(data)
        if self._digest.size > self._size:
            raise InvalidArgumentError.of(
                "data", f"there are more bytes than the {self._size} that `size_bytes` announced"
            )
        await self._writer.write(data)

    async def commit(self) -> FileDigest:
        """Put the file in its place.

        Raises:
            InvalidArgumentError: there are fewer bytes than were announced.
        """
        if (size := self._digest.size) != self._size:
            raise InvalidArgumentError.of(
                "data", f"only {size} bytes of the {self._size} that `size_bytes` announced came"
            )
        await self._writer.commit()
        return self._digest.value


class FileOperations:
    """Reads and writes files inside resources.

    Errors are those of `Entrance.enter` and of the port.

    Args:
        entrance: admits callers into resources.
    """

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    async def stat(self, ref: str, path: str) -> FileInfo:
        """Return what is known of a file."""
        async with self._entrance.enter(ref, Files, Action.READ_FILE, at_rest=_AT_REST) as entered:
            return await entered.driver.stat_file(entered.id, path)

    async def page(
        self, ref: str, path: str, most: int, after: bytes | None
    ) -> tuple[list[FileInfo], bool]:
        """Return a part of a directory, and whether there is more.

        Args:
            ref: what the caller wrote for the resource.
            path: of the directory.
            most: how many files.
            after: the name after which the part begins; None: at the first one.
        """
        found: list[FileInfo] = []
        async with self._entrance.enter(ref, Files, Action.READ_FILE) as entered:
            async for file in entered.driver.list_files(entered.id, path):
                if after is not None and file.key <= after:
                    continue
                found.append(file)
                if len(found) > 2 * most:
                    found.sort(key=_key)
                    del found[most + 1 :]
        found.sort(key=_key)
        return found[:most], len(found) > most

    @asynccontextmanager
    async def reading(self, ref: str, what: FileRead) -> AsyncIterator[FileReading]:
        """Read a file while the block runs."""
        async with (
            self._entrance.enter(ref, Files, Action.READ_FILE, at_rest=_AT_REST) as entered,
            entered.driver.read_file(entered.id, what) as reader,
        ):
            yield FileReading(reader)

    @asynccontextmanager
    async def writing(self, ref: str, what: FileWrite) -> AsyncIterator[FileWriting]:
        """Write a file while the block runs; nothing is left of one that is not committed."""
        async with (
            self._entrance.enter(ref, Files, Action.WRITE_FILE, at_rest=_AT_REST) as entered,
            entered.driver.write_file(entered.id, what) as writer,
        ):
            yield FileWriting(writer, what.size_bytes)

    async def make_directory(self, ref: str, what: DirectoryMake) -> None:
        """Make a directory."""
        enter = self._entrance.enter
        async with enter(ref, Files, Action.MAKE_DIRECTORY, at_rest=_AT_REST) as entered:
            await entered.driver.make_directory(entered.id, what)

    async def remove(self, ref: str, what: FileRemoval) -> None:
        """Remove a file or a directory."""
        async with self._entrance.enter(ref, Files, Action.REMOVE_FILE) as entered:
            await entered.driver.remove_file(entered.id, what)


def _key(file: FileInfo) -> bytes:
    return file.key

"""The port of a driver that moves files into resources and out of them."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from proad.model import DirectoryMake, FileInfo, FileRead, FileRemoval, FileWrite


class FileReader(Protocol):
    """A file that is open for reading. Its methods are called on the event loop."""

    @property
    def info(self) -> FileInfo:
        """The file, as it was when it was opened."""

    def data(self) -> AsyncIterator[bytes]:
        """Yield the bytes that were asked for, in pieces of at most 64 KiB.

        What nobody takes costs no memory.

        Raises:
            EngineConflictError: the file was cut meanwhile, or what came is not that file.
        """


class FileWriter(Protocol):
    """A file that is being written. Its methods are called on the event loop."""

    async def write(self, data: bytes) -> None:
        """Take the next bytes; wait while there are too many.

        There are never more than were announced.
        """

    async def commit(self) -> None:
        """Put the file in its place, once all bytes have come.

        Raises:
            AlreadyExistsError: there is one by now.
            EngineConflictError: it cannot be; nothing has changed.
        """


@runtime_checkable
class Files(Protocol):
    """Files inside resources.

    Every method raises:
        FileNotFoundInsideError: there is no such file, or not the directory that it would be in.
        InvalidArgumentError: it is of the wrong type; with the field "path".
        StateError: the state of the resource does not allow it.
        CapabilityMissingError: the engine does not see this path, or the resource lacks what it takes.
        EngineConflictError: it cannot be done, as the engine or the resource tells.

    Symbolic links are followed inside the resource alone, except for the last name of `stat_file`
    and `remove_file`.
    """

    async def stat_file(self, id: str, path: str) -> FileInfo:
        """Return what is known of one file."""

    def list_files(self, id: str, path: str) -> AsyncIterator[FileInfo]:
        """Yield what is in a directory, in any order."""

    def read_file(self, id: str, what: FileRead) -> AbstractAsyncContextManager[FileReader]:
        """Open a regular file for reading, as long as the block runs.

        Raises:
            HostExhaustedError: the daemon has no room for it.
        """

    def write_file(self, id: str, what: FileWrite) -> AbstractAsyncContextManager[FileWriter]:
        """Begin a regular file. Leaving the block without `commit` leaves nothing behind.

        Raises:
            AlreadyExistsError: there is one, and it may not be overwritten.
            HostExhaustedError: the daemon has no room for it.
        """

    async def make_directory(self, id: str, what: DirectoryMake) -> None:
        """Make a directory.

        Raises:
            AlreadyExistsError: there is something of this name.
        """

    async def remove_file(self, id: str, what: FileRemoval) -> None:
        """Remove a file or a directory."""

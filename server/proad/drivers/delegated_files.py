"""The port `Files` of a driver whose files are a part of their own."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from proad.model import DirectoryMake, FileInfo, FileRead, FileRemoval, FileWrite
from proad.ports import FileReader, Files, FileWriter


class DelegatedFiles:
    """Passes the calls of the port `Files` on.

    Attributes:
        files: what has the files.
    """

    files: Files

    async def stat_file(self, id: str, path: str) -> FileInfo:
        """Return what is known of one file."""
        return await self.files.stat_file(id, path)

    def list_files(self, id: str, path: str) -> AsyncIterator[FileInfo]:
        """Yield what is in a directory."""
        return self.files.list_files(id, path)

    def read_file(self, id: str, what: FileRead) -> AbstractAsyncContextManager[FileReader]:
        """Open a regular file for reading."""
        return self.files.read_file(id, what)

    def write_file(self, id: str, what: FileWrite) -> AbstractAsyncContextManager[FileWriter]:
        """Begin a regular file."""
        return self.files.write_file(id, what)

    async def make_directory(self, id: str, what: DirectoryMake) -> None:
        """Make a directory."""
        await self.files.make_directory(id, what)

    async def remove_file(self, id: str, what: FileRemoval) -> None:
        """Remove a file or a directory."""
        await self.files.remove_file(id, what)

"""The calls of the synchronous client for files inside resources."""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, BinaryIO, Self

from proa import v1
from proa.commands import cut_short
from proa.files import Received, pieces_of, whole_size, write_start
from proa.paging import pages
from proa.request_stream import RequestStream


class FileReader(Iterator[bytes]):
    """A file inside a resource, while it is read. Iterate over it for its bytes.

    Args:
        call: the call.

    Attributes:
        info: the file.
    """

    def __init__(self, call: Any) -> None:
        self._call = call
        self._received = Received()
        self._is_over = False
        first: v1.ReadFileResponse | None = next(call, None)
        if first is None or not first.HasField("file"):
            self.close()
            raise cut_short("the end of the file")
        self.info = first.file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __next__(self) -> bytes:
        if self._is_over:
            raise StopIteration
        response: v1.ReadFileResponse | None = next(self._call, None)
        if response is None:
            raise cut_short("the end of the file")
        if response.HasField("data"):
            self._received.add(response.data)
            return response.data
        self._is_over = True
        self._received.check(response.end)
        next(self._call, None)
        raise StopIteration

    def read(self) -> bytes:
        """Return all bytes that are left."""
        return b"".join(self)

    def close(self) -> None:
        """End the call."""
        self._call.cancel()


class FileCalls:
    """What a client does with files inside resources.

    Attributes:
        files: the stub of the service.
    """

    files: Any

    def stat_file(self, id: str, path: str) -> v1.FileInfo:
        """Return what is known of a file; of a symbolic link, of the link itself.

        Raises:
            proa.NotFound: there is none (FILE_NOT_FOUND).
        """
        response: v1.StatFileResponse = self.files.StatFile(v1.StatFileRequest(id=id, path=path))
        return response.file

    def list_files(self, id: str, path: str, *, page_size: int = 0) -> Iterator[v1.FileInfo]:
        """Iterate over what is in a directory, by name."""
        request = v1.ListFilesRequest(id=id, path=path, page_size=page_size)
        for page in pages(self.files.ListFiles, request):
            yield from page.files

    def read_file(
        self, id: str, path: str, *, offset: int = 0, length: int | None = None
    ) -> FileReader:
        """Open a regular file for reading.

            data = client.read_file("web", "/etc/motd").read()

            with client.read_file("web", "/var/log/big.log") as file, open("big.log", "wb") as copy:
                for data in file:
                    copy.write(data)

        The end is only reached when all bytes have come with the right checksum.

        Args:
            id: id of the resource, as in all calls.
            path: absolute path inside it.
            offset: the first byte.
            length: bytes to read at most; None: all.
        """
        request = v1.ReadFileRequest(id=id, path=path, offset=offset, length=length)
        return FileReader(self.files.ReadFile(request))

    def write_file(
        self,
        id: str,
        path: str,
        source: bytes | BinaryIO | Iterable[bytes],
        *,
        size: int | None = None,
        mode: int | None = None,
        uid: int | None = None,
        gid: int | None = None,
        overwrite: bool = False,
    ) -> v1.FileDigest:
        """Write a regular file, all or nothing; return its size and its checksum.

            client.write_file("web", "/etc/motd", b"Hello", overwrite=True)
            with open("image.raw", "rb") as file:
                client.write_file("web", "/srv/image.raw", file, mode=0o600)

        Args:
            id: id of the resource, as in all calls.
            path: absolute path inside it.
            source: its bytes, a binary file from where it is, or pieces of any size. A file that
                grows meanwhile is written as far as it was.
            size: how many bytes there are; needed for pieces and for what cannot be sought.
            mode: permissions; default: 0o644.
            uid: number of the owner; default: 0 in a container, the agent's user in a domain.
            gid: number of the group; default: as `uid`.
            overwrite: whether it may take the place of another file.

        Raises:
            TypeError: nobody says how many bytes there are.
            proa.AlreadyExists: there is a file, without `overwrite`.
        """
        whole = whole_size(source, size)
        start = write_start(id, path, whole, mode=mode, uid=uid, gid=gid, overwrite=overwrite)
        most = whole if size is None else None
        requests = RequestStream()
        requests.send(v1.WriteFileRequest(start=start))
        call = self.files.WriteFile(requests)
        try:
            if (ready := next(call, None)) is None or not ready.HasField("ready"):
                raise cut_short("the end of the file")
            try:
                for piece in pieces_of(source, most):
                    requests.send(v1.WriteFileRequest(data=piece))
                requests.end()
            except BrokenPipeError:
                pass  # the next response says why
            response: v1.WriteFileResponse | None = next(call, None)
            if response is None:
                raise cut_short("the end of the file")
            next(call, None)
            return response.end
        finally:
            requests.close()
            call.cancel()

    def make_directory(
        self, id: str, path: str, *, parents: bool = False, mode: int | None = None
    ) -> None:
        """Make a directory.

        Args:
            id: id of the resource, as in all calls.
            path: absolute path inside it.
            parents: make those above it, too, and be content with one that is there.
            mode: permissions of what is made; default: 0o755.
        """
        request = v1.MakeDirectoryRequest(id=id, path=path, parents=parents, mode=mode)
        self.files.MakeDirectory(request)

    def remove_file(self, id: str, path: str, *, recursive: bool = False) -> None:
        """Remove a file, a symbolic link or a directory.

        Args:
            id: id of the resource, as in all calls.
            path: absolute path inside it.
            recursive: whether a directory goes with all that is in it.
        """
        self.files.RemoveFile(v1.RemoveFileRequest(id=id, path=path, recursive=recursive))

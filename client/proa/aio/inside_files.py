"""The calls of the asyncio client for files inside resources."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from types import TracebackType
from typing import Any, BinaryIO, Self

from proa import v1
from proa.aio.request_stream import AsyncRequestStream
from proa.commands import cut_short, pieces
from proa.files import Received, pieces_of, whole_size, write_start
from proa.paging import async_pages


class AsyncFileReader(AsyncIterator[bytes]):
    """A file inside a resource, which is open while the block runs; see `proa.FileReader`.

    Attributes:
        info: the file; empty before the block.
    """

    def __init__(self, call: Any) -> None:
        self._call = call
        self._responses: AsyncIterator[v1.ReadFileResponse] = aiter(call)
        self._received = Received()
        self._is_over = False
        self.info = v1.FileInfo()

    async def __aenter__(self) -> Self:
        first = await anext(self._responses, None)
        if first is None or not first.HasField("file"):
            raise cut_short("the end of the file")
        self.info = first.file
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._call.cancel()

    async def __anext__(self) -> bytes:
        if self._is_over:
            raise StopAsyncIteration
        response = await anext(self._responses, None)
        if response is None:
            raise cut_short("the end of the file")
        if response.HasField("data"):
            self._received.add(response.data)
            return response.data
        self._is_over = True
        self._received.check(response.end)
        await anext(self._responses, None)
        raise StopAsyncIteration

    async def read(self) -> bytes:
        """Return all bytes that are left."""
        return b"".join([data async for data in self])


class AsyncFileCalls:
    """What a client does with files inside resources, as `proa.inside_files.FileCalls`.

    Attributes:
        files: the stub of the service.
    """

    files: Any

    async def stat_file(self, id: str, path: str) -> v1.FileInfo:
        """Return what is known of a file, as `proa.Client.stat_file`."""
        request = v1.StatFileRequest(id=id, path=path)
        response: v1.StatFileResponse = await self.files.StatFile(request)
        return response.file

    async def list_files(
        self, id: str, path: str, *, page_size: int = 0
    ) -> AsyncIterator[v1.FileInfo]:
        """Iterate over what is in a directory, by name."""
        request = v1.ListFilesRequest(id=id, path=path, page_size=page_size)
        async for page in async_pages(self.files.ListFiles, request):
            for file in page.files:
                yield file

    def read_file(
        self, id: str, path: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncFileReader:
        """Return a regular file, which is open while the block runs.

        async with client.read_file("web", "/etc/motd") as file:
            data = await file.read()

        For the arguments see `proa.Client.read_file`.
        """
        request = v1.ReadFileRequest(id=id, path=path, offset=offset, length=length)
        return AsyncFileReader(self.files.ReadFile(request))

    async def write_file(
        self,
        id: str,
        path: str,
        source: bytes | BinaryIO | Iterable[bytes] | AsyncIterable[bytes],
        *,
        size: int | None = None,
        mode: int | None = None,
        uid: int | None = None,
        gid: int | None = None,
        overwrite: bool = False,
    ) -> v1.FileDigest:
        """Write a regular file, all or nothing, as `proa.Client.write_file`.

        What blocks, such as a file, blocks the event loop for as long.
        """
        whole = whole_size(source, size)
        start = write_start(id, path, whole, mode=mode, uid=uid, gid=gid, overwrite=overwrite)
        most = whole if size is None else None
        requests = AsyncRequestStream()
        await requests.send(v1.WriteFileRequest(start=start))
        responses = aiter(self.files.WriteFile(requests))
        try:
            if (ready := await anext(responses, None)) is None or not ready.HasField("ready"):
                raise cut_short("the end of the file")
            try:
                async for piece in _pieces(source, most):
                    await requests.send(v1.WriteFileRequest(data=piece))
                requests.end()
            except BrokenPipeError:
                pass  # the next response says why
            response: v1.WriteFileResponse | None = await anext(responses, None)
            if response is None:
                raise cut_short("the end of the file")
            await anext(responses, None)
            return response.end
        finally:
            requests.cancel()

    async def make_directory(
        self, id: str, path: str, *, parents: bool = False, mode: int | None = None
    ) -> None:
        """Make a directory, as `proa.Client.make_directory`."""
        request = v1.MakeDirectoryRequest(id=id, path=path, parents=parents, mode=mode)
        await self.files.MakeDirectory(request)

    async def remove_file(self, id: str, path: str, *, recursive: bool = False) -> None:
        """Remove a file, a symbolic link or a directory, as `proa.Client.remove_file`."""
        request = v1.RemoveFileRequest(id=id, path=path, recursive=recursive)
        await self.files.RemoveFile(request)


async def _pieces(
    source: bytes | BinaryIO | Iterable[bytes] | AsyncIterable[bytes], most: int | None
) -> AsyncIterator[bytes]:
    if isinstance(source, AsyncIterable):
        async for data in source:
            for piece in pieces(data):
                yield piece
    else:
        for piece in pieces_of(source, most):
            yield piece

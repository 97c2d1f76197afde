"""FileService: files inside resources."""

import asyncio
from typing import Any

import grpc

from proa import v1
from proa.v1 import file_service_pb2_grpc
from proad.core.file_operations import FileOperations
from proad.errors import InvalidArgumentError, PageTokenInvalidError, ReaderTooSlowError
from proad.model import DirectoryMake, FileRead, FileRef, FileRemoval, FileWrite
from proad.rpc import caller
from proad.rpc.decode import decode, required_text
from proad.rpc.encode import encode
from proad.rpc.paging import PageBudget, Paginator
from proad.rpc.request_stream import RequestStream
from proad.rpc.responses import write
from proad.rpc.timing import RpcTiming
from proad.rpc.user_limiter import UserLimiter

_Context = grpc.aio.ServicerContext[Any, Any]


class FileService(file_service_pb2_grpc.FileServiceServicer):
    """Converts, delegates to the core, converts.

    Args:
        files: reads and writes the files.
        paginator: makes pages.
        users: limits how many files a user reads at a time. Streams of requests are counted by all
            that serves them.
        timing: durations.
    """

    def __init__(
        self,
        files: FileOperations,
        paginator: Paginator,
        users: UserLimiter,
        timing: RpcTiming = RpcTiming(),
    ) -> None:
        self._files = files
        self._paginator = paginator
        self._users = users
        self._timing = timing

    async def StatFile(self, request: v1.StatFileRequest, context: _Context) -> v1.StatFileResponse:
        file = await self._files.stat(required_text(request, "id"), _path(request))
        return v1.StatFileResponse(file=encode(v1.FileInfo, file))

    async def ListFiles(
        self, request: v1.ListFilesRequest, context: _Context
    ) -> v1.ListFilesResponse:
        most, position = self._paginator.bounds(request)
        after = None if position is None else _name(position)
        id, path = required_text(request, "id"), _path(request)
        with self._users.stream(caller.current().user_id):
            found, more = await self._files.page(id, path, most, after)
        budget, shown = PageBudget(), list[v1.FileInfo]()
        for file in found:
            message = encode(v1.FileInfo, file)
            if not budget.take(message.ByteSize()):
                more = True
                break
            shown.append(message)
        last = (found[len(shown) - 1].key.hex(),) if more and shown else None
        return v1.ListFilesResponse(
            files=shown, next_page_token=self._paginator.token(request, last)
        )

    async def ReadFile(self, request: v1.ReadFileRequest, context: _Context) -> None:  # type: ignore[override] # writes by itself: what ends it reaches it while its caller does not read
        required_text(request, "path")
        what = decode(FileRead, request)
        id = required_text(request, "id")
        with self._users.stream(caller.current().user_id):
            async with self._files.reading(id, what) as reading:
                info = encode(v1.FileInfo, reading.info)
                await self._write(context, v1.ReadFileResponse(file=info))
                async for data in reading.data():
                    await self._write(context, v1.ReadFileResponse(data=data))
                end = encode(v1.FileDigest, reading.digest)
            await self._write(context, v1.ReadFileResponse(end=end))

    async def _write(self, context: _Context, response: v1.ReadFileResponse) -> None:
        """Write a response, which holds room for its caller.

        Raises:
            ReaderTooSlowError: the caller takes nothing.
        """
        idle = self._timing.file_idle
        try:
            async with asyncio.timeout(idle):
                await write(context, response)
        except TimeoutError:
            raise ReaderTooSlowError(
                f"nothing was taken for {idle:g} seconds; read again from where you are"
            ) from None

    async def WriteFile(self, stream: RequestStream, context: _Context) -> None:  # type: ignore[override] # streams of requests come as RequestStream
        start: v1.WriteFileStart = stream.opening("start")
        id = required_text(start, "id")
        required_text(start, "path")
        what = decode(FileWrite, start, prefix="start")
        async with self._files.writing(id, what) as writing:
            await stream.send(v1.WriteFileResponse(ready=v1.WriteFileReady()))
            while (request := await self._next(stream)) is not None:
                match request:
                    case ("data", data):
                        await writing.write(data)
                    case (name, _):
                        raise InvalidArgumentError.of(name, "must be in the first message alone")
            end = encode(v1.FileDigest, await writing.commit())
        await stream.send(v1.WriteFileResponse(end=end))

    async def _next(self, stream: RequestStream) -> tuple[str, Any] | None:
        """Return the next message, which comes in time.

        Raises:
            InvalidArgumentError: none comes.
        """
        idle = self._timing.file_idle
        try:
            async with asyncio.timeout(idle):
                return await stream.next()
        except TimeoutError:
            raise InvalidArgumentError.of(
                "data", f"nothing came for {idle:g} seconds, and nothing was written"
            ) from None

    async def MakeDirectory(
        self, request: v1.MakeDirectoryRequest, context: _Context
    ) -> v1.MakeDirectoryResponse:
        required_text(request, "path")
        what = decode(DirectoryMake, request)
        await self._files.make_directory(required_text(request, "id"), what)
        return v1.MakeDirectoryResponse()

    async def RemoveFile(
        self, request: v1.RemoveFileRequest, context: _Context
    ) -> v1.RemoveFileResponse:
        required_text(request, "path")
        what = decode(FileRemoval, request)
        await self._files.remove(required_text(request, "id"), what)
        return v1.RemoveFileResponse()


def _path(request: v1.StatFileRequest | v1.ListFilesRequest) -> str:
    required_text(request, "path")
    return decode(FileRef, request).path


def _name(position: tuple[str, ...]) -> bytes:
    """Return the name that a page begins after."""
    try:
        (name,) = position
        return bytes.fromhex(name)
    except ValueError:
        raise PageTokenInvalidError from None

"""Files between an engine and a caller, by way of the spool."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from proad.drivers.docker.archive.client import BLOCK
from proad.drivers.docker.archive.spool import Spool, SpooledFile
from proad.drivers.docker.archive.tar_member import check_end, read_member
from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.stream import Stream
from proad.drivers.threads import call_soon_threadsafe
from proad.errors import EngineConflictError
from proad.model import FileInfo, pieces


class SpoolingReader:
    """A file that the engine sends; see `ports.FileReader`.

    Args:
        spooled: what has come of it.
        spool: has the threads that wait for the disk.
        offset: the first byte that is wanted.
        size: how many are.

    Attributes:
        info: the file.
    """

    def __init__(self, spooled: SpooledFile, spool: Spool, offset: int, size: int) -> None:
        self.info = FileInfo(name="")
        self._spooled = spooled
        self._threads = spool.threads
        self._offset = offset
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._begun = asyncio.Event()
        self._fetching: asyncio.Future[None] | None = None

    def take(self, stream: Stream, name: str, size: int) -> None:
        """Take what the engine sends. On a thread."""
        member = read_member(stream.read, name, size)
        self.info = member.info
        call_soon_threadsafe(self._loop, self._begun.set)
        skip, left = min(self._offset, size), self._size
        for_all = skip + left == member.size  # what it has grown by meanwhile is left
        while skip:
            skip -= len(self._next(stream, skip))
        while left:
            data = self._next(stream, left)
            self._spooled.append(data)
            left -= len(data)
        if for_all:
            check_end(stream.read, member)

    async def opened(self, fetching: "asyncio.Future[None]") -> None:
        """Wait until the file is known, and its bytes come."""
        self._fetching = fetching
        await self._first(self._begun.wait(), fetching)

    async def data(self) -> AsyncIterator[bytes]:
        """Yield the bytes that were asked for."""
        assert self._fetching is not None  # noqa: S101 - for mypy; it is open
        sent = 0
        while sent < self._size:
            while self._spooled.written <= sent:
                await self._first(self._spooled.more(), self._fetching)
            most = min(BLOCK, self._spooled.written - sent)
            data = await self._threads.run(lambda at=sent, most=most: self._spooled.piece(at, most))  # type: ignore[misc] # mypy: defaults of a lambda
            for piece in pieces(data):
                yield piece
            sent += len(data)
        await asyncio.shield(self._fetching)  # which checks the end

    @staticmethod
    async def _first(news: Coroutine[Any, Any, object], fetching: "asyncio.Future[None]") -> None:
        """Wait for news of what is fetched, or its failure."""
        waiting: asyncio.Future[Any] = asyncio.ensure_future(news)
        try:
            await asyncio.wait({waiting, fetching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if fetching.done():
            fetching.result()

    @staticmethod
    def _next(stream: Stream, most: int) -> bytes:
        if not (data := stream.read(min(BLOCK, most))):
            raise EngineConflictError(
                ENGINE, "the file was cut while it was read", hint="try again"
            )
        return data


class SpoolingWriter:
    """A file that is to be put in its place; see `ports.FileWriter`.

    Args:
        spooled: what has come of it.
        spool: has the threads that wait for the disk.
        commit: puts it in its place.
    """

    def __init__(
        self, spooled: SpooledFile, spool: Spool, commit: Callable[[], Awaitable[None]]
    ) -> None:
        self._spooled = spooled
        self._threads = spool.threads
        self._commit = commit
        self._waiting = bytearray()

    async def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._waiting += data
        if len(self._waiting) >= BLOCK:
            await self._flush()

    async def commit(self) -> None:
        """Put the file in its place."""
        await self._flush()
        await self._commit()

    async def _flush(self) -> None:
        data, self._waiting = bytes(self._waiting), bytearray()
        if data:
            await self._threads.run(lambda: self._spooled.append(data))

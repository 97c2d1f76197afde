"""The archive API of one engine, on threads of its own.

An archive is exchanged as fast as the engine goes, by one thread, of which a container has two at
most. Who gives it up hangs up, and the thread is free.
"""

import base64
import binascii
from collections.abc import Callable, Iterator
from datetime import timedelta
from http import HTTPStatus
from typing import Self, TypeVar

from proad.drivers.docker.errors import ENGINE, refused
from proad.drivers.docker.http.api import Answer
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.http.stream import Stream
from proad.drivers.keyed_limiter import KeyedLimiter
from proad.drivers.threads import EngineThreads
from proad.drivers.tolerant import Value, parse_json
from proad.errors import EngineConflictError

T = TypeVar("T")

BLOCK = 256 * 2**10
_STAT = "X-Docker-Container-Path-Stat"
_LARGEST_STAT = 64 * 2**10
_OF_EACH = 2
# For the largest file that there is room for, at a slow disk's speed.
_LONGEST = timedelta(hours=1)
_LARGEST_REFUSAL = 64 * 2**10


class ArchiveClient:
    """Exchanges archives with an engine.

    Args:
        engine: the engine.
        threads: how many archives may be under way at once.
    """

    def __init__(self, engine: EngineClient, threads: int) -> None:
        self._engine = engine
        self._threads = EngineThreads(ENGINE, "archive", size=threads)
        self._limiter = KeyedLimiter(ENGINE, _OF_EACH)

    def __enter__(self) -> Self:
        self._threads.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.__exit__()

    async def stat(self, container: str, path: str) -> Value | None:
        """Return what the engine tells of a file; None: it sees none."""

        def ask(stream: Stream) -> Value | None:
            status = self._open(stream, "HEAD", container, {"path": path})
            header = stream.header(_STAT)
            stream.keep()
            if status == HTTPStatus.NOT_FOUND:
                return None
            if status != HTTPStatus.OK:
                raise EngineConflictError(ENGINE, f"it tells nothing of {path!r} (HTTP {status})")
            return self._told(header, container)

        return await self._run(container, Stream(), ask, self._engine.timeout)

    async def fetch(
        self, container: str, path: str, stream: Stream, take: Callable[[Stream], None]
    ) -> None:
        """Get the archive of a file; `take` reads it on the thread."""

        def get(stream: Stream) -> None:
            status = self._open(stream, "GET", container, {"path": path})
            if status != HTTPStatus.OK:
                raise refused(status, _refusal(stream, status))
            take(stream)

        await self._run(container, stream, get, _LONGEST)

    async def put(self, container: str, folder: str, size: int, parts: Iterator[bytes]) -> None:
        """Unpack an archive of so many bytes into a directory."""

        def send(stream: Stream) -> None:
            params = {"path": folder, "noOverwriteDirNonDir": "true"}
            limit = self._engine.timeout
            target = self._engine.api.target(f"/containers/{container}/archive", params, limit)
            headers = {"Content-Type": "application/x-tar", "Content-Length": str(size)}
            transport = self._engine.api.transport
            with self._engine.api.translated():
                status = stream.upload(transport, "PUT", target, headers, parts, limit)
                if status != HTTPStatus.OK:
                    raise refused(status, _refusal(stream, status))

        await self._run(container, Stream(), send, _LONGEST)

    def _open(self, stream: Stream, method: str, container: str, params: dict[str, str]) -> int:
        limit = self._engine.timeout
        target = self._engine.api.target(f"/containers/{container}/archive", params, limit)
        return stream.open(self._engine.api.transport, method, target, {}, limit)

    def _told(self, header: str, container: str) -> Value:
        try:
            told = parse_json(base64.b64decode(header[:_LARGEST_STAT], validate=True))
        except (binascii.Error, ValueError):
            raise EngineConflictError(ENGINE, "what it tells of the file cannot be read") from None
        return Value(told, self._engine.api.omissions, container, _STAT)

    async def _run(
        self,
        container: str,
        stream: Stream,
        call: Callable[[Stream], T],
        limit: timedelta,
    ) -> T:
        def exchange() -> T:
            try:
                with self._engine.api.translated():
                    return call(stream)
            finally:
                stream.close()

        try:
            return await self._limiter.run(container, self._threads, exchange, limit)
        except BaseException:
            stream.hang_up()
            raise


def _refusal(stream: Stream, status: int) -> str:
    """Return the engine's own words, of which there may be too many."""
    return Answer(status, stream.read(_LARGEST_REFUSAL)).text

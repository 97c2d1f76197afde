"""A proxy in front of a Docker Engine that notes the calls of the API."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

_REQUEST = re.compile(rb"(?:^|\r\n\r\n)([A-Z]+ /\S*) HTTP/1\.1\r\n")


class CountingProxy:
    """Forwards all bytes between a Unix socket and the socket of the engine.

    Attributes:
        url: where the proxy listens.
        calls: method and target of each call, such as "GET /v1.41/containers/json?all=1".
    """

    def __init__(self, engine: Path, socket: Path) -> None:
        self.url = f"unix://{socket}"
        self.calls: list[str] = []
        self._engine = engine
        self._socket = socket
        self._connections: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["CountingProxy"]:
        """Serve until the block ends."""
        server = await asyncio.start_unix_server(self._accept, self._socket)
        try:
            yield self
        finally:
            server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine_reader, engine_writer = await asyncio.open_unix_connection(self._engine)
        try:
            await asyncio.gather(
                self._pass_on(reader, engine_writer, self._asked),
                self._pass_on(engine_reader, writer, self.answer),
            )
        finally:
            writer.close()
            engine_writer.close()

    def _asked(self, chunk: bytes) -> bytes:
        self.calls += [found.decode() for found in _REQUEST.findall(chunk)]
        return self.request(chunk)

    def request(self, chunk: bytes) -> bytes:
        """Return what the engine gets of a request."""
        return chunk

    def answer(self, chunk: bytes) -> bytes:
        """Return what the driver gets of an answer."""
        return chunk

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        converted: Callable[[bytes], bytes],
    ) -> None:
        while chunk := await reader.read(2**16):
            writer.write(converted(chunk))
            await writer.drain()
        writer.close()

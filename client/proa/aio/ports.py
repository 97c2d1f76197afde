"""Connections to ports and Unix sockets inside resources, of the asyncio client."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

from proa import v1
from proa.aio.request_stream import AsyncRequestStream
from proa.commands import PIECE, cut_short, pieces
from proa.errors import Error

_CANCEL_AGAIN = 1.0  # seconds
_RESET = struct.pack("ii", 1, 0)


class AsyncPortConnection(AsyncIterator[bytes]):
    """A connection to a port or a Unix socket inside a resource; see `proa.ports.PortConnection`.

    Attributes:
        address: the address and port, or the path, that it leads to, for people.
    """

    def __init__(self, forward_port: Callable[[Any], Any], start: v1.ForwardPortStart) -> None:
        self._forward_port = forward_port
        self._start = start
        self._requests = AsyncRequestStream()
        self._responses: AsyncIterator[v1.ForwardPortResponse] | None = None
        self._peer_ended = False
        self.address = ""

    async def __aenter__(self) -> Self:
        await self._requests.send(v1.ForwardPortRequest(start=self._start))
        self._responses = aiter(self._forward_port(self._requests))
        try:
            first = await anext(self._responses, None)
        except BaseException:
            self.close()
            raise
        if first is None or not first.HasField("connected"):
            self.close()
            raise cut_short("the connection")
        self.address = first.connected.address
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None and self._peer_ended:
            self._requests.end()
            await self.wait_closed()  # what is cancelled now would count as cut short
        self.close()

    async def __anext__(self) -> bytes:
        if self._responses is None:
            raise RuntimeError("a connection stands within its block")
        if self._peer_ended:
            raise StopAsyncIteration
        response = await anext(self._responses, None)
        if response is None:
            raise cut_short("the connection")
        if response.HasField("end_output"):
            self._peer_ended = True
            raise StopAsyncIteration
        return response.data

    async def read(self) -> bytes:
        """Return what the peer sends next; nothing once it has ended its side.

        Raises:
            proa.Error: the connection broke, or the call was ended.
        """
        return await anext(self, b"")

    async def write(self, data: bytes) -> None:
        """Send to the peer; wait while it does not read.

        Who writes much must read in another task.

        Raises:
            BrokenPipeError: the connection has ended.
        """
        for piece in pieces(data):
            await self._requests.send(v1.ForwardPortRequest(data=piece))

    async def end_input(self) -> None:
        """End the own side; go on reading.

        Raises:
            BrokenPipeError: the connection has ended.
        """
        await self._requests.send(v1.ForwardPortRequest(end_input=v1.EndOfInput()))
        self._requests.end()

    async def wait_closed(self) -> None:
        """Wait until both sides have ended; read the peer to its end first.

        Raises:
            proa.Error: the connection broke, or the call was ended.
        """
        if self._responses is not None:
            await anext(self._responses, None)

    def fail(self, error: Exception) -> None:
        """End the connection: who reads gets the error."""
        self._requests.fail(error)

    def close(self) -> None:
        """End the connection."""
        self._requests.cancel()


class PortListener:
    """A port of this host that leads into a resource, while the block runs.

    Each connection that comes is one call. One that cannot be made, or breaks, is reset.

    Args:
        connect: returns the connection to the port or socket inside, which the listener enters.
        address: address of this host to listen on.
        local_port: the port to listen on; 0: any that is free.
        on_error: called with the error of a connection.

    Attributes:
        address: the address that is listened on, and its port.
    """

    def __init__(
        self,
        connect: Callable[[], AsyncPortConnection],
        address: str,
        local_port: int,
        on_error: Callable[[Error], object],
    ) -> None:
        self._connect = connect
        self._place = (address, local_port)
        self._on_error = on_error
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()
        self._ended = False
        self.address: tuple[str, int] = self._place

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, *self._place, limit=PIECE)
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended = True
        if self._server is not None:
            await _accept_no_more(self._server)
            self._server.close()
        while self._passing:
            for task in self._passing:
                task.cancel()
            # What is cancelled may be about to end for another reason, and go on: cancel it again.
            await asyncio.wait(self._passing, timeout=_CANCEL_AGAIN)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._ended:  # it was on its way
            _reset(writer)
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._passing.add(task)
        task.add_done_callback(partial(self._served, writer))

    def _served(self, writer: asyncio.StreamWriter, task: "asyncio.Task[None]") -> None:
        self._passing.discard(task)
        if task.cancelled():  # before it began
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._connect() as connection:
                await _pass_on(reader, writer, connection)
            writer.close()
        except Error as error:
            _reset(writer)
            self._on_error(error)
        except (OSError, asyncio.CancelledError):
            _reset(writer)


async def _accept_no_more(server: asyncio.Server) -> None:
    """Let what is accepted get its transport: asyncio forgets it open if its server has closed."""
    for each in server.sockets:
        asyncio.get_running_loop().remove_reader(each.fileno())
    await asyncio.sleep(0)


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: AsyncPortConnection
) -> None:
    """Pass bytes on both ways, until both sides have ended."""

    async def send() -> None:
        try:
            while data := await reader.read(PIECE):
                await connection.write(data)
            await connection.end_input()
        except BrokenPipeError:
            pass  # the call has ended; who reads gets its error
        except OSError as error:
            connection.fail(error)

    sending = asyncio.create_task(send())
    try:
        async for data in connection:
            writer.write(data)
            await writer.drain()
        writer.write_eof()
        await connection.wait_closed()
    finally:
        sending.cancel()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection as one that broke."""
    with suppress(OSError):
        carrier: socket.socket = writer.get_extra_info("socket")
        carrier.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()

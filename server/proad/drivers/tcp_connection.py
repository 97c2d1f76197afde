"""TCP connections to ports inside resources."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from proad.drivers.peer_connection import PeerConnection
from proad.errors import ConnectionFailedError, ProaError
from proad.model import PIECE

CONNECT_TIMEOUT = timedelta(seconds=15)
"""Of a connection: a peer that is busy takes up what came first, and drops the others for seconds."""

# A peer that is silent is asked after 10 seconds, then every 5, and given up after 3 questions: one
# that was reset, or whose host has gone, tells nothing by itself.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)
_UNREACHABLE = frozenset(
    {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN}
)


class TcpConnection(PeerConnection):
    """A connection; see `ports.PortConnection`.

    Args:
        reader: its reading end.
        writer: its writing end.
        port: the port inside the resource.
        address: what it leads to, for people.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, address: str
    ) -> None:
        super().__init__(address)
        self._reader = reader
        self._writer = writer
        self._port = port

    def end_input(self) -> None:
        """End the own side."""
        if not self._writer.is_closing():
            self._writer.write_eof()

    async def _receive(self) -> bytes:
        return await self._reader.read(PIECE)

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def _failed(self, error: OSError) -> ProaError:
        return failed(self._port, error)


def tcp_socket(family: int) -> socket.socket:
    """Return a socket for a connection, made in the network namespace of the thread."""
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    for level, option, value in _KEEPALIVE:
        made.setsockopt(level, option, value)
    return made


async def connect(carrier: socket.socket, host: str, port: int, limit: timedelta) -> None:
    """Connect a socket, within a time.

    Raises:
        ConnectionFailedError: it cannot be connected.
    """
    try:
        async with asyncio.timeout(limit.total_seconds()):
            await asyncio.get_running_loop().sock_connect(carrier, (host, port))
    except TimeoutError:
        raise ConnectionFailedError(port, "timed out") from None
    except OSError as error:
        raise failed(port, error) from None


@asynccontextmanager
async def connection_of(
    carrier: socket.socket, port: int, address: str
) -> AsyncIterator[TcpConnection]:
    """Yield the connection of a connected socket, which is closed with the block."""
    reader, writer = await asyncio.open_connection(sock=carrier, limit=PIECE)
    try:
        yield TcpConnection(reader, writer, port, address)
    finally:
        # What was sent still goes out; a peer that does not take it is not waited for.
        if writer.transport.get_write_buffer_size():
            writer.transport.abort()
        else:
            writer.close()


def failed(port: int, error: OSError) -> ConnectionFailedError:
    """Return the error of a connection that the kernel tells of."""
    if isinstance(error, ConnectionRefusedError):
        return ConnectionFailedError(port, "refused")
    if error.errno == errno.ETIMEDOUT:
        return ConnectionFailedError(port, "timed out")
    if error.errno in _UNREACHABLE:
        return ConnectionFailedError(port, "unreachable")
    return ConnectionFailedError(port, "reset")

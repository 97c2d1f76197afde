"""TCP connections to ports inside resources."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from proad.errors import ConnectionFailedError, ProaError
from proad.model import PIECE

CONNECT_TIMEOUT = timedelta(seconds=15)
"""Of a connection: a peer that is busy takes up what came first, and drops the others for seconds."""

# Seconds of silence after which what a peer has sent that is gone has come.
_LAST_WORDS = 1.0

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


class TcpConnection:
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
        self.address = address
        self._reader = reader
        self._writer = writer
        self._port = port
        self._failure: ProaError | None = None
        self._reading: asyncio.Timeout | None = None
        self._is_over = False
        self._gone = asyncio.Event()

    async def read(self) -> bytes:
        """Return what the peer sends next."""
        try:
            async with asyncio.timeout(None) as self._reading:
                if self._failure is not None:
                    self._reading.reschedule(_last_words())
                data = await self._reader.read(PIECE)
        except TimeoutError:
            data = b""
        except OSError as error:
            raise self._failure or failed(self._port, error) from None
        finally:
            self._reading = None
        if not data:
            self._is_over = True
            if self._failure is not None:
                raise self._failure
        return data

    async def write(self, data: bytes) -> None:
        """Send to the peer."""
        if self._failure is not None:
            if self._is_over:
                raise self._failure
            return  # it is gone, and what it said last is still to be read
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise self._failure or failed(self._port, error) from None

    def end_input(self) -> None:
        """End the own side."""
        if not self._writer.is_closing():
            self._writer.write_eof()

    async def stopped(self) -> None:
        """Wait until the peer has gone."""
        await self._gone.wait()
        if self._failure is not None:
            raise self._failure

    def fail(self, failure: ProaError) -> None:
        """Note that the peer has gone: who has read what it said last gets `failure`."""
        self._failure = failure
        self._gone.set()
        if self._reading is not None:
            self._reading.reschedule(_last_words())


def _last_words() -> float:
    """Return until when something must come of a peer that has gone."""
    return asyncio.get_running_loop().time() + _LAST_WORDS


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

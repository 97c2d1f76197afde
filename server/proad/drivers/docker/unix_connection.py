"""Connections to Unix sockets of hostile peers.

Such a peer may send file descriptors. The kernel closes those that nobody takes, on the thread that
reads, or that closes the socket; and that can take as long as the peer has chosen, as for a TCP
connection with SO_LINGER. So the event loop looks at what is there before it takes it, takes nothing
that has descriptors with it, and closes no socket in which something is left.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from proad.drivers.peer_connection import PeerConnection
from proad.errors import ConnectionFailedError, ProaError
from proad.model import PIECE


def unix_socket() -> socket.socket:
    """Return a socket for a connection."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    # Otherwise the kernel drops out-of-band bytes, with their descriptors, and shows them to no look.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    return made


class UnixConnection(PeerConnection):
    """A connection to a Unix socket; see `ports.PortConnection`.

    Args:
        carrier: the socket, from `unix_socket`, connected.
        path: the path of the peer's socket.
        close_apart: closes a descriptor on another thread than the event loop's.
    """

    def __init__(
        self,
        carrier: socket.socket,
        path: str,
        close_apart: Callable[[int], object],
    ) -> None:
        super().__init__(path)
        self._carrier = carrier
        self._path = path
        self._close_apart = close_apart
        self._loop = asyncio.get_running_loop()
        self._has_ended = asyncio.Event()

    def end_input(self) -> None:
        """End the own side."""
        with suppress(OSError):  # the peer has gone
            self._carrier.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End the connection."""
        with suppress(OSError):  # the peer has gone
            self._carrier.shutdown(socket.SHUT_RDWR)  # nothing more comes
        try:
            is_empty = not self._carrier.recv(1, socket.MSG_PEEK)
        except OSError:
            is_empty = False
        if is_empty:
            self._carrier.close()
        else:
            self._close_apart(self._carrier.detach())

    async def _receive(self) -> bytes:
        while True:
            try:
                data, _, flags, _ = self._carrier.recvmsg(PIECE, 0, socket.MSG_PEEK)
            except BlockingIOError:
                await self._ready(self._loop.add_reader, self._loop.remove_reader)
                continue
            except OSError:
                self._has_ended.set()
                raise
            if flags & socket.MSG_CTRUNC:
                raise ConnectionFailedError(self._path, "descriptors received")
            if not data:
                self._has_ended.set()
                return b""
            return self._carrier.recv(len(data))

    async def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._carrier.send(rest) :]
            except BlockingIOError:
                await self._ready(self._loop.add_writer, self._loop.remove_writer)
            except (BrokenPipeError, ConnectionResetError):
                await self._has_ended.wait()  # what the peer said before is still to be read
                raise

    async def _ready(self, add: Callable[..., object], remove: Callable[[int], object]) -> None:
        ready = asyncio.Event()
        add(self._carrier.fileno(), ready.set)
        try:
            await ready.wait()
        finally:
            remove(self._carrier.fileno())

    def _failed(self, _error: OSError) -> ProaError:
        return ConnectionFailedError(self._path, "reset")

"""Connections to Unix sockets of hostile peers, which may send file descriptors; see `unix_streams`."""

import asyncio
import socket
from contextlib import suppress

from proad.drivers.peer_connection import PeerConnection
from proad.errors import ConnectionFailedError, ProaError
from proad.model import PIECE
from proad.unix_streams import (
    DescriptorsError,
    hang_up,
    prepare,
    readable,
    receive,
    writable,
)


def unix_socket() -> socket.socket:
    """Return a socket for a connection."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    prepare(made)
    return made


class UnixConnection(PeerConnection):
    """A connection to a Unix socket; see `ports.PortConnection`.

    Args:
        carrier: the socket, from `unix_socket`, connected.
        path: the path of the peer's socket.
    """

    def __init__(self, carrier: socket.socket, path: str) -> None:
        super().__init__(path)
        self._carrier = carrier
        self._path = path
        self._has_ended = asyncio.Event()

    def end_input(self) -> None:
        """End the own side."""
        with suppress(OSError):  # the peer has gone
            self._carrier.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End the connection."""
        hang_up(self._carrier)

    async def _receive(self) -> bytes:
        while True:
            try:
                data = receive(self._carrier, PIECE)
            except BlockingIOError:
                await readable(self._carrier)
                continue
            except DescriptorsError:
                raise ConnectionFailedError(self._path, "descriptors received") from None
            except OSError:
                self._has_ended.set()
                raise
            if not data:
                self._has_ended.set()
            return data

    async def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._carrier.send(rest) :]
            except BlockingIOError:
                await writable(self._carrier)
            except (BrokenPipeError, ConnectionResetError):
                await self._has_ended.wait()  # what the peer said before is still to be read
                raise

    def _failed(self, _error: OSError) -> ProaError:
        return ConnectionFailedError(self._path, "reset")

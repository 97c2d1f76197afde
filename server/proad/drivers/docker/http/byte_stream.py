"""A connection on the event loop, after HTTP has handed it over."""

import asyncio
import socket

from proad.model import PIECE


class LostStreamError(ConnectionError):
    """The connection was lost, and with it what was on its way: no end of what it carried."""


class ByteStream:
    """A stream of bytes both ways.

    Args:
        reader: its reading end.
        writer: its writing end.
        begun: what was read of it before.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, begun: bytes
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._begun = begun

    @classmethod
    async def of(cls, connection: socket.socket, begun: bytes) -> "ByteStream":
        """Return the stream of a connection, of which `begun` was read before."""
        return cls(*await streams_of(connection), begun)

    async def read(self) -> bytes:
        """Return the next bytes, of a piece at most; nothing at the end.

        Raises:
            ConnectionError: the connection broke.
        """
        # The loop may have read more by the time that the reader is there.
        if begun := self._begun:
            self._begun = b""
            return begun
        return await self._reader.read(PIECE)

    async def write(self, data: bytes) -> None:
        """Write; wait while the other end does not read. What it does not want is dropped."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            return

    def write_eof(self) -> None:
        """End what is written; go on reading."""
        if not self._writer.is_closing() and self._writer.can_write_eof():
            try:
                self._writer.write_eof()
            except OSError:
                return

    def close(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()


async def streams_of(
    connection: socket.socket,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return both ends of a connection."""
    return await asyncio.open_connection(sock=connection, limit=PIECE)

"""Streams of bytes by SSH on the event loop."""

import asyncio
import socket
from collections.abc import Callable

from proad.drivers.docker.http.byte_stream import ByteStream, LostStreamError, streams_of
from proad.drivers.docker.http.ssh import SshSocket

# A process that has hung up ends soon: how often it is looked at, and the seconds between.
_LOOKS = 100
_LOOK = 0.01


class SshStream(ByteStream):
    """A stream of bytes of an `ssh` process, whose end alone tells whether the stream is whole."""

    was_lost: Callable[[], bool | None]

    @classmethod
    async def of(cls, connection: socket.socket, begun: bytes) -> "SshStream":
        """Return the stream of a process, of which `begun` was read before."""
        assert isinstance(connection, SshSocket)  # noqa: S101 - for mypy
        was_lost = connection.was_lost
        stream = cls(*await streams_of(connection), begun)
        stream.was_lost = was_lost
        return stream

    async def read(self) -> bytes:
        """Return the next bytes; nothing at the end.

        Raises:
            LostStreamError: SSH has lost the connection.
            ConnectionError: it broke.
        """
        if data := await super().read():
            return data
        for _ in range(_LOOKS):
            was_lost = self.was_lost()
            if was_lost:
                raise LostStreamError("ssh has lost the connection")
            if was_lost is False:
                break
            await asyncio.sleep(_LOOK)
        return b""

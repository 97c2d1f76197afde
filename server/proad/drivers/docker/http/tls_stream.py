"""Streams of bytes by TLS on the event loop.

It carries the bytes of the TCP connection, and OpenSSL works between them and the stream in memory:
asyncio's own TLS takes over no connection that has begun, and cannot end one direction alone.
"""

import asyncio
import ssl
from contextlib import suppress

from urllib3.util.ssltransport import SSLTransport

from proad.drivers.docker.http.byte_stream import ByteStream, LostStreamError
from proad.model import PIECE

# Bytes of TCP taken at a time: with what is left of a record before, they make a piece at most.
_RECEIVED = PIECE - 2**14 - 2**10
# Bytes without data at a time, and of answers to them in all: new keys are rare, and cost time.
_MOST_BESIDE = 2**16
_TOO_MUCH = "it sends too much that is no data"


class TlsStream(ByteStream):
    """A stream of bytes inside a TLS connection.

    Args:
        reader: the reading end of the TCP connection.
        writer: its writing end.
        begun: what was read of the stream before.
        tls: the state of TLS.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        begun: bytes,
        tls: SSLTransport,
    ) -> None:
        super().__init__(reader, writer, begun)
        self._tls = tls.sslobj
        self._incoming = tls.incoming
        self._outgoing = tls.outgoing
        self._answered = 0
        self._has_ended = False
        self._is_over = False
        self._failure: ConnectionError | None = None

    async def read(self) -> bytes:
        """Return the next bytes; nothing at the end.

        Raises:
            LostStreamError: the connection ended without a word.
            ConnectionError: it broke.
        """
        idle = 0
        while not (data := self._taken()):
            if self._failure is not None:
                raise self._failure
            if self._is_over:
                return b""
            if idle > _MOST_BESIDE:
                raise ConnectionResetError(_TOO_MUCH)
            if received := await self._reader.read(_RECEIVED):
                self._incoming.write(received)
                idle += len(received)
            else:
                self._incoming.write_eof()
        return data

    async def write(self, data: bytes) -> None:
        """Write; wait while the other end does not read. What it does not want is dropped."""
        rest = memoryview(b"" if self._has_ended else data)
        try:
            while rest:
                rest = rest[self._tls.write(rest) :]
            await self._send()
        except (ssl.SSLError, ConnectionError):
            return

    def write_eof(self) -> None:
        """End what is written; go on reading."""
        if self._has_ended:
            return
        self._has_ended = True
        # What has come is taken first: OpenSSL would stumble over it.
        self._begun = self._taken()
        with suppress(ssl.SSLError):  # the other end goes on writing, as it may
            self._tls.unwrap()
        if not self._writer.is_closing():
            self._writer.write(self._outgoing.read())

    async def _send(self) -> None:
        self._writer.write(self._outgoing.read())
        await self._writer.drain()

    def _taken(self) -> bytes:
        """Return what has come, without waiting."""
        pieces = [self._begun]
        self._begun = b""
        try:
            while piece := self._tls.read(PIECE):
                pieces.append(piece)
            self._is_over = True
        except ssl.SSLZeroReturnError:  # so it is called where the own side has ended, too
            self._is_over = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._failure = self._failure or LostStreamError(str(error))
        if answer := self._outgoing.read():
            self._answered += len(answer)
            if self._answered > _MOST_BESIDE:
                self._failure = self._failure or ConnectionResetError(_TOO_MUCH)
            else:
                self._writer.write(answer)
        return b"".join(pieces)

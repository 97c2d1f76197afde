"""Connections to a Docker Engine that carry bytes both ways, after an upgrade of the protocol."""

import asyncio
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.api import Answer
from proad.drivers.docker.http.transport import Transport
from proad.errors import CapabilityMissingError
from proad.model import PIECE

DETACH_KEYS = ",".join(["ctrl-^", "ctrl-@"] * 8)
"""The keys by which Docker itself detaches a caller: who wants to detach leaves.

It must have some, and holds the first one back until the next one comes, so that one is taken which
hardly anybody types.
"""

# Bytes of what is said of a failure.
_MOST_OF_A_REFUSAL = 64 * 2**10
_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A connection that was upgraded.

    Attributes:
        socket: the connection.
        begun: what had come of the stream already.
    """

    socket: socket.socket
    begun: bytes


class Carrier:
    """A new connection that is to be handed over, on its way."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._given_up = False

    @contextmanager
    def connection(
        self, transport: Transport, target: str, limit: timedelta, purpose: str
    ) -> Iterator[tuple[Any, str]]:
        """Give the connection, and the full target of a request.

        Args:
            transport: to the engine.
            target: of the request.
            limit: the longest silence.
            purpose: what the connection is for.

        Raises:
            CapabilityMissingError: it cannot be handed over.
        """
        connection, full_target = transport.connection(target)
        connection.timeout = limit.total_seconds()
        try:
            connection.connect()
            # Asked before the engine is: what it has begun, nobody takes back.
            if type(connection.sock) is not socket.socket:
                raise CapabilityMissingError(
                    purpose,
                    driver=ENGINE,
                    hint="the connection to this engine, by TLS or SSH, cannot carry them",
                )
            self._socket = connection.sock
            if self._given_up:  # in the meantime
                raise ConnectionAbortedError
            yield connection, full_target
        finally:
            connection.close()

    def give_up(self) -> None:
        """Hang up, also while a thread waits for an answer, or reads one without an end."""
        self._given_up = True
        if self._socket is not None:
            with suppress(OSError):  # it has ended by itself
                self._socket.shutdown(socket.SHUT_RDWR)


def upgrade(
    carrier: Carrier,
    transport: Transport,
    target: str,
    body: Mapping[str, Any] | None,
    limit: timedelta,
) -> Answer | Upgraded:
    """Send a POST request whose answer turns its connection into a stream of bytes. Blocks.

    Return the Answer of a failure. `limit` is the longest silence until then.
    """
    with carrier.connection(transport, target, limit, "streams inside containers") as (own, path):
        # Without a body there must be no byte of one: it would be the first of the stream.
        content = None if body is None else json.dumps(body).encode()
        headers = _UPGRADE if body is None else _UPGRADE | _JSON
        own.request("POST", path, body=content, headers=headers)
        answer = answer_of(own)
        if answer.status != HTTPStatus.SWITCHING_PROTOCOLS:
            return refusal(answer)
        return Upgraded(*handed_over(own.sock, answer))


def refusal(answer: http.client.HTTPResponse) -> Answer:
    """Return the Answer of a failure, which has an end."""
    return Answer(answer.status, answer.read(_MOST_OF_A_REFUSAL))


def answer_of(connection: Any) -> http.client.HTTPResponse:
    """Return the beginning of an answer: what urllib3 makes of one has no way to the bytes behind."""
    return http.client.HTTPConnection.getresponse(connection)


def handed_over(
    carrier: socket.socket, answer: http.client.HTTPResponse
) -> tuple[socket.socket, bytes]:
    """Return a connection for the event loop, and what HTTP has read of it behind the headers."""
    carrier.setblocking(False)
    begun = answer.fp.peek(1)
    return carrier.dup(), begun


class ByteStream:
    """An upgraded connection on the event loop.

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
        reader, writer = await asyncio.open_connection(sock=connection, limit=PIECE)
        return cls(reader, writer, begun)

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

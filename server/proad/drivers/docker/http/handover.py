"""Connections that go from HTTP to the event loop, whatever carries them.

A thread connects, asks and reads how the answer begins; the event loop carries the bytes that follow,
so that a stream costs no thread. A Unix socket, TCP and the socket of an `ssh` process are handed over
as they are, and TLS together with its state.
"""

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from urllib3.util.ssltransport import SSLTransport

from proad.drivers.docker.http.api import Answer
from proad.drivers.docker.http.byte_stream import ByteStream, streams_of
from proad.drivers.docker.http.ssh import SshSocket
from proad.drivers.docker.http.ssh_stream import SshStream
from proad.drivers.docker.http.stream import keep_alive
from proad.drivers.docker.http.tls_stream import TlsStream
from proad.drivers.docker.http.transport import Transport

# Bytes of what is said of a failure.
_MOST_OF_A_REFUSAL = 64 * 2**10


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A connection that HTTP has handed over.

    Attributes:
        socket: the connection.
        begun: what had come on it behind the headers already.
        tls: its state of TLS; None: it has none.
    """

    socket: socket.socket
    begun: bytes
    tls: SSLTransport | None = None

    async def stream(self) -> ByteStream:
        """Return what it carries."""
        if isinstance(self.socket, SshSocket):
            return await SshStream.of(self.socket, self.begun)
        if self.tls is None:
            return await ByteStream.of(self.socket, self.begun)
        reader, writer = await streams_of(self.socket)
        return TlsStream(reader, writer, self.begun, self.tls)


class Carrier:
    """A connection that is to be handed over, on its way.

    Args:
        take: takes a place for it, and returns what gives that back; None: it needs none.
    """

    def __init__(self, take: Callable[[], Callable[[], None]] | None = None) -> None:
        self._take = take
        self._socket: socket.socket | None = None
        self._tls: SSLTransport | None = None
        self._given_up = False

    @contextmanager
    def connection(
        self, transport: Transport, target: str, limit: timedelta
    ) -> Iterator[tuple[Any, str]]:
        """Give the connection, and the full target of a request.

        Args:
            transport: to the engine.
            target: of the request.
            limit: the longest silence.

        Raises:
            HostExhaustedError: there is no place for it.
        """
        with ExitStack() as until_connected:
            if self._take is not None:
                until_connected.callback(self._take())
            connection, full_target = transport.own_connection(target, limit)
            if isinstance(connection.sock, SshSocket):
                connection.sock.at_close(until_connected.pop_all().close)
        try:
            # Kept here, since the connection drops it with an answer that has its end.
            connected: Any = connection.sock
            self._tls = connected if isinstance(connected, SSLTransport) else None
            self._socket = connected if self._tls is None else self._tls.socket
            if self._given_up:  # in the meantime
                raise ConnectionAbortedError
            yield connection, full_target
        finally:
            connection.close()

    def handed_over(self, answer: http.client.HTTPResponse) -> HandedOver:
        """Hand the connection over, of which an answer was read up to the end of its headers."""
        assert self._socket is not None  # noqa: S101 - for mypy; it has answered
        self._socket.setblocking(False)
        begun = answer.fp.peek(1)
        keep_alive(self._socket)
        return HandedOver(self._socket.dup(), begun, self._tls)

    def give_up(self) -> None:
        """Hang up, also while a thread waits for an answer, or reads one without an end."""
        self._given_up = True
        if self._socket is not None:
            with suppress(OSError):  # it has ended by itself
                self._socket.shutdown(socket.SHUT_RDWR)


def refusal(answer: http.client.HTTPResponse) -> Answer:
    """Return the Answer of a failure, which has an end."""
    return Answer(answer.status, answer.read(_MOST_OF_A_REFUSAL))


def answer_of(connection: Any) -> http.client.HTTPResponse:
    """Return the beginning of an answer: what urllib3 makes of one has no way to the bytes behind."""
    return http.client.HTTPConnection.getresponse(connection)

"""A long answer of the Engine API, on a connection of its own."""

import http.client
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Protocol, TypeVar

import urllib3

from proad.drivers.docker.http.ssh import SshSocket
from proad.drivers.docker.http.transport import Transport
from proad.drivers.tolerant import NOTHING, Omissions, Value, parse_json

T = TypeVar("T")

_TCP = frozenset({socket.AF_INET, socket.AF_INET6})
# Probe a silent peer after 10 seconds, then every 5, and give up after 3 probes: 25 seconds.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
# Seconds and bytes in which an answer ends that has told all.
_LAST_BYTES = 1.0
_LAST_BLANKS = 16
# More than any object of such an answer has, whatever the names and labels in it.
_LONGEST_LINE = 16 * 2**20


class RunBlocking(Protocol):
    """Runs a blocking call without blocking the event loop."""

    async def __call__(self, call: Callable[[], T]) -> T:
        """Return the result of `call`."""


class Stream:
    """An answer, line by line or byte by byte. All methods block, except `hang_up`.

    The stream has its connection from the beginning, so that hanging up works at any moment,
    also while a thread waits for the first byte: closing a response would not end a request
    that has no answer yet.
    """

    def __init__(self) -> None:
        self._connection: urllib3.connection.HTTPConnection | None = None
        # The socket of the connection, which drops it if the engine closes the answer.
        self._socket: socket.socket | None = None
        self._response: urllib3.BaseHTTPResponse | None = None
        self._closed = False
        self._transport: Transport | None = None
        self.lines: Iterator[bytes] = iter(())

    def open(
        self,
        transport: Transport,
        method: str,
        target: str,
        headers: Mapping[str, str],
        limit: timedelta,
    ) -> int:
        """Send a request, and return the status. `limit` is the longest silence, now and later."""
        self.send(transport, method, target, headers, limit)
        return self.status()

    def send(
        self,
        transport: Transport,
        method: str,
        target: str,
        headers: Mapping[str, str],
        limit: timedelta,
    ) -> None:
        """Send a request; call `status` next."""
        connection, full_target = self._connected(transport, target, limit)
        connection.request(method, full_target, headers=headers, preload_content=False)

    def upload(
        self,
        transport: Transport,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Iterator[bytes],
        limit: timedelta,
    ) -> int:
        """Send a request with a long body, and return the status.

        Args:
            transport: the connections to the engine.
            method: of the request.
            target: of the request.
            headers: with the length of the body.
            body: its bytes.
            limit: the longest silence.
        """
        connection, full_target = self._connected(transport, target, limit)
        # An engine that wants no more of it has said why.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(
                method, full_target, body=body, headers=headers, preload_content=False
            )
        return self.status()

    def _connected(
        self, transport: Transport, target: str, limit: timedelta
    ) -> tuple[urllib3.connection.HTTPConnection, str]:
        """Connect; return the connection and the full target."""
        self._transport = transport
        connection, full_target = transport.connection(target, limit)
        self._connection, self._socket = connection, connection.sock
        if self._closed:  # in the meantime
            connection.close()
            raise ConnectionAbortedError
        return connection, full_target

    def status(self) -> int:
        """Wait for the beginning of the answer, and return its status."""
        assert self._connection is not None  # noqa: S101 - for mypy; it has been sent
        self._response = response = self._connection.getresponse()
        self.lines = _lines(response)
        return int(response.status)

    def header(self, name: str) -> str:
        """Return a header of the answer; empty: it has none of that name."""
        assert self._response is not None  # noqa: S101 - for mypy; the status has come
        return self._response.headers.get(name, "")

    def read(self, most: int) -> bytes:
        """Return the next bytes of the answer; fewer at its end alone."""
        assert self._response is not None  # noqa: S101 - as above
        return self._response.read(most, decode_content=False)

    def fileno(self) -> int:
        """Return the file descriptor for a selector."""
        assert self._socket is not None  # noqa: S101 - as above
        return self._socket.fileno()

    def wait_for_ever(self) -> None:
        """Allow any silence from now on.

        A connection by TCP is probed now and then, so that a dead peer ends the answer.
        """
        assert self._socket is not None  # noqa: S101 - as above
        self._socket.settimeout(None)
        keep_alive(self._socket)

    def hang_up(self) -> None:
        """End the answer, also while another thread reads. Does not block."""
        self._closed = True
        if self._socket is not None:
            with suppress(OSError):  # it has ended by itself
                self._socket.shutdown(socket.SHUT_RDWR)

    def keep(self) -> None:
        """Leave the connection to the next one if it may, once the answer has ended.

        Of an answer that goes on, nothing more is read, and `close` hangs up.
        """
        assert self._response is not None  # noqa: S101 - as above
        connection, transport = self._connection, self._transport
        if transport is None or connection is None or not isinstance(connection.sock, SshSocket):
            return
        try:
            with connection.sock.until(time.monotonic() + _LAST_BYTES):
                rest = self._response.read(_LAST_BLANKS + 1, decode_content=False)
                if len(rest) > _LAST_BLANKS or rest.strip():
                    return
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
            return
        self._connection = self._socket = None
        transport.keep(connection)

    def close(self) -> None:
        """Hang up, and close the connection: the engine then stops its work."""
        self.hang_up()
        if self._response is not None:
            self._response.close()
        if self._connection is not None:
            self._connection.close()


class JsonStream:
    """The JSON objects of an answer. Close it when done."""

    def __init__(self, stream: Stream, run: RunBlocking, omissions: Omissions) -> None:
        self._stream = stream
        self._run = run
        self._omissions = omissions

    async def next(self) -> Value | None:
        """Return the next object, or None at the end."""

        def read() -> Value | None:
            line = next(self._stream.lines, None)
            return None if line is None else self._parsed(line)

        return await self._run(read)

    def close(self) -> None:
        """Hang up, also while a thread is reading."""
        self._stream.close()

    def _parsed(self, line: bytes) -> Value:
        def parse() -> Value:
            return Value(parse_json(line), self._omissions, path="progress")

        return self._omissions.attempt("", "progress", parse, NOTHING)


def keep_alive(connection: socket.socket) -> None:
    """Have a connection by TCP probed now and then, so that a dead peer ends it."""
    if connection.family in _TCP:
        for level, option, value in _KEEPALIVE:
            connection.setsockopt(level, option, value)


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    begun = bytearray()
    for chunk in response.stream(decode_content=False):
        first, *lines = chunk.split(b"\n")
        begun += first
        if len(begun) > _LONGEST_LINE:
            raise http.client.HTTPException("a line of an answer has no end")
        for line in lines:
            if begun.strip():
                yield bytes(begun).strip()
            begun = bytearray(line)
    if begun.strip():
        yield bytes(begun)

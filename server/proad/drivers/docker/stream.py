"""An answer of the Engine API that goes on for a while, on a connection of its own."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import docker
import requests
import urllib3
from requests.adapters import HTTPAdapter

Json = Any
T = TypeVar("T")


class Threads(Protocol):
    """Runs a blocking call without blocking the event loop."""

    async def __call__(self, call: Callable[[], T]) -> T:
        """Give the result of `call`."""


class Stream:
    """An answer, line by line. All of it blocks, but for `hang_up`.

    It has its connection in hand from the beginning, so that hanging up works at any
    moment, also while a thread waits for the first byte: closing what requests gives
    would not reach a request without an answer.
    """

    def __init__(self) -> None:
        self._connection: urllib3.connection.HTTPConnection | None = None
        self._response: urllib3.BaseHTTPResponse | None = None
        self._closed = False
        self.lines: Iterator[bytes] = iter(())

    def open(
        self, client: docker.APIClient, request: requests.PreparedRequest, timeout: timedelta
    ) -> int:
        """Send the request and give the status. Nothing may come for `timeout`, here and later."""
        adapter = client.get_adapter(request.url or "")
        assert isinstance(adapter, HTTPAdapter)  # noqa: S101 - for mypy; docker-py has no other
        verify, cert = client.verify, client.cert
        pool: Any = adapter.get_connection_with_tls_context(request, verify, cert=cert)
        # What the pool itself does for each request; it has no public way to keep one.
        connection: urllib3.connection.HTTPConnection = pool._new_conn()  # noqa: SLF001 - as said
        self._connection = connection
        connection.timeout = timeout.total_seconds()
        connection.connect()
        if self._closed:  # in the meantime
            connection.close()
            raise ConnectionAbortedError
        headers = dict(request.headers)
        method = request.method or ""
        connection.request(method, request.path_url, headers=headers, preload_content=False)
        self._response = response = connection.getresponse()
        self.lines = _lines(response)
        return int(response.status)

    def wait_for_ever(self) -> None:
        """Let the answer be silent from now on for as long as it likes."""
        if self._connection is not None and self._connection.sock is not None:
            self._connection.sock.settimeout(None)

    def hang_up(self) -> None:
        """End the answer, also while another thread is reading. Does not block."""
        self._closed = True
        if self._connection is not None and self._connection.sock is not None:
            with suppress(OSError):  # it has ended by itself
                self._connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up and let go of the connection: the engine then stops what it does."""
        self.hang_up()
        if self._response is not None:
            self._response.close()
        if self._connection is not None:
            self._connection.close()


class JsonStream:
    """The JSON objects of an answer. Close it when done."""

    def __init__(self, stream: Stream, run: Threads) -> None:
        self._stream = stream
        self._run = run

    async def next(self) -> Json | None:
        """Give the next object, or None at the end."""

        def read() -> bytes | None:
            return next(self._stream.lines, None)

        line = await self._run(read)
        return None if line is None else json.loads(line)

    def close(self) -> None:
        """Hang up, also while a thread is reading."""
        self._stream.close()


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    begun = b""
    for chunk in response.stream():
        *lines, begun = (begun + chunk).split(b"\n")
        yield from filter(None, (line.strip() for line in lines))
    if begun.strip():
        yield begun

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


class JsonStream:
    """The JSON objects of an answer. Close it when done.

    It has its connection in hand from the beginning, so that hanging up works at any
    moment, also while a thread waits for the first byte: closing what requests gives
    would not reach a request without an answer.
    """

    def __init__(self, run: Threads) -> None:
        self._connection: urllib3.connection.HTTPConnection | None = None
        self._response: urllib3.BaseHTTPResponse | None = None
        self._lines: Iterator[bytes] = iter(())
        self._run = run
        self._closed = False

    def open(
        self, client: docker.APIClient, request: requests.PreparedRequest, silence: timedelta
    ) -> int:
        """Send the request and give the status. Blocks."""
        adapter = client.get_adapter(request.url or "")
        assert isinstance(adapter, HTTPAdapter)  # noqa: S101 - for mypy; docker-py has no other
        verify, cert = client.verify, client.cert
        pool: Any = adapter.get_connection_with_tls_context(request, verify, cert=cert)
        # What the pool itself does for each request; it has no public way to keep one.
        connection: urllib3.connection.HTTPConnection = pool._new_conn()  # noqa: SLF001 - as said
        self._connection = connection
        connection.timeout = silence.total_seconds()
        connection.connect()
        if self._closed:  # in the meantime
            connection.close()
            raise ConnectionAbortedError
        headers = dict(request.headers)
        connection.request("POST", request.path_url, headers=headers, preload_content=False)
        self._response = response = connection.getresponse()
        self._lines = _lines(response)
        return int(response.status)

    async def next(self) -> Json | None:
        """Give the next object, or None at the end."""

        def read() -> bytes | None:
            return next(self._lines, None)

        line = await self._run(read)
        return None if line is None else json.loads(line)

    def rest(self) -> bytes:
        """Give all that is left. Blocks."""
        return b"\n".join(self._lines)

    def close(self) -> None:
        """Hang up, also while a thread is reading: the engine then stops what it does."""
        self._closed = True
        if self._connection is None or self._connection.sock is None:
            return
        with suppress(OSError):  # it has ended by itself
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        if self._response is not None:
            self._response.close()
        self._connection.close()


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    begun = b""
    for chunk in response.stream():
        *lines, begun = (begun + chunk).split(b"\n")
        yield from filter(None, (line.strip() for line in lines))
    if begun.strip():
        yield begun

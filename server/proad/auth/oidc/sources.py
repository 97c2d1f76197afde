"""Where the public keys of an issuer come from: a file, or a URL."""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.error import HTTPError
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    UnknownHandler,
)

from proad.auth.timing import AuthTiming

T = TypeVar("T")

MAX_BYTES = 256 * 1024
"""Size of a key set that is read."""

_CHUNK = 16 * 1024


class JwksUnreadableError(Exception):
    """The key set cannot be read, for the reason in the text, which has no secret."""


class JwksSource(Protocol):
    """A source of key sets."""

    async def read(self) -> bytes:
        """Return the key set, as JSON. Raises JwksUnreadableError."""
        ...


class JwksFile:
    """A file with a key set."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> bytes:
        """Return the contents of the file."""
        return self.read_now()

    def read_now(self) -> bytes:
        """Return the contents of the file. Raises JwksUnreadableError."""
        try:
            with self._path.open("rb") as file:
                return _bounded(file.read(MAX_BYTES + 1))
        except OSError as error:
            raise JwksUnreadableError(f"{self._path}: {error.strerror}") from error


class JwksUrl:
    """A URL with a key set, fetched in a thread of its own.

    No redirect is followed, no proxy is asked, and nothing but http and https is spoken.

    Args:
        url: the URL.
        ca_file: authorities of the server's certificate, in PEM; None for those of the host.
        timing: how long a fetch may take.
    """

    def __init__(
        self, url: str, *, ca_file: Path | None = None, timing: AuthTiming = AuthTiming()
    ) -> None:
        self._url = url
        self._ca_file = ca_file
        self._timeout = timing.jwks_timeout.total_seconds()

    async def read(self) -> bytes:
        """Fetch the key set."""
        try:
            # The thread may hang longer, in the resolver of names.
            return await asyncio.wait_for(_in_thread(self._fetch), self._timeout)
        except TimeoutError:
            raise JwksUnreadableError(f"{self._url}: no answer in {self._timeout:g} s") from None

    def _fetch(self) -> bytes:
        deadline = time.monotonic() + self._timeout
        opener = OpenerDirector()
        for handler in (
            HTTPHandler(),
            HTTPSHandler(context=ssl.create_default_context(cafile=self._ca_file)),
            HTTPErrorProcessor(),
            HTTPDefaultErrorHandler(),
            UnknownHandler(),
        ):
            opener.add_handler(handler)
        try:
            with opener.open(self._url, timeout=self._timeout) as response:
                return _bounded(_read(response, deadline))
        except HTTPError as error:
            error.close()
            raise JwksUnreadableError(f"{self._url}: {error}") from None
        except (OSError, ValueError, HTTPException) as error:
            raise JwksUnreadableError(f"{self._url}: {error}") from error


def _read(response: Any, deadline: float) -> bytes:
    """Read a response to its end, or beyond the limit, before the deadline."""
    data = bytearray()
    while len(data) <= MAX_BYTES and (chunk := response.read1(_CHUNK)):
        if time.monotonic() > deadline:
            raise TimeoutError("the answer takes too long")
        data += chunk
    return bytes(data)


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise JwksUnreadableError(f"the key set has more than {MAX_BYTES} bytes")
    return data


def _in_thread(call: Callable[[], T]) -> "asyncio.Future[T]":
    """Run a call in a daemon thread: unlike a pool's, it does not keep the process from exiting."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(set_outcome: Callable[[Any], None], outcome: Any) -> None:
        if not future.done():
            set_outcome(outcome)

    def run() -> None:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - passed on
            outcome: tuple[Any, Any] = (future.set_exception, error)
        else:
            outcome = (future.set_result, result)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, name="jwks", daemon=True).start()
    return future

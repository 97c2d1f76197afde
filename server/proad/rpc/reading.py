"""Request messages: read from the wire, held against their limits, decoded."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from proad.errors import InvalidArgumentError

# Seconds that a caller may take to send a message, once they have been let in.
_PATIENCE = 10.0

_Context = grpc.aio.ServicerContext[Any, Any]


class RequestReader:
    """Reads the messages of one method's calls.

    A message is looked at in the order of what a look costs: its size, then its form.

    Args:
        max_bytes: how large a message may be.
        decode: makes a message of bytes.
    """

    def __init__(self, max_bytes: int, decode: Callable[[bytes], Any]) -> None:
        self._max_bytes = max_bytes
        self._decode = decode

    async def read(self, context: _Context) -> Any:
        """Give the one message of a call.

        Raises:
            InvalidArgumentError: it did not come in time, is too large, or is no message
                of this method.
        """
        try:
            async with asyncio.timeout(_PATIENCE) as limit:
                message = await context.read()
        except TimeoutError:
            if not limit.expired():
                raise
            raise InvalidArgumentError.of(
                "", f"no whole request message came within {_PATIENCE:.0f} seconds"
            ) from None
        if message is grpc.aio.EOF:
            raise InvalidArgumentError.of("", "the call has no request message")
        return self._message(message)

    async def each(self, context: _Context) -> AsyncIterator[Any]:
        """Give the messages of a stream, for as long as the caller sends some.

        Raises:
            InvalidArgumentError: one is too large, or is no message of this method.
        """
        while (message := await context.read()) is not grpc.aio.EOF:
            yield self._message(message)

    def _message(self, data: bytes) -> Any:
        if len(data) > self._max_bytes:
            raise InvalidArgumentError.of(
                "",
                f"the request has {len(data)} bytes; "
                f"this method takes {self._max_bytes} at the most",
            )
        try:
            return self._decode(data)
        except DecodeError:
            raise InvalidArgumentError.of(
                "", "the request is not a message of this method"
            ) from None

"""Request messages: read from the wire, held against their limits, decoded."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from proad.errors import InvalidArgumentError
from proad.rpc.limits import FieldLimits
from proad.rpc.read_limiter import ReadLimiter

_Context = grpc.aio.ServicerContext[Any, Any]


class RequestReader:
    """Reads the messages of one method's calls.

    A message is looked at in the order of what a look costs: its size, its form, and then
    the limits of its fields, for which it has to be decoded.

    Args:
        cls: what a message is.
        max_bytes: how large it may be.
        alone: whether the one message of a call is held to be the only one. gRPC servers
            ignore others; to look for them is to wait for the end of the caller's side.
        timeout: seconds that an admitted caller may take to send the message.
        limiter: how many are read at a time.
        sender: tells who makes a call, among those who share its slots.
    """

    def __init__(
        self,
        cls: type[Message],
        max_bytes: int,
        *,
        alone: bool,
        timeout: float,
        limiter: ReadLimiter,
        sender: Callable[[_Context], str],
    ) -> None:
        self._limiter = limiter
        self._sender = sender
        self._alone = alone
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._decode = cls.FromString
        self._limits = FieldLimits(cls.DESCRIPTOR)

    async def read(self, context: _Context) -> Any:
        """Give the one message of a call.

        Raises:
            InvalidArgumentError: it did not come in time, is too large, is no message of this
                method, or exceeds a limit of a field.
            TooManyCallsError: too many are to be read.
        """
        try:
            async with self._limiter.one(self._sender(context), self._timeout):
                message = await context.read()
                another = grpc.aio.EOF
                if self._alone and message is not grpc.aio.EOF:
                    another = await context.read()
        except TimeoutError:
            raise InvalidArgumentError.of(
                "",
                f"no whole request message came within {self._timeout:.0f} seconds, "
                "or for as long as others waited",
            ) from None
        if message is grpc.aio.EOF:
            raise InvalidArgumentError.of("", "the call has no request message")
        if another is not grpc.aio.EOF:
            raise InvalidArgumentError.of("", "the call has more than one request message")
        return self._message(message)

    async def each(self, context: _Context) -> AsyncIterator[Any]:
        """Give the messages of a stream, for as long as the caller sends some.

        One that keeps others waiting ends well, as one whose time is over.

        Raises:
            InvalidArgumentError: one is too large, is no message of this method, or
                exceeds a limit of a field.
            TooManyCallsError: too many are to be read.
        """
        while True:
            try:
                async with self._limiter.one(self._sender(context)):
                    message = await context.read()
            except TimeoutError:
                return
            if message is grpc.aio.EOF:
                return
            yield self._message(message)

    def _message(self, data: bytes) -> Any:
        if len(data) > self._max_bytes:
            raise InvalidArgumentError.of(
                "",
                f"the request has {len(data)} bytes; "
                f"this method takes {self._max_bytes} at the most",
            )
        try:
            message = self._decode(data)
        except DecodeError:
            raise InvalidArgumentError.of(
                "", "the request is not a message of this method"
            ) from None
        self._limits.check(message)
        return message

"""Request messages: read from the wire, decoded, checked against their limits."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from proad.errors import InvalidArgumentError
from proad.rpc.limits import FieldLimits
from proad.rpc.read_limiter import ReadLimiter

_Context = grpc.aio.ServicerContext[Any, Any]


class RequestReader:
    """Reads the request messages of one method's calls, and checks them.

    The checks go from cheap to expensive: size, form, and then the limits of the fields, for
    which a message must be decoded.

    Args:
        cls: the message type.
        max_bytes: the largest message that the method takes.
        alone: whether a second message of a call is an error. gRPC servers ignore others: to
            know, the reader waits until the caller has ended the stream.
        timeout: seconds that an authorized caller may take to send the message.
        limiter: limits how many messages are read at a time.
        sender: returns the caller of a call, as the limiter knows callers.
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
        """Return the one message of a call, or the first one of a stream of requests.

        Raises:
            InvalidArgumentError: the message did not come in time, is too large, is not of the
                method's type, or exceeds a limit of a field.
            TooManyCallsError: too many messages wait to be read.
        """
        try:
            async with self._limiter.slot(self._sender(context), self._timeout):
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

    async def next(self, context: _Context) -> Any:
        """Return the next message of a stream of requests, whenever it comes; None at the end.

        Raises:
            InvalidArgumentError: it is too large, is not of the method's type, or exceeds a limit
                of a field.
        """
        message = await context.read()
        return None if message is grpc.aio.EOF else self._message(message)

    async def each(self, context: _Context) -> AsyncIterator[Any]:
        """Yield the messages of a stream.

        The stream ends without an error if its caller keeps others waiting.

        Raises:
            InvalidArgumentError: a message is too large, is not of the method's type, or
                exceeds a limit of a field.
            TooManyCallsError: too many messages wait to be read.
        """
        while True:
            try:
                async with self._limiter.slot(self._sender(context)):
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

"""Calls with a stream of requests: their messages, the renewal of their token, their answers.

All such calls go this one way, whatever they do: the first message says what is wanted, within the
time of a unary request, and every message after it is taken when the servicer asks for it, so that
a caller who sends faster than anybody reads is held up by gRPC's flow control.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import Message

from proad.errors import InvalidArgumentError
from proad.rpc.responses import write

_Context = grpc.aio.ServicerContext[Any, Any]
Read = Callable[[], Awaitable[Any]]
"""Returns the next message of a stream; None at its end."""
Renew = Callable[[str], Awaitable[None]]
"""Lets a stream go on with another token."""

_RENEWAL = "renew"


class RequestStream:
    """The messages of one call, both ways.

    Args:
        first: the first message.
        read: reads the next ones.
        renew: takes another token.
        pace: counts a message that carries no data among the calls of the user.
        context: the call.

    Attributes:
        received: bytes of the messages that came.
        sent: bytes of the messages that were sent.
    """

    def __init__(
        self,
        first: Message,
        read: Read,
        renew: Renew,
        context: _Context,
        pace: Callable[[], None],
    ) -> None:
        self._first = first
        self._read = read
        self._renew = renew
        self._context = context
        self._pace = pace
        self.received = first.ByteSize()
        self.sent = 0

    def opening(self, name: str) -> Any:
        """Return the message that opens the stream.

        Args:
            name: its field in the request.

        Raises:
            InvalidArgumentError: the first message is another one.
        """
        if self._first.WhichOneof("message") != name:
            raise InvalidArgumentError.of(name, "must be set in the first message")
        return getattr(self._first, name)

    @property
    def target(self) -> Message | None:
        """What the first message has, which tells what the call is about; None: nothing."""
        name = self._first.WhichOneof("message")
        value = getattr(self._first, name) if name else None
        return value if isinstance(value, Message) else None

    async def next(self) -> tuple[str, Any] | None:
        """Return the field of the next message, and its value; None: no more come.

        Renewals of the token are done here, and not returned; nor is data that is empty.

        Raises:
            InvalidArgumentError: the message is wrong.
            UserLimitError: the user sends too many in this time.
            ProaError: the token of a renewal is not valid for this call.
        """
        while (message := await self._read()) is not None:
            self.received += message.ByteSize()
            name = message.WhichOneof("message")
            if name is None:
                raise InvalidArgumentError.of("message", "is not set, or is not known here")
            value = getattr(message, name)
            if value and isinstance(value, bytes):
                return name, value  # data is paced by who reads it
            self._pace()
            if name == _RENEWAL:
                await self._renew(value.token)
            elif value != b"":  # empty data is nothing, of which an engine might make an end
                return name, value
        return None

    async def send(self, message: Message) -> None:
        """Send a message; wait while the caller does not read."""
        data = message.SerializeToString()
        self.sent += len(data)
        await write(self._context, data)

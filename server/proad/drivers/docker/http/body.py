"""Long answers of the Engine API on the event loop, which cost no thread."""

import socket
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.api import Answer
from proad.drivers.docker.http.transport import Transport
from proad.drivers.docker.http.upgraded import (
    ByteStream,
    answer_of,
    handed_over,
    own_connection,
)
from proad.errors import EngineUnreachableError

# Characters of the line that begins a chunk: its size, perhaps with extensions.
_LONGEST_LINE = 256


@dataclass(frozen=True, slots=True)
class BegunBody:
    """The body of an answer, on its way.

    Attributes:
        socket: the connection.
        begun: what had come of it already.
        chunked: whether it comes in chunks; otherwise the end of the connection is its end.
    """

    socket: socket.socket
    begun: bytes
    chunked: bool


def open_body(transport: Transport, target: str, limit: timedelta) -> Answer | BegunBody:
    """Send a GET request with a long answer, whose connection is handed over. Blocks.

    Return the Answer of a failure. `limit` is the longest silence until then.
    """
    with own_connection(transport, target, limit, "streams of logs") as (own, path):
        carrier = own.sock  # which is not the connection's any more once it has answered
        own.request("GET", path, headers={"Connection": "close"})
        answer = answer_of(own)
        if answer.status != HTTPStatus.OK:
            return Answer(answer.status, answer.read())
        if answer.length == 0:
            return Answer(answer.status, b"")  # it is closed already
        return BegunBody(*handed_over(carrier, answer), chunked=bool(answer.chunked))


class Body:
    """The body of an answer on the event loop.

    Args:
        stream: its connection.
        chunked: whether it comes in chunks.
    """

    def __init__(self, stream: ByteStream, *, chunked: bool) -> None:
        self._stream = stream
        self._chunks = Chunks() if chunked else None

    @classmethod
    async def of(cls, begun: BegunBody) -> "Body":
        """Return a body that has begun."""
        return cls(await ByteStream.of(begun.socket, begun.begun), chunked=begun.chunked)

    async def read(self) -> bytes:
        """Return the next bytes, of a piece at most; nothing at the end.

        Raises:
            EngineUnreachableError: the engine went away before the end.
        """
        try:
            while not (self._chunks and self._chunks.over):
                data = await self._stream.read()
                if not self._chunks:
                    return data
                if not data:
                    raise EngineUnreachableError(ENGINE, "an answer has broken off")
                if content := self._chunks.take(data):
                    return content
        except (ConnectionError, ValueError) as error:
            raise EngineUnreachableError(ENGINE, f"an answer has broken off: {error}") from None
        return b""

    def close(self) -> None:
        """Hang up."""
        self._stream.close()


class Chunks:
    """Takes a body apart that comes in chunks, wherever its pieces were cut.

    https://www.rfc-editor.org/rfc/rfc9112#section-7.1: the size in hexadecimal digits on a line,
    so many bytes, the end of a line; after the last chunk one of size 0.

    Attributes:
        over: whether the last chunk has come.
    """

    def __init__(self) -> None:
        self._line = b""
        self._left = 0  # of the present chunk, with the end of the line behind it
        self.over = False

    def take(self, data: bytes) -> bytes:
        """Return what the chunks of a piece have.

        Raises:
            ValueError: it has no chunks.
        """
        data = self._line + data
        content, place, end = [], 0, len(data)
        while place < end and not self.over:
            if left := self._left:
                stop = min(place + left - 2, end)
                if stop > place:
                    content.append(data[place:stop])
                taken = min(left, end - place)
                place += taken
                self._left = left - taken
                continue
            newline = data.find(b"\n", place)
            if newline < 0:
                if end - place > _LONGEST_LINE:
                    raise ValueError("the size of a chunk is missing")
                self._line = data[place:]
                return b"".join(content)
            size = int(data[place:newline].partition(b";")[0], 16)
            if size < 0:
                raise ValueError("the size of a chunk is negative")
            place = newline + 1
            self.over = not size
            self._left = size + 2
        self._line = b""
        return b"".join(content)

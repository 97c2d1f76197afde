"""Long answers of the Engine API on the event loop, which cost no thread."""

import re
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.api import Answer
from proad.drivers.docker.http.byte_stream import ByteStream
from proad.drivers.docker.http.handover import (
    Carrier,
    HandedOver,
    answer_of,
    refusal,
)
from proad.drivers.docker.http.transport import Transport
from proad.errors import EngineUnreachableError

# Of the line that begins a chunk: its size, perhaps with extensions.
_LONGEST_LINE = 256
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r")


@dataclass(frozen=True, slots=True)
class BegunBody:
    """The body of an answer, on its way.

    Attributes:
        connection: with what had come of it already.
        chunked: whether it comes in chunks; otherwise the end of the connection is its end.
    """

    connection: HandedOver
    chunked: bool


def open_body(
    carrier: Carrier, transport: Transport, target: str, limit: timedelta
) -> Answer | BegunBody:
    """Send a GET request with a long answer, whose connection is handed over. Blocks.

    Return the Answer of a failure. `limit` is the longest silence until then.
    """
    with carrier.connection(transport, target, limit) as (own, path):
        own.request("GET", path, headers={"Connection": "close"})
        answer = answer_of(own)
        if answer.status != HTTPStatus.OK:
            return refusal(answer)
        if answer.length == 0:
            return Answer(answer.status, b"")  # it is closed already
        return BegunBody(carrier.handed_over(answer), chunked=bool(answer.chunked))


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
        return cls(await begun.connection.stream(), chunked=begun.chunked)

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
        self._left = 0  # of the present chunk
        self._within = False  # a chunk, of which the end of the line behind it is to come
        self.over = False

    def take(self, data: bytes) -> bytes:
        """Return what the chunks of a piece have.

        Raises:
            ValueError: it has no chunks.
        """
        data, self._line = self._line + data, b""
        content, place, end = [], 0, len(data)
        while place < end and not self.over:
            if self._left:
                stop = min(place + self._left, end)
                content.append(data[place:stop])
                self._left -= stop - place
                place = stop
                continue
            newline = data.find(b"\n", place, place + _LONGEST_LINE)
            if newline < 0:
                if end - place >= _LONGEST_LINE:
                    raise ValueError("the size of a chunk is missing")
                self._line = data[place:]
                break
            line, place = data[place:newline], newline + 1
            if self._within:
                if line != b"\r":
                    raise ValueError("a chunk is longer than its size")
                self._within = False
                continue
            if (size := _SIZE.fullmatch(line)) is None:
                raise ValueError("the size of a chunk is no number")
            self._left = int(size[1], 16)
            self.over = not self._left
            self._within = True
        return b"".join(content)

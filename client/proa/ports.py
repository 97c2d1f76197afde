"""Connections to ports and Unix sockets inside resources, of the synchronous client."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from proa import v1
from proa.commands import cut_short, pieces
from proa.request_stream import RequestStream


class PortConnection(Iterator[bytes]):
    """A connection to a port or a Unix socket inside a resource, which stands while the block runs.

    Iterate over it for what the peer sends, until that ends its side. What nobody reads is not sent:
    the peer waits. `write` and `end_input` may be called from another thread.

    Args:
        forward_port: makes the call.
        start: what to connect to.

    Attributes:
        address: the address and port, or the path, that it leads to, for people.
    """

    def __init__(self, forward_port: Callable[[Any], Any], start: v1.ForwardPortStart) -> None:
        self._forward_port = forward_port
        self._start = start
        self._requests = RequestStream()
        self._call: Any = None
        self._peer_ended = False
        self.address = ""

    def __enter__(self) -> Self:
        self._requests.send(v1.ForwardPortRequest(start=self._start))
        self._call = self._forward_port(self._requests)
        try:
            first: v1.ForwardPortResponse | None = next(self._call, None)
        except BaseException:
            self.close()
            raise
        if first is None or not first.HasField("connected"):
            self.close()
            raise cut_short("the connection")
        self.address = first.connected.address
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None and self._peer_ended:
            self._requests.end()
            next(self._call, None)  # what is cancelled now would count as cut short
        self.close()

    def __next__(self) -> bytes:
        if self._peer_ended:
            raise StopIteration
        response: v1.ForwardPortResponse | None = next(self._call, None)
        if response is None:
            raise cut_short("the connection")
        if response.HasField("end_output"):
            self._peer_ended = True
            raise StopIteration
        return response.data

    def read(self) -> bytes:
        """Return what the peer sends next; nothing once it has ended its side.

        Raises:
            proa.Error: the connection broke, or the call was ended.
        """
        return next(self, b"")

    def write(self, data: bytes) -> None:
        """Send to the peer; wait while it does not read.

        Who writes much must read in another thread.

        Raises:
            BrokenPipeError: the connection has ended.
        """
        for piece in pieces(data):
            self._requests.send(v1.ForwardPortRequest(data=piece))

    def end_input(self) -> None:
        """End the own side; go on reading.

        Raises:
            BrokenPipeError: the connection has ended.
        """
        self._requests.send(v1.ForwardPortRequest(end_input=v1.EndOfInput()))
        self._requests.end()

    def close(self) -> None:
        """End the connection."""
        self._requests.close()
        if self._call is not None:
            self._call.cancel()

"""What is under way inside a resource, with streams both ways, of the synchronous client."""

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, ClassVar, Self

from google.protobuf.message import Message

from proa import v1
from proa.commands import (
    Input,
    Output,
    chunks,
    cut_short,
    pieces,
    signal_name,
    terminal_size,
)
from proa.request_stream import RequestStream


class InsideStream(Iterator[Output]):
    """A command, or a console that somebody is attached to, which lasts as long as the block.

    Args:
        call: makes the call.
        start: what the first request has.
        source: where its input comes from; None: from `write`, where it takes any.

    Attributes:
        can_signal: whether `signal` works.
    """

    request: ClassVar[Any]

    def __init__(self, call: Callable[[Any], Any], start: Message, source: Input | None) -> None:
        self._make = call
        self._start = start
        self._source = source
        self._requests = RequestStream()
        self._call: Any = None
        self._is_detached = False
        self.can_signal = False

    def __enter__(self) -> Self:
        self._requests.send(self.request(start=self._start))
        self._call = self._make(self._requests)
        try:
            first = next(self._call, None)
        except BaseException:
            self.close()
            raise
        if first is None or not first.HasField("started"):
            self.close()
            raise cut_short()
        self._begun(first.started)
        if not (self._source is None or isinstance(self._source, bool)):
            threading.Thread(target=self._feed, name="proa-stdin", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def _begun(self, started: Any) -> None:
        """Note what the first response tells."""

    @abstractmethod
    def _ended(self, response: Any) -> bool:
        """Return whether a response is the last one, and note what it tells."""

    @property
    @abstractmethod
    def _is_over(self) -> bool:
        """Whether nothing more comes."""

    def __next__(self) -> Output:
        if self._is_over:
            raise StopIteration
        response = next(self._call, None)
        if response is None and self._is_detached:
            raise StopIteration
        if response is None:
            raise cut_short()
        if not self._ended(response):
            return Output.of(response)
        self._requests.end()
        next(self._call, None)  # what is cancelled now would count as cut short
        raise StopIteration

    def write(self, data: bytes) -> None:
        """Write to its standard input; wait while it does not read.

        Who writes much must read the output in another thread, or give the bytes as `stdin`.

        Raises:
            BrokenPipeError: it has ended.
        """
        for piece in pieces(data):
            self._requests.send(self.request(stdin=piece))

    def close_stdin(self) -> None:
        """End its standard input.

        Raises:
            BrokenPipeError: it has ended.
        """
        self._requests.send(self.request(end_stdin=v1.EndOfInput()))

    def resize(self, rows: int, columns: int) -> None:
        """Tell it that its terminal has another size.

        Raises:
            BrokenPipeError: it has ended.
        """
        size = terminal_size((rows, columns))
        self._requests.send(self.request(resize=size), urgent=True)

    def signal(self, signal: str | int) -> None:
        """Send a signal to it and the processes of its group, as "SIGTERM" or `signal.SIGTERM`.

        Where `can_signal` is false, the next read raises `Unimplemented` (CAPABILITY_MISSING).

        Raises:
            BrokenPipeError: it has ended.
        """
        self._requests.send(self.request(signal=signal_name(signal)), urgent=True)

    def detach(self) -> None:
        """Leave it running, whatever becomes of the block: no more output comes then.

        What was written before still reaches it.

        Raises:
            BrokenPipeError: it has ended.
        """
        self._is_detached = True
        self._requests.send(self.request(detach={}))

    def communicate(self) -> tuple[bytes, bytes]:
        """Return all that it still writes to its standard output and its standard error."""
        said: dict[bool, list[bytes]] = {False: [], True: []}
        for output in self:
            said[output.is_stderr].append(output.data)
        return b"".join(said[False]), b"".join(said[True])

    def close(self) -> None:
        """End the call."""
        self._requests.close()
        if self._call is not None:
            self._call.cancel()

    def _end_source(self) -> None:
        """Tell that the source of the input has ended."""
        self.close_stdin()

    def _feed(self) -> None:
        """Write what the source of the input gives."""
        assert self._source is not None  # noqa: S101 - for mypy; see __enter__
        assert not isinstance(self._source, bool)  # noqa: S101 - for mypy; see __enter__
        try:
            for chunk in chunks(self._source):
                self.write(chunk)
            self._end_source()
        except BrokenPipeError:
            pass  # it needs no more
        except Exception as error:  # noqa: BLE001 - who reads the output gets it
            self._requests.fail(error)

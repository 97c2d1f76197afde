"""What is under way inside a resource, with streams both ways, of the asyncio client."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Callable
from types import TracebackType
from typing import Any, ClassVar, Self, TypeAlias

from google.protobuf.message import Message

from proa import v1
from proa.aio.request_stream import AsyncRequestStream
from proa.commands import Output, cut_short, pieces, signal_name, terminal_size

AsyncInput: TypeAlias = bool | bytes | AsyncIterable[bytes]
"""Where input comes from; see `proa.aio.Client.exec`."""


class AsyncInsideStream(AsyncIterator[Output]):
    """A command, or a console that somebody is attached to; see `proa.inside_stream.InsideStream`.

    Attributes:
        can_signal: whether `signal` works.
    """

    request: ClassVar[Any]

    def __init__(
        self, call: Callable[[Any], Any], start: Message, source: AsyncInput | None
    ) -> None:
        self._make = call
        self._start = start
        self._source = source
        self._requests = AsyncRequestStream()
        self._responses: AsyncIterator[Any] | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._is_detached = False
        self.can_signal = False

    async def __aenter__(self) -> Self:
        await self._requests.send(self.request(start=self._start))
        self._responses = aiter(self._make(self._requests))
        try:
            first = await anext(self._responses, None)
        except BaseException:
            self.close()
            raise
        if first is None or not first.HasField("started"):
            self.close()
            raise cut_short()
        self._begun(first.started)
        if not (self._source is None or isinstance(self._source, bool)):
            self._feeding = asyncio.create_task(self._feed(self._source))
        return self

    async def __aexit__(
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

    async def __anext__(self) -> Output:
        if self._responses is None:
            raise RuntimeError("it lasts as long as its block")
        if self._is_over:
            raise StopAsyncIteration
        response = await anext(self._responses, None)
        if response is None and self._is_detached:
            raise StopAsyncIteration
        if response is None:
            raise cut_short()
        if not self._ended(response):
            return Output.of(response)
        self._requests.end()
        await anext(self._responses, None)  # what is cancelled now would count as cut short
        raise StopAsyncIteration

    async def write(self, data: bytes) -> None:
        """Write to its standard input; wait while it does not read.

        Who writes much must read the output in another task, or give the bytes as `stdin`.

        Raises:
            BrokenPipeError: it has ended.
        """
        for piece in pieces(data):
            await self._requests.send(self.request(stdin=piece))

    async def close_stdin(self) -> None:
        """End its standard input.

        Raises:
            BrokenPipeError: it has ended.
        """
        await self._requests.send(self.request(end_stdin=v1.EndOfInput()))

    async def resize(self, rows: int, columns: int) -> None:
        """Tell it that its terminal has another size.

        Raises:
            BrokenPipeError: it has ended.
        """
        size = terminal_size((rows, columns))
        await self._requests.send(self.request(resize=size), urgent=True)

    async def signal(self, signal: str | int) -> None:
        """Send a signal to it and the processes of its group, as "SIGTERM" or `signal.SIGTERM`.

        Where `can_signal` is false, the next read raises `Unimplemented` (CAPABILITY_MISSING).

        Raises:
            BrokenPipeError: it has ended.
        """
        await self._requests.send(self.request(signal=signal_name(signal)), urgent=True)

    async def detach(self) -> None:
        """Leave it running, whatever becomes of the block: no more output comes then.

        What was written before still reaches it.

        Raises:
            BrokenPipeError: it has ended.
        """
        self._is_detached = True
        await self._requests.send(self.request(detach={}))

    async def communicate(self) -> tuple[bytes, bytes]:
        """Return all that it still writes to its standard output and its standard error."""
        said: dict[bool, list[bytes]] = {False: [], True: []}
        async for output in self:
            said[output.is_stderr].append(output.data)
        return b"".join(said[False]), b"".join(said[True])

    def close(self) -> None:
        """End the call."""
        if self._feeding is not None:
            self._feeding.cancel()
        self._requests.cancel()

    async def _end_source(self) -> None:
        """Tell that the source of the input has ended."""
        await self.close_stdin()

    async def _feed(self, source: bytes | AsyncIterable[bytes]) -> None:
        """Write what the source of the input gives."""
        try:
            if isinstance(source, bytes | bytearray | memoryview):
                await self.write(source)
            else:
                async for chunk in source:
                    await self.write(chunk)
            await self._end_source()
        except BrokenPipeError:
            pass  # it needs no more
        except Exception as error:  # noqa: BLE001 - who reads the output gets it
            self._requests.fail(error)

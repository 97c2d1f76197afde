"""Commands under way, of the asyncio client."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self, TypeAlias

from proa import v1
from proa.aio.request_stream import AsyncRequestStream
from proa.commands import Exit, Output, cut_short, pieces, signal_name, terminal_size

AsyncInput: TypeAlias = bool | bytes | AsyncIterable[bytes]
"""Where a command has its standard input from; see `proa.aio.Client.exec`."""


class AsyncProcess(AsyncIterator[Output]):
    """A command inside a resource, which runs while the block does; see `proa.process.Process`.

    Attributes:
        pid: its process id, as the engine's host or the guest has it; 0: not known.
        can_signal: whether `signal` works, and leaving the block kills the command.
        exit: how it ended; None: it has not, as far as its output was read.
    """

    def __init__(self, exec: Callable[[Any], Any], start: v1.ExecStart, source: AsyncInput) -> None:
        self._exec = exec
        self._start = start
        self._source = source
        self._requests = AsyncRequestStream()
        self._responses: AsyncIterator[v1.ExecResponse] | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._is_detached = start.detach
        self.pid = 0
        self.can_signal = False
        self.exit: Exit | None = None

    async def __aenter__(self) -> Self:
        await self._requests.send(v1.ExecRequest(start=self._start))
        self._responses = aiter(self._exec(self._requests))
        try:
            first = await anext(self._responses, None)
        except BaseException:
            self.close()
            raise
        if first is None or not first.HasField("started"):
            self.close()
            raise cut_short()
        self.pid, self.can_signal = first.started.pid, first.started.can_signal
        if not isinstance(self._source, bool):
            self._feeding = asyncio.create_task(self._feed(self._source))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __anext__(self) -> Output:
        if self._responses is None:
            raise RuntimeError("a command runs within its block")
        if self.exit is not None or self._start.detach:
            raise StopAsyncIteration
        response = await anext(self._responses, None)
        if response is None and self._is_detached:
            raise StopAsyncIteration
        if response is None:
            raise cut_short()
        if not response.HasField("exit"):
            return Output.of(response)
        self.exit = Exit.of(response.exit)
        self._requests.end()
        await anext(self._responses, None)  # what is cancelled now would count as cut short
        raise StopAsyncIteration

    async def write(self, data: bytes) -> None:
        """Write to its standard input; wait while it does not read.

        Who writes much must read the output in another task, or give the bytes as `stdin`.

        Raises:
            BrokenPipeError: the command has ended.
        """
        for piece in pieces(data):
            await self._requests.send(v1.ExecRequest(stdin=piece))

    async def close_stdin(self) -> None:
        """End its standard input.

        Raises:
            BrokenPipeError: the command has ended.
        """
        await self._requests.send(v1.ExecRequest(end_stdin=v1.EndOfInput()))

    async def resize(self, rows: int, columns: int) -> None:
        """Tell it that its terminal has another size.

        Raises:
            BrokenPipeError: the command has ended.
        """
        size = terminal_size((rows, columns))
        await self._requests.send(v1.ExecRequest(resize=size), urgent=True)

    async def signal(self, signal: str | int) -> None:
        """Send a signal to it and the processes of its group, as "SIGTERM" or `signal.SIGTERM`.

        Where `can_signal` is false, the next read raises `Unimplemented` (CAPABILITY_MISSING).

        Raises:
            BrokenPipeError: the command has ended.
        """
        await self._requests.send(v1.ExecRequest(signal=signal_name(signal)), urgent=True)

    async def detach(self) -> None:
        """Leave it running, whatever becomes of the block: no more output comes then.

        What was written before still reaches it.

        Raises:
            BrokenPipeError: the command has ended.
        """
        self._is_detached = True
        await self._requests.send(v1.ExecRequest(detach=v1.ExecDetach()))

    async def communicate(self) -> tuple[bytes, bytes]:
        """Return all that it still writes to its standard output and its standard error."""
        said: dict[bool, list[bytes]] = {False: [], True: []}
        async for output in self:
            said[output.is_stderr].append(output.data)
        return b"".join(said[False]), b"".join(said[True])

    async def wait(self) -> Exit:
        """Wait for its end, and return how it ended; drop output that nobody has read.

        Raises:
            ValueError: it is detached.
        """
        async for _output in self:
            pass
        if self.exit is None:
            raise ValueError("how a detached command ends is not known")
        return self.exit

    def close(self) -> None:
        """End the call: a command that runs is killed, where `can_signal`."""
        if self._feeding is not None:
            self._feeding.cancel()
        self._requests.cancel()

    async def _feed(self, source: bytes | AsyncIterable[bytes]) -> None:
        """Write what the source of its standard input gives."""
        try:
            if isinstance(source, bytes | bytearray | memoryview):
                await self.write(source)
            else:
                async for chunk in source:
                    await self.write(chunk)
            await self.close_stdin()
        except BrokenPipeError:
            pass  # it needs no more
        except Exception as error:  # noqa: BLE001 - who reads the output gets it
            self._requests.fail(error)

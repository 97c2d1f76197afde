"""Commands under way, of the synchronous client."""

import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from proa import v1
from proa.commands import (
    Exit,
    Input,
    Output,
    chunks,
    cut_short,
    pieces,
    signal_name,
    terminal_size,
)
from proa.request_stream import RequestStream


class Process(Iterator[Output]):
    """A command inside a resource, which runs while the block does.

    Iterate over it for its output. What nobody reads is not sent: the command waits then, as it
    would for a full pipe. `write`, `resize` and `signal` may be called from any thread.

    Args:
        exec: makes the call.
        start: the beginning of the command.
        source: where its standard input comes from; see `Client.exec`.

    Attributes:
        pid: its process id, as the engine's host or the guest has it; 0: not known.
        can_signal: whether `signal` works, and leaving the block kills the command.
        exit: how it ended; None: it has not, as far as its output was read.
    """

    def __init__(self, exec: Callable[[Any], Any], start: v1.ExecStart, source: Input) -> None:
        self._exec = exec
        self._start = start
        self._source = source
        self._requests = RequestStream()
        self._call: Any = None
        self._is_detached = start.detach
        self.pid = 0
        self.can_signal = False
        self.exit: Exit | None = None

    def __enter__(self) -> Self:
        self._requests.send(v1.ExecRequest(start=self._start))
        self._call = self._exec(self._requests)
        try:
            first: v1.ExecResponse | None = next(self._call, None)
        except BaseException:
            self.close()
            raise
        if first is None or not first.HasField("started"):
            self.close()
            raise cut_short()
        self.pid, self.can_signal = first.started.pid, first.started.can_signal
        if not isinstance(self._source, bool):
            threading.Thread(target=self._feed, name="proa-stdin", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __next__(self) -> Output:
        if self.exit is not None or self._start.detach:
            raise StopIteration
        response: v1.ExecResponse | None = next(self._call, None)
        if response is None and self._is_detached:
            raise StopIteration
        if response is None:
            raise cut_short()
        if not response.HasField("exit"):
            return Output.of(response)
        self.exit = Exit.of(response.exit)
        self._requests.end()
        next(self._call, None)  # what is cancelled now would count as cut short
        raise StopIteration

    def write(self, data: bytes) -> None:
        """Write to its standard input; wait while it does not read.

        Who writes much must read the output in another thread, or give the bytes as `stdin`.

        Raises:
            BrokenPipeError: the command has ended.
        """
        for piece in pieces(data):
            self._requests.send(v1.ExecRequest(stdin=piece))

    def close_stdin(self) -> None:
        """End its standard input.

        Raises:
            BrokenPipeError: the command has ended.
        """
        self._requests.send(v1.ExecRequest(end_stdin=v1.EndOfInput()))

    def resize(self, rows: int, columns: int) -> None:
        """Tell it that its terminal has another size.

        Raises:
            BrokenPipeError: the command has ended.
        """
        size = terminal_size((rows, columns))
        self._requests.send(v1.ExecRequest(resize=size), urgent=True)

    def signal(self, signal: str | int) -> None:
        """Send a signal to it and the processes of its group, as "SIGTERM" or `signal.SIGTERM`.

        Where `can_signal` is false, the next read raises `Unimplemented` (CAPABILITY_MISSING).

        Raises:
            BrokenPipeError: the command has ended.
        """
        self._requests.send(v1.ExecRequest(signal=signal_name(signal)), urgent=True)

    def detach(self) -> None:
        """Leave it running, whatever becomes of the block: no more output comes then.

        What was written before still reaches it.

        Raises:
            BrokenPipeError: the command has ended.
        """
        self._is_detached = True
        self._requests.send(v1.ExecRequest(detach=v1.ExecDetach()))

    def communicate(self) -> tuple[bytes, bytes]:
        """Return all that it still writes to its standard output and its standard error."""
        said: dict[bool, list[bytes]] = {False: [], True: []}
        for output in self:
            said[output.is_stderr].append(output.data)
        return b"".join(said[False]), b"".join(said[True])

    def wait(self) -> Exit:
        """Wait for its end, and return how it ended; drop output that nobody has read.

        Raises:
            ValueError: it is detached.
        """
        for _output in self:
            pass
        if self.exit is None:
            raise ValueError("how a detached command ends is not known")
        return self.exit

    def close(self) -> None:
        """End the call: a command that runs is killed, where `can_signal`."""
        self._requests.close()
        if self._call is not None:
            self._call.cancel()

    def _feed(self) -> None:
        """Write what the source of its standard input gives."""
        assert not isinstance(self._source, bool)  # noqa: S101 - for mypy; see __enter__
        try:
            for chunk in chunks(self._source):
                self.write(chunk)
            self.close_stdin()
        except BrokenPipeError:
            pass  # it needs no more
        except Exception as error:  # noqa: BLE001 - who reads the output gets it
            self._requests.fail(error)

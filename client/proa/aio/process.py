"""Commands under way, of the asyncio client."""

from collections.abc import Callable
from typing import Any

from proa import v1
from proa.aio.inside_stream import AsyncInput, AsyncInsideStream
from proa.commands import Exit


class AsyncProcess(AsyncInsideStream):
    """A command inside a resource, which runs while the block does; see `proa.process.Process`.

    Attributes:
        pid: its process id, as the engine's host or the guest has it; 0: not known.
        can_signal: whether `signal` works, and leaving the block kills the command.
        exit: how it ended; None: it has not, as far as its output was read.
    """

    request = v1.ExecRequest

    def __init__(self, exec: Callable[[Any], Any], start: v1.ExecStart, source: AsyncInput) -> None:
        super().__init__(exec, v1.ExecRequest(start=start), source)
        self._start = start
        self._is_detached = start.detach
        self.pid = 0
        self.exit: Exit | None = None

    async def detach(self) -> None:
        """Leave it running, whatever becomes of the block: no more output comes then.

        What was written before still reaches it.

        Raises:
            BrokenPipeError: it has ended.
        """
        self._is_detached = True
        await self._requests.send(v1.ExecRequest(detach=v1.ExecDetach()))

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
        super().close()

    def _begun(self, started: v1.ExecStarted) -> None:
        self.pid, self.can_signal = started.pid, started.can_signal

    def _ended(self, response: v1.ExecResponse) -> bool:
        if response.HasField("exit"):
            self.exit = Exit.of(response.exit)
        return self.exit is not None

    @property
    def _is_over(self) -> bool:
        return self.exit is not None or self._start.detach

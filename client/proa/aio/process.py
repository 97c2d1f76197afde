"""Commands under way, of the asyncio client."""

from collections.abc import Callable
from typing import Any

from proa import v1
from proa.aio.inside_stream import AsyncInput, AsyncInsideStream
from proa.commands import Exit
from proa.inside_state import ProcessState


class AsyncProcess(ProcessState, AsyncInsideStream):
    """A command inside a resource, which runs while the block does; see `proa.process.Process`.

    For its attributes see `proa.inside_state.ProcessState`.
    """

    def __init__(self, exec: Callable[[Any], Any], start: v1.ExecStart, source: AsyncInput) -> None:
        super().__init__(exec, start, source)
        self._is_detached = start.detach

    async def wait(self) -> Exit:
        """Wait for its end, and return how it ended; drop output that nobody has read.

        Raises:
            ValueError: it is detached.
        """
        async for _output in self:
            pass
        return self._known_exit()

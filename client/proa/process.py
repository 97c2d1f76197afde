"""Commands under way, of the synchronous client."""

from collections.abc import Callable
from typing import Any

from proa import v1
from proa.commands import Exit, Input
from proa.inside_state import ProcessState
from proa.inside_stream import InsideStream


class Process(ProcessState, InsideStream):
    """A command inside a resource, which runs while the block does.

    Iterate over it for its output. What nobody reads is not sent: the command waits then, as it
    would for a full pipe. `write`, `resize` and `signal` may be called from any thread.

    Args:
        exec: makes the call.
        start: the beginning of the command.
        source: where its standard input comes from; see `Client.exec`.

    For its attributes see `proa.inside_state.ProcessState`.
    """

    def __init__(self, exec: Callable[[Any], Any], start: v1.ExecStart, source: Input) -> None:
        super().__init__(exec, start, source)
        self._is_detached = start.detach

    def wait(self) -> Exit:
        """Wait for its end, and return how it ended; drop output that nobody has read.

        Raises:
            ValueError: it is detached.
        """
        for _output in self:
            pass
        return self._known_exit()

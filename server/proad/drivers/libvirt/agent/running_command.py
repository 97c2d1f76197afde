"""A command inside a domain, while it runs."""

import asyncio
import signal
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from proad.drivers.libvirt.agent.talk import Ended, Talk
from proad.drivers.libvirt.errors import ENGINE
from proad.errors import CapabilityMissingError, EngineConflictError
from proad.model import CommandExit, CommandOutput, TerminalSize, pieces

SendSignal = Callable[[int], Awaitable[None]]


class DomainCommand:
    """A command inside a domain; see `ports.RunningCommand` and `poller.Followed`.

    By itself, one that is left alone.

    Attributes:
        pid: its process id in the guest; 0: not known yet.
        status: how it ended; None: it has not, as far as is known.
        is_detached: whether it outlives its block.
    """

    def __init__(self) -> None:
        self.pid = 0
        self.status: Ended | None = None
        self.is_detached = False
        self._send_signal: SendSignal | None = None
        self._on_room: Callable[[], None] | None = None
        self._pieces: deque[CommandOutput] = deque()
        self._is_over = False
        self._failure: Exception | None = None
        self._news = asyncio.Event()

    @property
    def can_signal(self) -> bool:
        """Whether `signal` works."""
        return self._send_signal is not None

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and all its output is here or lost."""
        return self._is_over or self._failure is not None

    @property
    def has_failed(self) -> bool:
        """Whether nobody can tell any more how it does."""
        return self._failure is not None

    def follow(
        self, pid: int, send_signal: SendSignal | None, on_room: Callable[[], None] | None = None
    ) -> None:
        """Note that there is a process.

        Args:
            pid: its process id in the guest.
            send_signal: sends a signal to its group; None: there is no way.
            on_room: called when there is room for output again.
        """
        self.pid, self._send_signal, self._on_room = pid, send_signal, on_room

    async def output(self) -> AsyncIterator[CommandOutput]:
        """Yield what it writes."""
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                if not self._pieces and self._on_room is not None:
                    self._on_room()
                yield piece
            if self._failure is not None:
                raise self._failure
            if self._is_over:
                return
            self._news.clear()
            await self._news.wait()

    async def write(self, data: bytes) -> None:
        """Drop the data: the input of a command in a guest is whole before it begins."""

    async def end_input(self) -> None:
        """Change nothing."""

    async def resize(self, size: TerminalSize) -> None:
        """Change nothing: there is no terminal."""

    async def signal(self, number: int) -> None:
        """Send a signal to it and the processes of its group."""
        if self._send_signal is None:
            raise CapabilityMissingError(
                "signals for commands", driver=ENGINE, hint="the guest has no setsid"
            )
        if self.status is None:
            await self._send_signal(number)

    def detach(self) -> None:
        """Leave it running when the block is left."""
        self.is_detached = True

    async def exit(self) -> CommandExit:
        """Return how it ended."""
        while self.status is None:
            if self._failure is not None:
                raise self._failure
            self._news.clear()
            await self._news.wait()
        if self.status.signal is not None:
            return CommandExit(signal=_name(self.status.signal))
        if self.status.code is None:
            raise EngineConflictError(ENGINE, "the guest agent does not tell how the command ended")
        return CommandExit(code=self.status.code)

    def question(self) -> Callable[[Talk], Callable[[], bool]] | None:
        """See `poller.Followed`."""
        return None

    def paused(self) -> None:
        """See `poller.Followed`."""

    def failed(self, error: Exception) -> None:
        """See `poller.Followed`."""
        self._failure = error
        self._news.set()

    def _ended(self, status: Ended) -> None:
        self.status = status
        self._news.set()

    def _take(self, data: bytes, *, is_stderr: bool) -> None:
        for piece in pieces(data):
            self._pieces.append(CommandOutput(piece, is_stderr))
        self._news.set()

    def _over(self) -> None:
        self._is_over = True
        self._news.set()


def _name(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"SIG{number}"

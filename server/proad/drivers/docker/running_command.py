"""A command inside a container, while it runs."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus

from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.frames import Frames
from proad.drivers.docker.http.byte_stream import ByteStream, LostStreamError
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.marked_group import MarkedGroup
from proad.drivers.docker.process_group import ProcessGroup
from proad.drivers.docker.timing import CommandTiming
from proad.drivers.tolerant import INT32, Value
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineTimedOutError,
    EngineUnreachableError,
)
from proad.model import CommandExit, CommandOutput, CommandStreams, TerminalSize

_MOST_OF_A_FAILURE = 4096


class ContainerCommand:
    """A command inside a container; see `ports.RunningCommand`.

    Args:
        engine: the engine.
        container: id of the container.
        path: of the command in the API.
        streams: what it is connected to.
        timing: durations.
        marked: its group, if the daemon may reach it by its mark alone.

    Attributes:
        pid: its number on the engine's host.
        can_signal: whether `signal` reaches it.
    """

    def __init__(
        self,
        engine: EngineClient,
        container: str,
        path: str,
        streams: CommandStreams,
        timing: CommandTiming,
        marked: MarkedGroup | None = None,
    ) -> None:
        self._engine = engine
        self._container = container
        self._path = path
        self._stream: ByteStream | None = None
        self._streams = streams
        self._timing = timing
        self._marked = marked
        self._group: ProcessGroup | None = None
        self._end = asyncio.Event()
        self._reading: asyncio.Timeout | None = None
        self._frames = Frames()
        self._first: asyncio.Future[bytes] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._detached = streams.detach
        self._input_over = False
        self._noted: Value | None = None
        self.pid = 0
        self.can_signal = False

    def connect(self, stream: ByteStream) -> None:
        """Take its streams, which it has unless it is detached."""
        self._stream = stream

    async def inspect(self) -> Value:
        """Return what the engine tells of it; after its end, what it told then.

        Raises:
            EngineConflictError: the engine has forgotten it with its container.
        """
        if self._noted is not None:
            return self._noted
        answer = await self._engine.get(f"{self._path}/json", container=self._container)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise EngineConflictError(
                ENGINE,
                "it knows nothing of the command any more, nor how that ended: the container is "
                "gone, or the engine was started anew",
            )
        now = answer.value()
        if not now["Running"].flag() and now["ExitCode"].raw is not None:
            self._noted = now
        return now

    async def stir(self, patience: float) -> None:
        """Wait until something of its output comes, or the output ends, for so many seconds at most."""
        if self._stream is None:
            await asyncio.sleep(patience)
            return
        if self._first is None:
            self._first = asyncio.ensure_future(self._stream.read())
        elif self._first.done():  # the engine is about to note what the output has shown
            await asyncio.sleep(patience / 4)
        await asyncio.wait({self._first}, timeout=patience)

    async def failure(self) -> str:
        """Return what was said of why it did not begin."""
        said = b""
        if self._stream is not None:
            async for output in self.output():
                said += output.data[: _MOST_OF_A_FAILURE - len(said)]
        return said.decode(errors="replace").strip() or "the command did not begin"

    def follow(self, pid: int, group: ProcessGroup | None, *, can_signal: bool) -> None:
        """Note that it has begun.

        Args:
            pid: its number.
            group: its process group; None: it has ended, or cannot be reached.
            can_signal: whether signals reach it, or would have if it had not ended.
        """
        self.pid, self.can_signal, self._group = pid, can_signal, group
        if self._streams.detach:
            return
        if group is not None:
            group.on_end(self._ended)
        else:
            self._tasks.append(asyncio.create_task(self._poll()))
        if self._streams.input is not None:
            self._tasks.append(asyncio.create_task(self._write_all(self._streams.input)))

    async def output(self) -> AsyncIterator[CommandOutput]:
        """Yield what it writes.

        Raises:
            EngineUnreachableError: the connection to an engine on another host was lost.
        """
        while data := await self._read():
            if self._streams.tty:
                yield CommandOutput(data)
                continue
            for piece in self._frames.take(data):
                yield piece
        self._frames.check_end()

    async def write(self, data: bytes) -> None:
        """Write to its standard input; after the end of that, nothing is written."""
        if self._stream is not None and self._streams.stdin and not self._input_over:
            await self._stream.write(data)

    async def end_input(self) -> None:
        """End its standard input."""
        if self._stream is not None and self._streams.stdin:
            self._input_over = True
            self._stream.write_eof()

    async def resize(self, size: TerminalSize) -> None:
        """Change the size of its terminal; without one, or after the end, nothing changes."""
        if self._streams.tty and not self._end.is_set():
            await self._engine.post(
                f"{self._path}/resize",
                params={"h": size.rows, "w": size.columns},
                container=self._container,
            )

    async def signal(self, number: int) -> None:
        """Send a signal to it and the processes of its group."""
        reached = self.can_signal
        if reached and self._group is not None:
            reached = self._group.signal(number)
        elif reached and self._marked is not None:
            await self._marked.signal(number, self)
            if number == signal.SIGKILL:
                self._ended()
        if not reached:
            raise CapabilityMissingError(
                "signals for commands",
                driver=ENGINE,
                hint="its processes are out of the daemon's reach",
            )

    def detach(self) -> None:
        """Leave it running."""
        self._detached = True

    async def exit(self) -> CommandExit:
        """Return how it ended.

        Raises:
            EngineConflictError: nobody knows.
        """
        noted_by = asyncio.get_running_loop().time() + self._engine.timeout.total_seconds()
        pause = self._timing.first_check.total_seconds()
        # Asked before its end is known, too: the stream may have ended with the engine.
        while (now := await self.inspect())["Running"].flag():
            over = self._end.is_set()
            if over:
                if asyncio.get_running_loop().time() > noted_by:
                    raise _unknown_end()
                await asyncio.sleep(pause)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._end.wait()
            longest = self._timing.longest_check if over else self._timing.poll
            pause = min(2 * pause, longest.total_seconds())
        if (code := now["ExitCode"].number(high=INT32)) is None:
            raise _unknown_end()
        return CommandExit(code=code)

    def close(self) -> "asyncio.Future[None] | None":
        """Kill it, unless it has ended or is detached, and forget it.

        Return what is still to be done for that, in the background; None: nothing.
        """
        for task in self._tasks:
            task.cancel()
        if self._first is not None:
            self._first.cancel()
        if self._stream is not None:
            self._stream.close()
        is_over = self._detached or self._end.is_set() or self._noted is not None
        if (group := self._group) is not None:
            self._group = None
            if not is_over:
                group.signal(signal.SIGKILL)
            group.close()
        elif self._marked is not None and not is_over:
            return self._marked.end_later(self)
        return None

    async def has_ended(self) -> bool | None:
        """Return whether it has ended; None: the engine knows nothing of its processes."""
        try:
            now = await self.inspect()
        except EngineConflictError:
            return None
        if now["Running"].flag():
            return False
        return True if self._noted is not None or now["Pid"].count(INT32) else None

    def _ended(self) -> None:
        self._end.set()
        if self._reading is not None:
            self._reading.reschedule(self._silence())

    def _silence(self) -> float:
        """Return the time of the loop until which something must come after the end."""
        return asyncio.get_running_loop().time() + self._timing.last_output.total_seconds()

    async def _poll(self) -> None:
        """Ask the engine now and then whether it has ended."""
        while True:
            await asyncio.sleep(self._timing.poll.total_seconds())
            with suppress(EngineTimedOutError, EngineUnreachableError):
                if not await self._runs():
                    self._ended()
                    return

    async def _runs(self) -> bool:
        try:
            return (await self.inspect())["Running"].flag()
        except EngineConflictError:
            return False  # it has gone with its container

    async def _write_all(self, data: bytes) -> None:
        if self._stream is not None:
            await self._stream.write(data)
            self._stream.write_eof()

    async def _read(self) -> bytes:
        """Return the next bytes of its stream; nothing at the end."""
        assert self._stream is not None  # noqa: S101 - for mypy; who is detached reads nothing
        # What has come already is read without waiting, and may be thousands of pieces.
        await asyncio.sleep(0)
        # What it has left running may hold its output open for ever: after its own end, the output
        # is over when nothing comes for a while.
        try:
            async with asyncio.timeout(None) as self._reading:
                if self._end.is_set():
                    self._reading.reschedule(self._silence())
                if (first := self._first) is not None:
                    self._first = None
                    return await first
                return await self._stream.read()
        except LostStreamError as error:
            raise EngineUnreachableError(
                ENGINE, f"the streams of the command have broken off ({error})"
            ) from None
        except (TimeoutError, ConnectionError):
            return b""
        finally:
            self._reading = None


def _unknown_end() -> EngineConflictError:
    return EngineConflictError(ENGINE, "it does not tell how the command ended, which is over")

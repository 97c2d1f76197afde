"""The streams of a container's main process, as a caller is attached to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from proad.drivers.docker.errors import ENGINE, refused
from proad.drivers.docker.frames import Frames
from proad.drivers.docker.http.api import Answer, filters
from proad.drivers.docker.http.byte_stream import ByteStream, LostStreamError
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.http.upgraded import DETACH_KEYS
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.docker.timing import CommandTiming
from proad.drivers.tolerant import INT32, Value, parse_json
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineUnreachableError,
    InvalidArgumentError,
)
from proad.model import CommandExit, CommandOutput, ConsoleOptions, ResourceKind, TerminalSize
from proad.model.verbs import entering_refusal

_NOT_FOUND = 404


class ContainerConsole:
    """The streams of a container's main process; see `ports.Console`.

    Args:
        engine: the engine.
        container: id of the container.
        config: its configuration, as the engine tells it.
        stream: its streams.
        stdin: whether they have its input.
        begun: when the main process began, as the engine tells it.
        timing: durations.
    """

    kind = ResourceKind.CONTAINER
    can_signal = True

    def __init__(
        self,
        engine: EngineClient,
        container: str,
        config: Value,
        stream: ByteStream,
        *,
        stdin: bool,
        begun: str,
        timing: CommandTiming,
    ) -> None:
        self._engine = engine
        self._container = container
        self._stream = stream
        self._begun = begun
        self._timing = timing
        self._input_over = False
        self.tty = config["Tty"].flag()
        self.can_resize = self.tty
        self.stdin = stdin
        # Docker ends the input of no terminal.
        self.stdin_once = stdin and config["StdinOnce"].flag() and not self.tty

    async def output(self) -> AsyncIterator[CommandOutput]:
        """Yield what the main process writes.

        Raises:
            EngineUnreachableError: the connection to an engine on another host was lost.
        """
        frames = Frames()
        while data := await self._read():
            if self.tty:
                yield CommandOutput(data)
                continue
            for piece in frames.take(data):
                yield piece
        frames.check_end()

    async def write(self, data: bytes) -> None:
        """Write to its input; after the end of that, nothing is written."""
        if self.stdin and not self._input_over:
            await self._stream.write(data)

    async def end_input(self) -> None:
        """End its input, where the engine passes that on."""
        if not self.stdin_once:
            raise CapabilityMissingError(
                "the end of the input of a running container",
                driver=ENGINE,
                hint="the engine ends the input of those alone that were made for one caller, as by "
                "docker run -i; on a terminal, Ctrl-D says the same",
            )
        self._input_over = True
        self._stream.write_eof()

    async def resize(self, size: TerminalSize) -> None:
        """Change the size of its terminal; after the end, nothing changes."""
        if not self.can_resize:
            raise CapabilityMissingError(
                "sizes of a container without a terminal", driver=ENGINE, hint="leave the size out"
            )
        await self._resize(size.rows, size.columns)

    async def draw_anew(self, size: TerminalSize) -> None:
        """Have its program draw its screen again, in a size that may be what it has."""
        # A size that does not change is not told. The largest one has none above it.
        await self._resize(size.rows - 1 or 2, size.columns)
        await self._resize(size.rows, size.columns)

    async def signal(self, number: int) -> None:
        """Send a signal to the main process."""
        answer = await self._engine.post(path(self._container, "/kill"), params={"signal": number})
        # It has ended, which the end of the output tells.
        if not answer.ok and not await self._is_over():
            raise refused(answer.status, answer.text)

    async def exit(self) -> CommandExit:
        """Return how the main process ended.

        Raises:
            EngineConflictError: nobody knows.
        """
        pause = self._timing.first_check.total_seconds()
        while (now := await self._state()) is not None and self._is_same(now):
            if not now["Running"].flag():
                code = now["ExitCode"].number(high=INT32)
                if code is None:
                    break
                return CommandExit(code=code)
            # It may have closed its outputs, and go on.
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._timing.poll.total_seconds())
        return await self._past_exit()

    def close(self) -> None:
        """Leave it as it is."""
        self._stream.close()

    async def _read(self) -> bytes:
        # What has come already is read without waiting, and may be thousands of pieces.
        await asyncio.sleep(0)
        try:
            return await self._stream.read()
        except LostStreamError as error:
            raise EngineUnreachableError(ENGINE, f"the streams have broken off ({error})") from None
        except ConnectionError:
            return b""

    async def _resize(self, rows: int, columns: int) -> None:
        await self._engine.post(path(self._container, "/resize"), params={"h": rows, "w": columns})

    async def _is_over(self) -> bool:
        now = await self._state()
        return now is None or not self._is_same(now) or not now["Running"].flag()

    def _is_same(self, state: Value) -> bool:
        """Return whether a state is that of the same run."""
        return state["StartedAt"].text() == self._begun

    async def _state(self) -> Value | None:
        """Return its state; None: it is gone."""
        answer = await self._engine.get(path(self._container, "/json"))
        return None if answer.status == _NOT_FOUND else answer.value()["State"]

    async def _past_exit(self) -> CommandExit:
        """Return the exit of a run that is over, though its container is gone or runs again.

        Raises:
            EngineConflictError: the engine does not know it any more.
        """
        wanted = {"type": ["container"], "container": [self._container], "event": ["die"]}
        # The engine keeps few, and its clock may be another: those of the container are enough.
        params = {"since": 1, "until": int(datetime.now(UTC).timestamp()) + 1, **filters(wanted)}
        answer = await self._engine.get("/events", params=params)
        begun = Value(self._begun, self._engine.api.omissions).time()
        for line in answer.body.splitlines() if answer.ok else ():
            event = Value(parse_json(line), self._engine.api.omissions, self._container)
            ended, code = event["time"].timestamp(), event["Actor"]["Attributes"]["exitCode"].text()
            if begun and ended and ended >= begun.replace(microsecond=0) and code.isdecimal():
                return CommandExit(code=min(int(code), INT32))
        raise EngineConflictError(ENGINE, "it does not tell how the main process ended")


class ContainerConsoles:
    """Attaches callers to the main processes of containers.

    Args:
        engine: the engine.
        reader: reads the containers.
        timing: durations.
    """

    def __init__(
        self, engine: EngineClient, reader: ContainerReader, timing: CommandTiming
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._timing = timing

    @asynccontextmanager
    async def attach(
        self, id: str, options: ConsoleOptions = ConsoleOptions()
    ) -> AsyncIterator[ContainerConsole]:
        """Attach to the main process of a container; see `ports.Consoles`."""
        config = (await self._engine.get(path(id, "/json"))).value()["Config"]
        stdin = config["OpenStdin"].flag() and options.stdin is not False
        if options.stdin and not stdin:
            raise InvalidArgumentError.of(
                "start.stdin", "it was made without stdin_open, and reads no input"
            )
        stream = await self._attached(id, stdin=stdin)
        try:
            begun = await self._begin_of(id)
        except BaseException:
            stream.close()
            raise
        console = ContainerConsole(
            self._engine, id, config, stream, stdin=stdin, begun=begun, timing=self._timing
        )
        try:
            if options.size is not None and console.can_resize:
                await console.draw_anew(options.size)
            yield console
        finally:
            console.close()

    async def _begin_of(self, id: str) -> str:
        """Return when the main process began that somebody was attached to.

        Raises:
            StateError: there is none: who attaches to such a container waits for its next start.
        """
        await self._reader.running(id)
        answer = await self._engine.get(path(id, "/json"))
        return answer.value()["State"]["StartedAt"].text()

    async def _attached(self, id: str, *, stdin: bool) -> ByteStream:
        upgraded = await self._engine.upgrade(
            path(id, "/attach"),
            params={
                "stream": 1,
                "stdin": int(stdin),
                "stdout": 1,
                "stderr": 1,
                "detachKeys": DETACH_KEYS,
            },
            container=id,
        )
        if isinstance(upgraded, Answer):
            raise entering_refusal(await self._reader.get(id)) or refused(
                upgraded.status, upgraded.text
            )
        return await upgraded.stream()

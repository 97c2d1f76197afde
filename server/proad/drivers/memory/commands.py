"""Commands inside imitated workloads: a handful of programs, and a shell that knows them."""

import asyncio
import itertools
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from signal import SIGKILL

from proad.drivers.memory.engine import ImitatedEngine
from proad.drivers.memory.workload import Workload
from proad.errors import InvalidArgumentError
from proad.model import (
    PIECE,
    CommandExit,
    CommandOutput,
    CommandSpec,
    CommandStreams,
    TerminalSize,
    pieces,
)
from proad.model.verbs import entering_refusal

PIECES = 4
"""Pieces that wait for who reads slowly, each way."""
_SIGNALLED = 128

Program = Callable[["MemoryCommand", tuple[str, ...]], Awaitable[int]]


class MemoryCommand:
    """A command inside an imitated workload; see `ports.RunningCommand`.

    Args:
        pid: its number.
        spec: what it runs.
        streams: what it is connected to.

    Attributes:
        size: the size of its terminal.
        written: bytes that it wrote.
        is_detached: whether nobody reads what it writes, and it outlives its block.
    """

    can_signal = True

    def __init__(self, pid: int, spec: CommandSpec, streams: CommandStreams) -> None:
        self.pid = pid
        self.spec = spec
        self.size = streams.size or TerminalSize(rows=24, columns=80)
        self.written = 0
        self._streams = streams
        self._input: asyncio.Queue[bytes | None] = asyncio.Queue(PIECES)
        self._output: asyncio.Queue[CommandOutput | None] = asyncio.Queue(PIECES)
        self.is_detached = streams.detach
        self._signal = 0
        self._task: asyncio.Future[int] | None = None
        self._ending: asyncio.Task[None] | None = None

    def start(self, program: Program) -> None:
        """Start it."""
        self._task = asyncio.ensure_future(program(self, self.spec.argv))
        # Also where it was ended before its first step.
        self._task.add_done_callback(self._end_output)

    async def output(self) -> AsyncIterator[CommandOutput]:
        """Yield what it writes."""
        while (piece := await self._output.get()) is not None:
            yield piece

    async def write(self, data: bytes) -> None:
        """Write to its standard input."""
        if self._streams.stdin and not self._over:
            await self._input.put(data)

    async def end_input(self) -> None:
        """End its standard input."""
        if self._streams.stdin and not self._over:
            await self._input.put(None)

    async def resize(self, size: TerminalSize) -> None:
        """Change the size of its terminal."""
        self.size = size

    async def signal(self, number: int) -> None:
        """Send a signal to it, which ends it."""
        self.end(number)

    def detach(self) -> None:
        """Leave it running."""
        self.is_detached = True

    async def exit(self) -> CommandExit:
        """Return how it ended."""
        if self._task is not None:
            await asyncio.wait({self._task})
        if self._signal or self._task is None or self._task.cancelled():
            return CommandExit(code=_SIGNALLED + self._signal)
        return CommandExit(code=self._task.result())

    def end(self, number: int = SIGKILL) -> None:
        """End it by a signal."""
        if self._task is not None and not self._task.done():
            self._signal = number
            self._task.cancel()

    async def read(self) -> bytes:
        """Return the next piece of its standard input; nothing at the end."""
        if not self._streams.stdin:
            return b""
        return await self._input.get() or b""

    async def say(self, text: bytes, *, is_stderr: bool = False) -> None:
        """Write to its standard output or its standard error."""
        self.written += len(text)
        if not self.is_detached:
            await self._output.put(CommandOutput(text, is_stderr and not self._streams.tty))

    @property
    def whole_input(self) -> bytes:
        """The input that was known before it began."""
        return self._streams.input or b""

    @property
    def _over(self) -> bool:
        return self._task is None or self._task.done()

    def _end_output(self, _: object) -> None:
        self._ending = asyncio.create_task(self._output.put(None))


class MemoryCommands:
    """Runs commands inside imitated workloads.

    Attributes:
        under_way: the commands that somebody follows.
    """

    def __init__(self, engine: ImitatedEngine) -> None:
        self._engine = engine
        self._pids = itertools.count(100)
        self.under_way: set[MemoryCommand] = set()

    @asynccontextmanager
    async def start(
        self, id: str, spec: CommandSpec, streams: CommandStreams
    ) -> AsyncIterator[MemoryCommand]:
        """Start a command; see `ports.Commands`."""
        workload = self._engine.workload(id)
        if error := entering_refusal(workload.resource):
            raise error
        program = _PROGRAMS.get(spec.argv[0])
        if program is None:
            raise InvalidArgumentError.of_program(
                f"{spec.argv[0]!r}: there are {', '.join(_PROGRAMS)}", is_there=False
            )
        command = MemoryCommand(next(self._pids), spec, streams)
        command.start(program)
        self.under_way.add(command)
        watching = asyncio.create_task(_end_with(workload, command))
        try:
            yield command
        finally:
            self.under_way.discard(command)
            watching.cancel()
            if not command.is_detached:
                command.end()

    def main(self, argv: tuple[str, ...], *, tty: bool) -> MemoryCommand | None:
        """Start the main process of a container; None: it is no program here, or waits for input."""
        program = _PROGRAMS.get(argv[0]) if argv else None
        if program in {None, _cat} or (program is _sh and argv[1:2] != ("-c",)):
            return None
        command = MemoryCommand(next(self._pids), CommandSpec(argv=argv), CommandStreams(tty=tty))
        command.start(program)
        return command


async def _end_with(workload: Workload, command: MemoryCommand) -> None:
    await workload.over.wait()
    command.end()


async def _echo(command: MemoryCommand, argv: tuple[str, ...]) -> int:
    await command.say(" ".join(argv[1:]).encode() + b"\n")
    return 0


async def _cat(command: MemoryCommand, argv: tuple[str, ...]) -> int:  # noqa: ARG001 - it takes none
    data = command.whole_input
    for piece in pieces(data):
        await command.say(piece)
    while piece := await command.read():
        await command.say(piece)
    return 0


async def _head(command: MemoryCommand, argv: tuple[str, ...]) -> int:
    """Write so many zeros: `head -c N /dev/zero`."""
    left, zeros = int(argv[2]), bytes(PIECE)
    while left:
        await command.say(zeros[:left])
        left -= min(left, PIECE)
    return 0


async def _sleep(command: MemoryCommand, argv: tuple[str, ...]) -> int:  # noqa: ARG001 - as above
    await asyncio.sleep(float(argv[1]))
    return 0


async def _true(command: MemoryCommand, argv: tuple[str, ...]) -> int:  # noqa: ARG001 - as above
    return 0


async def _false(command: MemoryCommand, argv: tuple[str, ...]) -> int:  # noqa: ARG001 - as above
    return 1


async def _env(command: MemoryCommand, argv: tuple[str, ...]) -> int:  # noqa: ARG001 - as above
    for name, value in command.spec.env.items():
        await command.say(f"{name}={value}\n".encode())
    return 0


async def _seq(command: MemoryCommand, argv: tuple[str, ...]) -> int:
    text = "".join(f"{each}\n" for each in range(1, int(argv[1]) + 1)).encode()
    for piece in pieces(text):
        await command.say(piece)
    return 0


async def _stty(command: MemoryCommand, argv: tuple[str, ...]) -> int:  # noqa: ARG001 - as above
    await command.say(f"{command.size.rows} {command.size.columns}\n".encode())
    return 0


async def _sh(command: MemoryCommand, argv: tuple[str, ...]) -> int:
    """Run the lines of `-c`, or those that come: commands, `exit N` and `… >&2`."""
    if argv[1:2] == ("-c",):
        return await run_script(command, argv[2]) or 0
    begun = b""
    while piece := await command.read():
        *lines, begun = (begun + piece).split(b"\n")
        for line in lines:
            code = await run_script(command, line.decode(errors="replace"))
            if code is not None:
                return code
    return 0


async def run_script(command: MemoryCommand, text: str) -> int | None:
    """Run commands, and return the code that they exit with; None: they go on."""
    for part in filter(None, (each.strip() for each in text.split(";"))):
        words = tuple(shlex.split(part))
        if words[0] == "exit":
            return int(words[1]) if len(words) > 1 else 0
        if words[0] == "echo" and words[-1] == ">&2":
            await command.say(" ".join(words[1:-1]).encode() + b"\n", is_stderr=True)
        elif (program := _PROGRAMS.get(words[0])) is not None:
            await program(command, words)
        else:
            await command.say(f"{words[0]}: not found\n".encode(), is_stderr=True)
    return None


_PROGRAMS: dict[str, Program] = {
    "cat": _cat,
    "echo": _echo,
    "env": _env,
    "false": _false,
    "head": _head,
    "seq": _seq,
    "sh": _sh,
    "sleep": _sleep,
    "stty": _stty,
    "true": _true,
}

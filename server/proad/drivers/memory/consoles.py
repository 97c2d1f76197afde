"""The main processes of imitated containers, and the serial consoles of imitated domains."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proad.drivers.memory.commands import PIECES, MemoryCommand, run_script
from proad.drivers.memory.connection import NAME
from proad.drivers.memory.engine import ImitatedEngine
from proad.drivers.memory.workload import Workload
from proad.errors import CapabilityMissingError, InUseError, InvalidArgumentError
from proad.model import (
    CommandExit,
    CommandOutput,
    CommandSpec,
    CommandStreams,
    ConsoleOptions,
    ResourceKind,
    ResourceState,
    StateReason,
    TerminalSize,
)
from proad.model.verbs import entering_refusal

_INTERRUPT, _END = b"\x03", b"\x04"


class MainProcess(MemoryCommand):
    """What a workload runs: a shell where a container takes input, a login on a domain's console.

    Args:
        workload: the workload.
        streams: what it is connected to.

    Attributes:
        workload: the workload.
        over: set when its run ends.
        tty: whether it has a terminal.
        listeners: who is attached.
        echoes: whether the terminal shows what is typed.
    """

    def __init__(self, workload: Workload, streams: CommandStreams) -> None:
        super().__init__(1, CommandSpec(argv=("main",)), streams)
        self.workload = workload
        self.over = workload.over
        self.tty = streams.tty
        self.listeners: list[_Listener] = []
        self.echoes = True
        self._begun = b""

    async def ended(self) -> int:
        """Return the exit code, once it has ended."""
        return (await self.exit()).code or 0

    async def say(self, text: bytes, *, is_stderr: bool = False) -> None:
        """Write to all who are attached; wait for each of them, as Docker does."""
        if self.tty:
            text = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        for listener in [*self.listeners]:
            await listener.put(CommandOutput(text, is_stderr and not self.tty))

    async def type(self, data: bytes) -> None:
        """Take input, as a terminal does where there is one."""
        if self.tty:
            data = data.replace(b"\r", b"\n")
            if self.echoes:
                await self.say(data)
        await self.write(data)

    async def line(self) -> bytes | None:
        """Return the next line of its input; None: Ctrl-D on an empty one."""
        while b"\n" not in self._begun:
            piece = await self.read()
            if self.tty and _INTERRUPT in piece:
                self._begun, piece = b"", b"\n"
            if self.tty and piece.startswith(_END) and not self._begun:
                return None
            self._begun += piece
        line, _, self._begun = self._begun.partition(b"\n")
        return line


class _Listener:
    """Somebody who is attached."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[CommandOutput | None] = asyncio.Queue(PIECES)
        self._left = False

    async def put(self, output: CommandOutput) -> None:
        """Give output; wait while there is much that was not taken."""
        if not self._left:
            await self._queue.put(output)

    async def get(self, over: asyncio.Event) -> CommandOutput | None:
        """Return the next output; None: nothing more comes."""
        if not self._queue.empty():
            return self._queue.get_nowait()
        getting = asyncio.ensure_future(self._queue.get())
        ending = asyncio.ensure_future(over.wait())
        try:
            await asyncio.wait({getting, ending}, return_when=asyncio.FIRST_COMPLETED)
            return getting.result() if getting.done() else None
        finally:
            getting.cancel()
            ending.cancel()

    def leave(self) -> None:
        """Let nobody wait any more."""
        self._left = True
        while not self._queue.empty():
            self._queue.get_nowait()


class MemoryConsole:
    """The console of an imitated workload; see `ports.Console`."""

    stdin_once = False

    def __init__(self, main: MainProcess, listener: _Listener, *, stdin: bool) -> None:
        self._main = main
        self._listener = listener
        self.kind = main.workload.resource.kind
        self.tty = main.tty
        self.can_signal = self.kind is ResourceKind.CONTAINER
        self.can_resize = self.can_signal and self.tty
        self.stdin = stdin

    async def output(self) -> AsyncIterator[CommandOutput]:
        """Yield what it writes."""
        while (output := await self._listener.get(self._main.over)) is not None:
            yield output

    async def write(self, data: bytes) -> None:
        """Write to its input."""
        if self.stdin:
            await self._main.type(data)

    async def end_input(self) -> None:
        """Refuse, as the real engines do."""
        raise CapabilityMissingError("the end of its input", driver=NAME, hint="type Ctrl-D")

    async def resize(self, size: TerminalSize) -> None:
        """Change its size."""
        if not self.can_resize:
            raise CapabilityMissingError("sizes", driver=NAME, hint="it has no terminal")
        await self._main.resize(size)

    async def signal(self, number: int) -> None:
        """Send the main process a signal, which ends it."""
        if not self.can_signal:
            raise CapabilityMissingError("signals", driver=NAME, hint="domains take none")
        self._main.end(number)

    async def exit(self) -> CommandExit | None:
        """Return how it ended."""
        await self._main.over.wait()
        if self.kind is ResourceKind.DOMAIN:
            return None
        return CommandExit(code=self._main.workload.resource.state_detail.exit_code)


class MemoryConsoles:
    """Attaches callers to imitated workloads, of which each has one main process in a run."""

    def __init__(self, engine: ImitatedEngine) -> None:
        self._engine = engine
        self._mains: dict[str, MainProcess] = {}
        self._following: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def attach(
        self, id: str, options: ConsoleOptions = ConsoleOptions()
    ) -> AsyncIterator[MemoryConsole]:
        """Attach to a console; see `ports.Consoles`."""
        workload = self._engine.workload(id)
        if error := entering_refusal(workload.resource):
            raise error
        spec = workload.resource.container.spec if workload.resource.container else None
        takes_input = spec is None or spec.stdin_open
        if options.stdin and not takes_input:
            raise InvalidArgumentError.of("start.stdin", "it was made without stdin_open")
        listener = _Listener()
        main = self._main(workload)
        if spec is None and main.listeners and not options.force:
            raise InUseError.of_console(workload.resource.name)
        main.listeners.append(listener)
        console = MemoryConsole(main, listener, stdin=takes_input and options.stdin is not False)
        try:
            if options.size is not None and console.can_resize:
                await console.resize(options.size)
            yield console
        finally:
            main.listeners.remove(listener)
            listener.leave()

    def _main(self, workload: Workload) -> MainProcess:
        """Return the main process of the present run, which begins when somebody looks at it."""
        id = workload.resource.id
        known = self._mains.get(id)
        if known is not None and known.over is workload.over:
            return known
        spec = workload.resource.container.spec if workload.resource.container else None
        tty, takes_input = spec is None or spec.tty, spec is None or spec.stdin_open
        streams = CommandStreams(tty=tty, stdin=takes_input)
        main = self._mains[id] = MainProcess(workload, streams)
        main.start(_getty if spec is None else _shell if takes_input else _idle)
        following = asyncio.create_task(self._follow(main))
        self._following.add(following)
        following.add_done_callback(self._following.discard)
        return main

    async def _follow(self, main: MainProcess) -> None:
        """Stop a workload with its main process, and end that with the run of the workload."""
        exit = asyncio.ensure_future(main.ended())
        over = asyncio.ensure_future(main.over.wait())
        await asyncio.wait({exit, over}, return_when=asyncio.FIRST_COMPLETED)
        if over.done():
            main.end()
        else:
            over.cancel()
            code = exit.result()
            reason = StateReason.ERROR if code else StateReason.COMPLETED
            self._engine.enter(main.workload, ResourceState.STOPPED, reason, exit_code=code)
        if self._mains.get(id := main.workload.resource.id) is main:
            del self._mains[id]


async def _shell(command: MemoryCommand, argv: tuple[str, ...]) -> int:  # noqa: ARG001 - it takes none
    """Run the lines that come."""
    main = _main_of(command)
    while True:
        if main.tty:
            await main.say(b"$ ")
        if (line := await main.line()) is None:
            return 0
        try:
            code = await run_script(main, line.decode(errors="replace"))
        except (ValueError, IndexError) as error:
            await main.say(f"sh: {error}\n".encode(), is_stderr=True)
            continue
        if code is not None:
            return code


async def _getty(command: MemoryCommand, argv: tuple[str, ...]) -> int:
    """Ask for a name and a password, of which any will do, and give a shell."""
    main = _main_of(command)
    while True:
        await main.say(f"\n{main.workload.resource.name} login: ".encode())
        if not await main.line():
            continue
        main.echoes = False
        await main.say(b"Password: ")
        await main.line()
        main.echoes = True
        await main.say(b"\n")
        await _shell(main, argv)


async def _idle(command: MemoryCommand, argv: tuple[str, ...]) -> int:  # noqa: ARG001 - it takes none
    """Do nothing: a main process that reads nothing goes on until it is stopped."""
    await _main_of(command).over.wait()
    return 0


def _main_of(command: MemoryCommand) -> MainProcess:
    assert isinstance(command, MainProcess)  # noqa: S101 - for mypy; programs of main processes alone
    return command

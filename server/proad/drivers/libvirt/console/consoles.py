"""The serial consoles of domains that callers are attached to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import libvirt

from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.console.serial_line import SerialLine
from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.libvirt.host.virt import is_test
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.timing import ConsoleTiming
from proad.errors import (
    CapabilityMissingError,
    ConsoleTakenError,
    EngineUnreachableError,
    InUseError,
    ProaError,
    ReaderTooSlowError,
    ResourceNotFoundError,
)
from proad.model import CommandExit, CommandOutput, ConsoleOptions, ResourceKind, TerminalSize
from proad.model.verbs import entering_refusal


class DomainConsole:
    """The serial console of a domain; see `ports.Console`.

    Args:
        connection: to libvirt.
        id: the domain.
        line: its console.
        stdin: whether its caller is connected to its input.
        timing: durations.
    """

    kind = ResourceKind.DOMAIN
    tty = True
    can_resize = False
    can_signal = False
    stdin_once = False

    def __init__(
        self,
        connection: Connection,
        id: str,
        line: SerialLine,
        *,
        stdin: bool,
        timing: ConsoleTiming,
    ) -> None:
        self._connection = connection
        self._id = id
        self._line = line
        self._timing = timing
        self.stdin = stdin

    async def output(self) -> AsyncIterator[CommandOutput]:
        """Yield what the domain writes."""
        while data := await self._line.read():
            yield CommandOutput(data)
        if self._line.overflowed:
            raise ReaderTooSlowError

    async def write(self, data: bytes) -> None:
        """Write to the console; wait while it takes nothing."""
        await self._connection.call(
            lambda _: self._line.send(data),
            id=self._id,
            bulkhead=Bulkhead.CONSOLE,
            timeout=self._timing.write,
        )

    async def end_input(self) -> None:
        """Refuse: a serial line has no end."""
        raise CapabilityMissingError(
            "the end of the input of a serial console",
            driver=ENGINE,
            hint="type what ends the program in the guest, such as Ctrl-D",
        )

    async def resize(self, size: TerminalSize) -> None:  # noqa: ARG002 - of the port
        """Refuse: a serial line has no size."""
        raise CapabilityMissingError(
            "sizes of a serial console",
            driver=ENGINE,
            hint="tell the guest with `stty rows N cols N`",
        )

    async def signal(self, number: int) -> None:  # noqa: ARG002 - of the port
        """Refuse: nobody knows which process has the serial line."""
        raise CapabilityMissingError(
            "signals for a serial console",
            driver=ENGINE,
            hint="type the key that sends it, such as Ctrl-C",
        )

    async def exit(self) -> CommandExit | None:
        """Return None, once the domain runs no more.

        Raises:
            EngineUnreachableError: the connection was lost.
            ConsoleTakenError: it runs on.
        """
        if self._line.lost:
            raise EngineUnreachableError(
                ENGINE, "the connection of the console was lost, as when it takes no input for long"
            )
        seen_until = asyncio.get_running_loop().time() + self._timing.end.total_seconds()
        while await self._runs():
            if asyncio.get_running_loop().time() > seen_until:
                raise ConsoleTakenError(self._id)
            await asyncio.sleep(self._timing.look.total_seconds())
        return None

    async def _runs(self) -> bool:
        """Return whether the domain is in the run that the console is of."""
        try:
            runtime_id = await self._connection.on(
                self._id, lambda domain: domain.ID(), bulkhead=Bulkhead.READ
            )
        except ResourceNotFoundError:
            return False
        return bool(runtime_id == self._line.runtime_id)


class DomainConsoles:
    """Attaches callers to the serial consoles of domains.

    Args:
        connection: to libvirt.
        reader: reads the domains.
        timing: durations.
    """

    def __init__(self, connection: Connection, reader: DomainReader, timing: ConsoleTiming) -> None:
        self._connection = connection
        self._reader = reader
        self._timing = timing
        self._lines: set[SerialLine] = set()
        self._endings: dict[asyncio.Task[None], str] = {}

    def lose(self) -> None:
        """End all consoles, since libvirtd has gone or answers no more."""
        for line in self._lines:
            line.lose()

    async def close(self) -> None:
        """Wait a moment for the ends of consoles."""
        if self._endings:
            await asyncio.wait({*self._endings}, timeout=self._timing.leave.total_seconds())

    @asynccontextmanager
    async def attach(self, id: str, options: ConsoleOptions) -> AsyncIterator[DomainConsole]:
        """Attach to the console of a domain; see `ports.Consoles`."""
        name = await self._connection.on(id, self._check, bulkhead=Bulkhead.READ)
        # What was ours until now may not be free yet.
        if endings := {task for task, of in self._endings.items() if of == id}:
            await asyncio.wait(endings, timeout=self._timing.leave.total_seconds())
        line = SerialLine()
        try:
            is_ours = await self._connection.call(
                lambda _: line.open(self._connect, id, force=options.force),
                id=id,
                bulkhead=Bulkhead.CONSOLE,
                timeout=self._timing.open,
            )
            if not is_ours:
                raise InUseError.of_console(name)
            self._lines.add(line)
            yield DomainConsole(
                self._connection,
                id,
                line,
                stdin=options.stdin is not False,
                timing=self._timing,
            )
        finally:
            self._lines.discard(line)
            ending = asyncio.create_task(self._end(line))
            self._endings[ending] = id
            ending.add_done_callback(self._endings.pop)
            await asyncio.wait({ending}, timeout=self._timing.leave.total_seconds())

    def _check(self, domain: libvirt.virDomain) -> str:
        """Check that a domain runs and has a console, and return the domain's name.

        Raises:
            StateError: it does not run.
            CapabilityMissingError: it has no console, or its hypervisor none at all.
        """
        if error := entering_refusal(self._reader.summary(domain)):
            raise error
        root = self._reader.xml_of(domain).element
        devices = () if root is None else root.iterfind("devices/*")
        found = any(
            each.tag in {"console", "serial"} and each.get("type") == "pty" for each in devices
        )
        if not found or is_test(domain.connect()):
            raise CapabilityMissingError(
                "the serial console of this domain",
                driver=ENGINE,
                hint="it has none that libvirt passes on; make it with a serial console",
            )
        name: str = domain.name()
        return name

    async def _end(self, line: SerialLine) -> None:
        closing = asyncio.create_task(self._close(line))
        await asyncio.wait({closing}, timeout=self._timing.close.total_seconds())
        if not closing.done() and line.is_held:
            with suppress(ProaError):  # libvirtd drops it when its own keepalive ends
                await self._connection.call(
                    lambda _: line.drop_input(self._connect),
                    bulkhead=Bulkhead.URGENT,
                    timeout=self._timing.open,
                )
        await closing

    async def _close(self, line: SerialLine) -> None:
        with suppress(ProaError):  # it ends later, on its thread
            await self._connection.dispose(line.close)

    def _connect(self) -> libvirt.virConnect:
        return self._connection.dedicated(self._timing.keepalive_interval)

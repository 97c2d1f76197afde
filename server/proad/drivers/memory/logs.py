"""Logs of imitated workloads: what the main processes of containers write, and domains at their boot."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from proad.drivers.log_lines import LogLines, batches
from proad.drivers.memory.commands import MemoryCommand, MemoryCommands
from proad.drivers.memory.connection import NAME
from proad.drivers.memory.engine import ImitatedEngine
from proad.drivers.memory.workload import Workload
from proad.errors import CapabilityMissingError
from proad.model import (
    LogLine,
    LogOptions,
    LogOutput,
    Resource,
    ResourceKind,
    ResourceState,
    StateReason,
)

_MOST_LINES = 10_000
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True, eq=False)
class _Log:
    """The last lines of a workload, the oldest of them first.

    Attributes:
        lines: the lines.
        written: how many lines there were, the dropped ones included.
        changed: set with each new line, and then replaced.
    """

    lines: deque[LogLine] = field(default_factory=lambda: deque(maxlen=_MOST_LINES))
    written: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, lines: Sequence[LogLine]) -> None:
        """Add lines."""
        self.lines.extend(lines)
        self.written += len(lines)
        self.changed.set()
        self.changed = asyncio.Event()

    def since(self, place: int) -> list[LogLine]:
        """Return the lines from a place on, as far as they are kept."""
        return (
            [*self.lines][max(place - self.written + len(self.lines), 0) :]
            if place < self.written
            else []
        )


class MemoryLogs:
    """Runs the main processes of containers, and keeps what they write.

    Args:
        engine: the engine.
        commands: knows the programs.
    """

    def __init__(self, engine: ImitatedEngine, commands: MemoryCommands) -> None:
        self._engine = engine
        self._commands = commands
        self._logs: dict[str, _Log] = {}
        self._running: set[asyncio.Task[None]] = set()
        engine.on_start = self._begin

    @asynccontextmanager
    async def read(
        self, id: str, options: LogOptions
    ) -> AsyncIterator[AsyncIterator[Sequence[LogLine]]]:
        """Read a log; see `ports.Logs`."""
        workload = self._engine.workload(id)
        _check(workload.resource, options)
        yield self._lines(workload, self._of(workload), options)

    async def _lines(
        self, workload: Workload, log: _Log, options: LogOptions
    ) -> AsyncIterator[Sequence[LogLine]]:
        over = workload.over if options.follow and workload.run else None
        wanted = [line for line in log.since(0) if _is_wanted(line, options)]
        place = log.written
        if options.tail is not None:
            wanted = wanted[len(wanted) - options.tail :] if options.tail < len(wanted) else wanted
        while True:
            for lines in batches(wanted):
                yield (
                    lines
                    if options.timestamps or over
                    else [line._replace(time=None) for line in lines]
                )
            if over is None or (over.is_set() and place == log.written):
                return
            waits = [asyncio.ensure_future(each.wait()) for each in (over, log.changed)]
            try:
                if place == log.written:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            self._engine.connection.check()
            wanted = [line for line in log.since(place) if _is_wanted(line, options)]
            place = log.written

    def _of(self, workload: Workload) -> _Log:
        for gone in self._logs.keys() - self._engine.workloads.keys() - {workload.resource.id}:
            del self._logs[gone]
        return self._logs.setdefault(workload.resource.id, _Log())

    def _begin(self, workload: Workload) -> None:
        """Begin the main process of a workload that starts."""
        log, resource = self._of(workload), workload.resource
        if resource.container is None:
            text = f"imitated guest {resource.name} is up".encode()
            log.add([LogLine(text, time=time.time_ns())])
            return
        streams_tty = bool(resource.container.spec and resource.container.spec.tty)
        main = self._commands.main(resource.container.command, tty=streams_tty)
        if main is not None:
            task = asyncio.create_task(self._run(workload, main, log))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, workload: Workload, main: MemoryCommand, log: _Log) -> None:
        """Keep what a main process writes, and end its container with it."""
        run, over = workload.run, workload.over
        ending = asyncio.create_task(_end_with(over, main))
        outputs = {is_stderr: LogLines(is_stderr=is_stderr) for is_stderr in (False, True)}
        try:
            async for output in main.output():
                log.add(outputs[output.is_stderr].take(output.data, time.time_ns()))
            log.add([line for each in outputs.values() for line in each.rest()])
            code = (await main.exit()).code or 0
        finally:
            ending.cancel()
        if run is not None and not over.is_set():
            reason = StateReason.ERROR if code else StateReason.COMPLETED
            self._engine.enter(workload, ResourceState.STOPPED, reason, exit_code=code)


async def _end_with(over: asyncio.Event, main: MemoryCommand) -> None:
    await over.wait()
    main.end()


def _is_wanted(line: LogLine, options: LogOptions) -> bool:
    moment = line.time or 0
    return (
        (options.output is None or line.is_stderr is (options.output is LogOutput.STDERR))
        and (options.since is None or moment >= _nanoseconds(options.since))
        and (options.until is None or moment <= _nanoseconds(options.until))
    )


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _check(resource: Resource, options: LogOptions) -> None:
    """Check that there is a log which tells what is asked for.

    Raises:
        CapabilityMissingError: there is none.
    """
    spec = (resource.container and resource.container.spec) or None
    if spec is not None and spec.log_driver == "none":
        raise CapabilityMissingError(
            "logs of this container", driver=NAME, hint="its log driver is none"
        )
    if resource.kind is ResourceKind.DOMAIN:
        own = resource.domain.spec if resource.domain else None
        if own is not None and not own.serial_console:
            raise CapabilityMissingError(
                "logs of this domain", driver=NAME, hint="it has no serial port"
            )
        if options.since or options.until or options.timestamps:
            raise CapabilityMissingError(
                "times in the log of a domain",
                driver=NAME,
                hint="leave since, until and timestamps out",
            )

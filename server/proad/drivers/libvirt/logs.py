"""The logs of domains."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import libvirt
from lxml import etree

from proad.drivers.libvirt import serial_log
from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.connections.queries import lookup
from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.libvirt.events import DomainEvent, DomainEvents
from proad.drivers.libvirt.timing import LogTiming
from proad.drivers.libvirt.xml.parser import parse
from proad.drivers.log_lines import LogLines, batches
from proad.drivers.threads import EngineThreads
from proad.errors import CapabilityMissingError, ResourceNotFoundError
from proad.model import PIECE, LogLine, LogOptions, LogOutput

# Threads for the files of all logs. A read of one takes no time, unless the disk does.
_THREADS = 4
# Bytes from the end in which lines are counted: more there are where virtlogd keeps the files of
# logs larger, or does not keep them.
_MOST_SCANNED = 64 * 2**20


class DomainLogs:
    """Reads the logs of domains.

    Args:
        connection: to libvirt.
        events: tell when a domain ends.
        timing: durations.
    """

    def __init__(self, connection: Connection, events: DomainEvents, timing: LogTiming) -> None:
        self._connection = connection
        self._events = events
        self._timing = timing
        self._threads = EngineThreads(ENGINE, "log", size=_THREADS)
        self._deletions: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start the threads."""
        self._threads.__enter__()

    async def close(self) -> None:
        """End the threads."""
        if self._deletions:
            await asyncio.wait(self._deletions, timeout=self._timing.poll.total_seconds())
        self._threads.__exit__()

    def forget(self, id: str) -> None:
        """Delete the log of a domain that may be no more."""
        deletion = asyncio.ensure_future(self._delete(id))
        self._deletions.add(deletion)
        deletion.add_done_callback(self._deletions.discard)

    @asynccontextmanager
    async def read(
        self, id: str, options: LogOptions
    ) -> AsyncIterator[AsyncIterator[Sequence[LogLine]]]:
        """Read a log; see `ports.Logs`."""
        if options.since or options.until or options.timestamps:
            raise CapabilityMissingError(
                "times in the log of a domain",
                driver=ENGINE,
                hint="its serial port tells none; leave since, until and timestamps out",
            )
        with self._events.watch(id) as events:
            active = await self._connection.on(id, _check, bulkhead=Bulkhead.READ)
            reading = _Reading(self._threads, id)
            try:
                await reading.open()
                if options.tail is not None:
                    await reading.skip_to_tail(options.tail)
                batches = self._lines(reading, events if options.follow and active else None)
                yield batches if options.output is not LogOutput.STDERR else _without(batches)
            finally:
                reading.close()

    async def _lines(
        self, reading: "_Reading", events: "asyncio.Queue[DomainEvent] | None"
    ) -> AsyncIterator[Sequence[LogLine]]:
        """Yield the lines; with events, until one tells that the domain has ended."""
        lines, quiet, over = LogLines(is_terminal=True), 0, events is None
        while True:
            if data := await reading.next():
                quiet = 0
                found = lines.take(data)
                for batch in batches(found):
                    yield batch
                continue
            yield lines.rest()  # such as the question for a name, which has no end
            quiet += 1
            if events is None or (over and quiet > 1):
                return
            over = over or await self._has_ended(reading.id, events, asked=not quiet % 20)

    async def _has_ended(
        self, id: str, events: "asyncio.Queue[DomainEvent]", *, asked: bool
    ) -> bool:
        """Wait a moment; return whether a domain has ended. `asked`: libvirt is asked for that."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timing.poll.total_seconds()):
                while not (await events.get()).translated().ended:
                    pass
                return True
        if not asked:
            return False
        try:
            active = await self._connection.on(
                id, lambda d: bool(d.isActive()), bulkhead=Bulkhead.READ
            )
        except ResourceNotFoundError:
            return True
        return not active

    async def _delete(self, id: str) -> None:
        def delete(connection: libvirt.virConnect) -> None:
            try:
                lookup(connection, id)
            except ResourceNotFoundError:
                serial_log.delete(id)

        with suppress(Exception):  # nobody waits for it
            await self._connection.call(delete, bulkhead=Bulkhead.READ)


async def _without(batches: AsyncIterator[Sequence[LogLine]]) -> AsyncIterator[Sequence[LogLine]]:
    """Yield nothing, for as long as there would be lines."""
    async for _ in batches:
        yield ()


class _Reading:
    """The files of one log, as far as they were read.

    Args:
        threads: for the files.
        id: the domain.
    """

    def __init__(self, threads: EngineThreads, id: str) -> None:
        self._threads = threads
        self._files: list[int] = []  # the oldest one first
        self._place = 0  # in the first one
        self._newest = 0
        self._closed = False
        self.id = id

    async def open(self) -> None:
        """Open the files that there are, but for those that were opened before."""
        opening = asyncio.ensure_future(
            self._threads.run(lambda: serial_log.open_files(self.id, self._newest))
        )
        opening.add_done_callback(self._opened)
        await asyncio.shield(opening)

    def _opened(self, opening: "asyncio.Future[list[int]]") -> None:
        if opening.cancelled() or opening.exception() is not None:
            return
        self._files += opening.result()
        if self._files:
            self._newest = os.fstat(self._files[-1]).st_ino
        if self._closed:
            self.close()

    async def next(self) -> bytes:
        """Return the next bytes; nothing: no more are there now."""
        while True:
            if not self._files:
                await self.open()
            elif data := await self._read():
                return data
            elif len(self._files) == 1:
                await self.open()
                # The last bytes of a file may have come before the next one was begun.
                if data := await self._read():
                    return data
            if len(self._files) < 2:  # noqa: PLR2004 - the newest one alone
                return b""
            os.close(self._files.pop(0))
            self._place = 0

    async def _read(self) -> bytes:
        # At a place of its own: whoever is cancelled closes the file, and its number may be that of
        # another one when the thread comes to it.
        file, place = self._files[0], self._place
        data = await self._threads.run(lambda: os.pread(file, PIECE, place))
        self._place += len(data)
        return data

    async def skip_to_tail(self, number: int) -> None:
        """Go to where so many lines from the end begin."""
        files = tuple(self._files)
        index, place = await self._threads.run(lambda: _tail(files, number))
        for file in self._files[:index]:
            os.close(file)
        self._files, self._place = self._files[index:], place

    def close(self) -> None:
        """Close the files."""
        self._closed = True
        for file in self._files:
            os.close(file)
        self._files = []


def _tail(files: Sequence[int], number: int) -> tuple[int, int]:
    """Return the index of the file, and the place in it, where so many lines from the end begin."""
    left, scanned, index, start = number + 1, 0, len(files), 0
    for index in range(len(files) - 1, -1, -1):
        end = os.fstat(files[index]).st_size
        while end:
            start = max(end - PIECE, 0)
            data = os.pread(files[index], end - start, start)
            stop = len(data)
            if not scanned and not data.endswith(b"\n"):
                left -= 1  # the last line has no end
                if not left:
                    return index, end
            while (at := data.rfind(b"\n", 0, stop)) >= 0:
                left -= 1
                if not left:
                    return index, start + at + 1
                stop = at
            scanned += len(data)
            if scanned >= _MOST_SCANNED or not data:
                return index, start
            end = start
    return 0, 0


def _check(domain: libvirt.virDomain) -> bool:
    """Return whether a domain runs, which has a log."""
    root: etree._Element = parse(domain.XMLDesc(0))
    serial_log.check(domain.connect(), root, domain.UUIDString())
    return bool(domain.isActive())

"""The thread that writes the log: all lines that wait go to disk together."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

import structlog

from proad.audit.calls import PendingLine
from proad.audit.options import AuditOptions, AuditTiming
from proad.audit.writer import LogWriter
from proad.store.audit import AuditHead

_log = structlog.get_logger(__name__)

# Lines that nobody waits for, kept while the log cannot be written.
_MOST_KEPT = 10_000

Settled = Callable[[Sequence[PendingLine], Sequence[PendingLine], AuditHead], None]
"""Receives the lines that were written, those that will not be, and how far the log has come."""


class LogCommitter:
    """Writes lines on a thread of its own, which alone waits for the disk.

    A line that somebody waits for is synced at once, together with all that came before it; any
    other is written at once, which the death of this process does not undo, and synced a moment
    later. A line that cannot be written is given up if somebody waits for it, and kept until it can
    be otherwise.

    Args:
        writer: the end of the log, of which the thread alone makes use.
        settled: is called on the loop.
        options: whether lines share a sync.
        timing: durations.
    """

    def __init__(
        self,
        writer: LogWriter,
        settled: Settled,
        *,
        options: AuditOptions = AuditOptions(),
        timing: AuditTiming = AuditTiming(),
    ) -> None:
        self._writer = writer
        self._settled = settled
        self._options = options
        self._retry_interval = timing.retry_interval
        self._sync_within = timing.sync_within
        self._close_within = timing.close_within
        self._queue: SimpleQueue[PendingLine | None] = SimpleQueue()
        self._kept: list[PendingLine] = []
        self._unsynced: list[PendingLine] = []
        self._fails = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="proad-audit", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def submit(self, line: PendingLine) -> None:
        """Have a line written. The order of lines is that of the calls."""
        self._queue.put(line)

    async def close(self) -> None:
        """Write all lines, and end the thread. A disk that hangs is not waited for."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, self._close_within)

    def _run(self) -> None:
        ended = False
        while not ended:
            lines, ended = self._take()
            for some in [[line] for line in lines] if self._options.sync_each else [lines]:
                self._commit(some, sync=ended or self._options.sync_each)
        self._writer.close()

    def _take(self) -> tuple[list[PendingLine], bool]:
        """Wait for a line; return all that wait, and whether there will be no more.

        Without any, it is time to sync, or to write again what could not be written.
        """
        patience = self._retry_interval if self._kept else self._sync_within
        try:
            line = self._queue.get(timeout=patience if self._kept or self._unsynced else None)
        except Empty:
            return [], False
        if self._options.group_delay and line is not None:
            time.sleep(self._options.group_delay)
        lines = []
        while line is not None:
            lines.append(line)
            try:
                line = self._queue.get_nowait()
            except Empty:
                return lines, False
        return lines, True

    def _commit(self, lines: Sequence[PendingLine], *, sync: bool) -> None:
        """Write lines, after those that were kept, and tell of them once they are on disk.

        Args:
            lines: new lines; none: those that were written before are to be synced.
            sync: whether to sync though nobody waits for a line.
        """
        waiting, self._kept = [*self._kept, *lines], []
        # An intent that was given up has no outcome.
        waiting = [line for line in waiting if line.of is None or not line.of.given_up]
        rest: list[PendingLine] = []
        written: list[PendingLine] = []
        try:
            if self._write(waiting, of_reserve=False):
                self._unsynced += waiting
            else:
                rest = [line for line in waiting if not line.of_reserve]
                of_reserve = [line for line in waiting if line.of_reserve]
                if self._write(of_reserve, of_reserve=True):
                    self._unsynced += of_reserve
                self._note_failure("no room but the reserve")
            if sync or not lines or any(line.on_disk is not None for line in self._unsynced):
                self._writer.sync()
                written, self._unsynced = self._unsynced, []
                self._fails = self._fails and bool(rest)
        except OSError as error:
            self._note_failure(error.strerror or type(error).__name__)
            self._writer.restore()
            unsynced = {id(line) for line in self._unsynced}
            rest = self._unsynced + [line for line in waiting if id(line) not in unsynced]
            self._unsynced = []
        given_up = [line for line in rest if line.on_disk is not None]
        for line in given_up:
            line.given_up = True
        self._keep([line for line in rest if line.on_disk is None])
        if written or given_up:
            self._loop.call_soon_threadsafe(self._settled, written, given_up, self._writer.head)

    def _write(self, lines: Sequence[PendingLine], *, of_reserve: bool) -> bool:
        """Write lines; return whether there was room.

        Raises:
            OSError: the log cannot be written.
        """
        lines = [line for line in lines if line.fields]
        if not lines:
            return True
        for sequence, line in enumerate(lines, self._writer.next()):
            line.sequence = sequence
        contents = [line.content() for line in lines]
        return self._writer.write(contents, of_reserve=of_reserve)

    def _keep(self, lines: Sequence[PendingLine]) -> None:
        """Keep lines that could not be written, up to a number."""
        self._kept = list(lines[:_MOST_KEPT])
        if len(lines) > _MOST_KEPT:
            _log.warning("lines of the audit log lost", count=len(lines) - _MOST_KEPT)

    def _note_failure(self, cause: str) -> None:
        if not self._fails:
            _log.error("audit log cannot be written, changes are refused", cause=cause)
        self._fails = True

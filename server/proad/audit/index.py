"""The index of the log in the database, written a moment after the log itself."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from proad.audit.calls import end_of, entry_of
from proad.audit.files import files_after, read_file
from proad.model import AuditEntry
from proad.store.audit import AuditEnd, AuditHead, AuditStore

_log = structlog.get_logger(__name__)

# Lines that wait for a database that does not answer; beyond these, they are read again from the
# files of the log.
_MOST_WAITING = 20_000
# Lines that are taken up between two turns of the loop: some milliseconds.
_SLICE = 50


class AuditIndexer:
    """Brings the index up to the log. What the database does not take is written later.

    Args:
        store: the index.
        folder: the folder of the log.
    """

    def __init__(self, store: AuditStore, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._noted: list[tuple[int, dict[str, Any]]] = []
        self._entries: dict[int, AuditEntry] = {}
        self._ended: dict[int, AuditEnd] = {}
        self._stored = AuditHead(0, "")
        self._head = AuditHead(0, "")
        self._behind = False
        self._unsure = False
        self._saving = asyncio.Lock()
        self._flushes = set[asyncio.Future[None]]()

    @property
    def head(self) -> AuditHead:
        """How far the log has come, as far as it was noted."""
        return self._head

    async def catch_up(self, known: AuditHead | None) -> None:
        """Index what the files have beyond what the index knows.

        Raises:
            DatabaseUnreachableError: the index cannot be written.
        """
        self._stored = self._head = known or self._stored
        for path in await asyncio.to_thread(files_after, self._folder, self._stored.sequence):
            file = await asyncio.to_thread(read_file, path)
            lines = [line for _place, line in file.lines if line.sequence > self._stored.sequence]
            if lines:
                for line in lines:
                    try:
                        self._take([(line.sequence, line.fields)])
                    except (KeyError, TypeError, ValueError):
                        _log.warning("line of the audit log not indexed", sequence=line.sequence)
                self._head = AuditHead(lines[-1].sequence, lines[-1].value.hex())
                await self._save(first=0)

    def note(self, lines: Iterable[tuple[int, dict[str, Any]]], head: AuditHead) -> None:
        """Note lines that were written; `flush` takes them up.

        Args:
            lines: their numbers and fields.
            head: how far the log has come with them.
        """
        waiting = len(self._noted) + len(self._entries) + len(self._ended)
        if self._behind or waiting > _MOST_WAITING:
            self._behind = True
            self._noted, self._entries, self._ended = [], {}, {}
        else:
            self._noted += lines
        self._head = head

    async def flush(self, first: int) -> None:
        """Bring the index up to the log as it is now.

        It goes to its end though its caller goes away: nobody would know how far it came.

        Args:
            first: number of the first line that is kept.

        Raises:
            DatabaseUnreachableError: the index cannot be written.
        """
        flush = asyncio.ensure_future(self._flush(first))
        self._flushes.add(flush)
        flush.add_done_callback(self._flushed)
        await asyncio.shield(flush)

    def _flushed(self, flush: "asyncio.Future[None]") -> None:
        self._flushes.discard(flush)
        if not flush.cancelled():
            flush.exception()  # retrieved: its caller may be gone

    async def _flush(self, first: int) -> None:
        async with self._saving:
            if self._unsure:
                await self._find_stored()
            if self._behind:
                # What is noted meanwhile is in the files as well.
                self._behind = False
                try:
                    await self.catch_up(self._stored)
                except BaseException:
                    # Of what was not read yet, nothing else knows.
                    self._behind = True
                    raise
            elif self._head != self._stored:
                await self._save(first)

    async def _save(self, first: int) -> None:
        head = await self._take_noted()
        if self._behind:
            return  # the next flush reads the files
        entries, ended = self._entries, self._ended
        self._entries, self._ended = {}, {}
        try:
            # After a catch-up, what was noted meanwhile is in the index already.
            new = [entry for sequence, entry in entries.items() if sequence > self._stored.sequence]
            await self._store.save(head, new, list(ended.values()), first=first)
        except BaseException:
            self._unsure = True
            self._entries = entries | self._entries
            self._ended = ended | self._ended
            raise
        self._stored = head

    async def _find_stored(self) -> None:
        """Ask how far the index has come: a save whose answer was lost may have been done."""
        stored = await self._store.head()
        if stored is not None and stored.sequence > self._stored.sequence:
            self._stored, self._behind = stored, True
            self._noted, self._entries, self._ended = [], {}, {}
        self._unsure = False

    async def _take_noted(self) -> AuditHead:
        """Take up what was noted, in slices, and return how far the log had come with it."""
        noted, head = self._noted, self._head
        self._noted = []
        try:
            while noted:
                self._take(noted[:_SLICE])
                del noted[:_SLICE]
                await asyncio.sleep(0)
        finally:
            if not self._behind:
                self._noted = noted + self._noted
        return head

    def _take(self, lines: Iterable[tuple[int, dict[str, Any]]]) -> None:
        for sequence, fields in lines:
            if (entry := entry_of(sequence, fields)) is not None:
                self._entries[sequence] = entry
            elif (end := end_of(fields)) is not None:
                entry = self._entries.get(end.sequence)
                if entry is None:
                    self._ended[end.sequence] = end
                else:
                    self._entries[end.sequence] = replace(
                        entry,
                        path=end.path or entry.path,
                        outcome=end.outcome,
                        end_time=end.end_time,
                        code=end.code,
                        reason=end.reason,
                        rule=end.rule,
                    )

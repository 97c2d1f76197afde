"""The audit log as calls and readers know it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from proad.audit.calls import AuditCall, CallOutcome, PendingLine
from proad.audit.committer import LogCommitter
from proad.audit.index import AuditIndexer
from proad.audit.options import AuditOptions, AuditTiming
from proad.audit.writer import LogWriter
from proad.errors import AuditUnavailableError, DatabaseUnreachableError
from proad.model import AuditEntry, AuditFilter
from proad.store.audit import AuditHead, AuditStore

_log = structlog.get_logger(__name__)

Known = Callable[[AuditEntry], Awaitable[CallOutcome | None]]
"""Returns what became of a call that was interrupted; None: that is not known, or not yet."""

# Lines of one user in a period about calls that were denied; others are counted.
_MOST_DENIED = 60


class AuditedCall:
    """A call whose intent is in the log, or on its way there.

    Args:
        log: the log.
        call: the call.
        line: the line with its intent.
    """

    def __init__(self, log: "AuditLog", call: AuditCall, line: PendingLine) -> None:
        self._log = log
        self._call = call
        self._line = line

    async def on_disk(self) -> None:
        """Wait until the intent is on disk.

        Raises:
            AuditUnavailableError: it cannot be; the call must change nothing.
        """
        await self._line.wait()

    def end(self, outcome: CallOutcome, *, open: bool = False) -> None:
        """Write what became of the call.

        Args:
            outcome: what became of it, as far as that is known.
            open: whether `AuditLog.settle` will tell more.
        """
        self._log.write_outcome(outcome, of=self._line)
        if open and self._call.request_id:
            self._log.await_outcome(self._call, self._line)


class AuditLog:
    """Who did what: written before and after each call that changes something.

    Args:
        writer: the end of the log.
        store: its index.
        folder: its folder.
        options: whether lines share a sync.
        timing: durations.
    """

    def __init__(
        self,
        writer: LogWriter,
        store: AuditStore,
        folder: Path,
        *,
        options: AuditOptions = AuditOptions(),
        timing: AuditTiming = AuditTiming(),
    ) -> None:
        self._writer = writer
        self._store = store
        self._index = AuditIndexer(store, folder)
        self._options = options
        self._timing = timing
        self._committer: LogCommitter | None = None
        # The intents whose outcome `settle` tells, by user and request.
        self._open: dict[tuple[str, str], PendingLine] = {}
        self._refused: Counter[str] = Counter()
        self._denied: Counter[str] = Counter()
        self._since = datetime.now(UTC)
        self._told = AuditHead(0, "")

    @asynccontextmanager
    async def opened(self, known: Known) -> AsyncIterator[None]:
        """Write within the block. Calls that were interrupted get an outcome first.

        Args:
            known: tells what became of them.

        Raises:
            SetupError: the folder or a file is not the daemon's own, or cannot be read.
            DatabaseUnreachableError: the index cannot be read or written.
        """
        head = await self._store.head()
        damage = await asyncio.to_thread(self._writer.load, head)
        if found := damage.told():
            _log.error("audit log is damaged, see proad audit verify", **found)
        await self._index.catch_up(head)
        committer = self._committer = LogCommitter(
            self._writer, self._settled, options=self._options, timing=self._timing
        )
        committer.start()
        self._write({"kind": "start", "time": datetime.now(UTC)} | found)
        await self._end_interrupted(known)
        indexing = asyncio.create_task(self._keep_index())
        try:
            yield
        finally:
            self._write_counts()
            self._write({"kind": "stop", "time": datetime.now(UTC)})
            await committer.close()
            indexing.cancel()
            await asyncio.gather(indexing, return_exceptions=True)
            with suppress(DatabaseUnreachableError):
                await self._index.flush(self._writer.first)
            self._tell_head()

    def begin(self, call: AuditCall, *, of_reserve: bool = False) -> AuditedCall:
        """Write the intent of a call, which waits for `AuditedCall.on_disk` before any effect.

        Args:
            call: the call.
            of_reserve: whether it frees room, or ends what takes room: it may then take of the
                reserve on a full disk.
        """
        line = PendingLine(
            call.fields("intent"),
            on_disk=asyncio.get_running_loop().create_future(),
            of_reserve=of_reserve,
        )
        self._submit(line)
        return AuditedCall(self, call, line)

    def deny(self, call: AuditCall, outcome: CallOutcome) -> None:
        """Write that a call was denied; beyond some of one user, count it."""
        self._denied[call.user_id] += 1
        if self._denied[call.user_id] > _MOST_DENIED:
            self.count(outcome.reason)
            return
        self._begin_period()
        self._write(call.fields("denied") | outcome.fields())

    def count(self, reason: str) -> None:
        """Count a call that was refused without a line of its own."""
        self._begin_period()
        self._refused[reason] += 1

    def write_outcome(self, outcome: CallOutcome, *, of: PendingLine) -> None:
        """Write what became of the call with an intent."""
        self._submit(
            PendingLine(
                {"kind": "outcome", "time": datetime.now(UTC)} | outcome.fields(),
                of=of,
                of_reserve=True,
            )
        )

    def await_outcome(self, call: AuditCall, line: PendingLine) -> None:
        """Expect `settle` to tell what became of a call."""
        self._open[call.user_id, call.request_id] = line

    def settle(self, user_id: str, request_id: str, outcome: CallOutcome) -> None:
        """Write what became of a request whose effect was not known, if it is such a one."""
        if (line := self._open.pop((user_id, request_id), None)) is not None:
            self.write_outcome(outcome, of=line)

    async def page(
        self,
        filter: AuditFilter,
        *,
        users: Sequence[tuple[str, str]] = (),
        before: tuple[datetime, int] | None = None,
        most: int,
    ) -> list[AuditEntry]:
        """Return entries, the newest first, with all that was written so far.

        Raises:
            DatabaseUnreachableError: the index does not answer.
        """
        synced = PendingLine({}, on_disk=asyncio.get_running_loop().create_future())
        self._submit(synced)
        with suppress(AuditUnavailableError):
            await synced.wait()
        await self._index.flush(self._writer.first)
        return await self._store.page(filter, users=users, before=before, most=most)

    async def _end_interrupted(self, known: Known) -> None:
        for entry in await self._store.pending():
            outcome = await known(entry)
            line = PendingLine({}, sequence=entry.sequence)
            if outcome is None and entry.request_id:
                self._open[entry.user_id, entry.request_id] = line
            self.write_outcome(outcome or CallOutcome(reason="INTERRUPTED"), of=line)

    def _write(self, fields: dict[str, Any]) -> None:
        self._submit(PendingLine(fields))

    def _submit(self, line: PendingLine) -> None:
        if self._committer is None:
            raise RuntimeError("the audit log is not open")
        self._committer.submit(line)

    def _settled(
        self, written: Sequence[PendingLine], given_up: Sequence[PendingLine], head: AuditHead
    ) -> None:
        for line in written:
            line.settle(written=True)
        for line in given_up:
            line.settle(written=False)
        if written:
            self._index.note(
                [(line.sequence, line.fields) for line in written if line.fields], head
            )

    async def _keep_index(self) -> None:
        """Keep index and head up to the log, and tell the head now and then."""
        loop = asyncio.get_running_loop()
        told = loop.time()
        while True:
            await asyncio.sleep(self._timing.index_within)
            try:
                await self._index.flush(self._writer.first)
            except DatabaseUnreachableError:
                continue  # the store has logged why
            except Exception:  # noqa: BLE001 - the log itself is whole, and indexed at the next start
                _log.exception("audit log not indexed")
            if loop.time() - told >= self._timing.head_log_interval:
                told = loop.time()
                self._tell_head()

    def _tell_head(self) -> None:
        if self._index.head != self._told:
            self._told = self._index.head
            _log.info("audit head", sequence=self._told.sequence, value=self._told.value)

    def _begin_period(self) -> None:
        if not self._refused and self._denied.total() <= 1:
            self._since = datetime.now(UTC)
            # In an empty context: the counts are of many calls.
            asyncio.get_running_loop().call_later(
                self._timing.refusal_period, self._write_counts, context=Context()
            )

    def _write_counts(self) -> None:
        """Write how many calls were refused without a line, and begin a new period."""
        refused, self._refused, self._denied = self._refused, Counter(), Counter()
        if refused:
            now = datetime.now(UTC)
            self._write({"kind": "refused", "time": now, "since": self._since, "counts": refused})

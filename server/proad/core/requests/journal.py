"""Runs requests with an id once, and gives each repetition the answer of the first."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import structlog

from proad.core.requests.background import BackgroundTasks
from proad.core.requests.current import Written, announce_to
from proad.core.requests.entry import NewRequest, RequestEntry, Serve
from proad.core.requests.expiry import Expiry
from proad.core.requests.feed import Feed
from proad.core.requests.index import RequestIndex
from proad.core.requests.outcome import (
    AnswerCodec,
    Judge,
    Judgement,
    RepeatedFailure,
    RequestAnswer,
)
from proad.core.shielded_tasks import ShieldedTasks
from proad.errors import (
    AuditUnavailableError,
    DatabaseUnreachableError,
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
    RequestCancelledError,
    RequestNotCancellableError,
    RequestNotFoundError,
)
from proad.model import Intent, RequestState
from proad.model.replaced import replaced
from proad.ports.requests import RequestKey, RequestRecord, RequestRecords

T = TypeVar("T")

_log = structlog.get_logger(__name__)

MOST_REQUESTS = 100_000
"""Requests of one user that are remembered: more than one a second for a day."""

Checkpoint = Callable[[str], None]
"""Receives the name of a point where the daemon may die: "before intent", "after intent",
"before answer", "after answer"."""


OnJudged = Callable[[RequestRecord], None]
"""Receives the record of a request whose effect was not known, once it is."""


def unheard(record: RequestRecord) -> None:
    """Ignore what became of a request."""


def passed(name: str) -> None:
    """Ignore a checkpoint: the default where nobody kills the daemon."""


# Failures after which the engine may still do what it was asked for.
_EFFECT_UNKNOWN = (EngineTimedOutError, EngineUnreachableError)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalTiming:
    """Durations of the journal, in seconds.

    Attributes:
        first_retry: time from a failed attempt to store or to judge to the next one; doubled
            after each.
        longest_retry: upper bound of that time.
        expiry_interval: time between two removals of expired records.
    """

    first_retry: float = 0.2
    longest_retry: float = 10.0
    expiry_interval: float = 60.0


class RequestJournal:
    """Requests with an id take effect once, however often they are repeated.

    The first call with an id runs in a task of its own, which goes to its end though its callers
    go away. A repetition joins it, or gets the stored answer. A record is written twice: before
    the first effect, with what is about to be changed, and with the answer.

    Args:
        records: the records.
        tasks: the tasks that requests run in.
        codec: encodes answers and failures.
        judge: finds out what became of requests that were interrupted.
        timing: durations.
        most: how many requests of one user are remembered at the most.
        checkpoint: called at each point where the daemon may die, with its name; for tests.
        on_judged: hears what became of requests that were interrupted.
    """

    def __init__(
        self,
        records: RequestRecords,
        tasks: ShieldedTasks,
        codec: AnswerCodec,
        judge: Judge,
        *,
        timing: JournalTiming = JournalTiming(),
        most: int = MOST_REQUESTS,
        checkpoint: Checkpoint = passed,
        on_judged: OnJudged = unheard,
    ) -> None:
        self._records = records
        self._tasks = tasks
        self._codec = codec
        self._judge = judge
        self._checkpoint = checkpoint
        self._on_judged = on_judged
        self._index = RequestIndex(most)
        self._entries: dict[RequestKey, RequestEntry] = {}
        self._expiry = Expiry(records, self._index, self._entries, timing.expiry_interval)
        self._background = BackgroundTasks(timing.first_retry, timing.longest_retry)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Take requests within the block, and find out what became of interrupted ones.

        Raises:
            DatabaseUnreachableError: the records cannot be read.
        """
        self._index.load(await self._records.ends())
        for record in await self._records.running():
            entry = self._entries[record.key] = RequestEntry(record, announced=True)
            self._find_out(entry)
        self._background.start(self._expiry.run())
        try:
            yield
        finally:
            await self._background.cancel()

    async def run(self, request: NewRequest, serve: Serve) -> bytes:
        """Return the reply to a request; serve it if this is the first time.

        Raises:
            InvalidArgumentError: the id is another request's.
            TooManyRequestsError: the user has too many requests.
            RepeatedFailure: the request failed before.
            ProaError: the request failed.
        """
        while True:
            entry = self._join(request, serve)
            if entry is not None:
                return await entry.reply(request, self._tasks.join(entry.task))
            if (reply := await self._stored(request)) is not None:
                return reply

    async def follow(self, request: NewRequest, serve: Serve) -> AsyncGenerator[bytes, None]:
        """Yield what a request publishes, its reply included; otherwise as `run`."""
        published = False
        if (entry := self._join(request, serve)) is not None:
            task = entry.task
            async for item in entry.feed.until(task):
                published = True
                yield item
            await self._tasks.join(task)
        if not published:
            yield await self.run(request, serve)

    async def get(self, key: RequestKey, *, sight: str = "") -> RequestRecord:
        """Return the record of a request.

        Args:
            key: the request.
            sight: whose resources the caller may see; see `RequestRecord.sight`.

        Raises:
            RequestNotFoundError: there is none, or none for this sight.
        """
        record = None
        if (entry := self._entries.get(key)) is not None:
            record = entry.record
        elif self._index.remembers(key, datetime.now(UTC)):
            record = await self._records.get(key)
        if record is None or not record.shows_in(sight):
            raise RequestNotFoundError(key.id)
        return record

    async def page(
        self,
        user_id: str,
        *,
        sight: str = "",
        states: Collection[RequestState] = (),
        before: tuple[datetime, str] | None = None,
        most: int,
    ) -> list[RequestRecord]:
        """Return a user's requests, the newest first; see `RequestRecords.page`."""
        stored = await self._records.page(
            user_id, sight=sight, states=states, before=before, most=most
        )
        found = {record.key: record for record in stored}
        for key, entry in self._entries.items():
            position = entry.record.start_time, key.id
            if key.user_id == user_id and (before is None or position < before):
                found[key] = entry.record
        found = {key: record for key, record in found.items() if record.shows_in(sight)}
        records = [each for each in found.values() if not states or each.state in states]
        records.sort(key=lambda record: (record.start_time, record.key.id), reverse=True)
        return records[:most]

    async def cancel(self, key: RequestKey, *, sight: str = "") -> RequestRecord:
        """End a request that waits, and return its record; leave one that has ended.

        Raises:
            RequestNotFoundError: there is no such request.
            RequestNotCancellableError: the request would leave something half done.
        """
        entry = self._entries.get(key)
        if entry is None or entry.record.end_time is not None or not entry.record.shows_in(sight):
            return await self.get(key, sight=sight)
        if not entry.cancelled:
            if entry.waiting is not None:
                entry.cancelled = True
                entry.waiting.cancel()
            elif entry.record.intent is None:  # nothing is changed yet
                entry.cancelled = True
                entry.task.cancel()
            else:
                raise RequestNotCancellableError(key.id)
        await asyncio.wait({entry.task})
        if entry.record.end_time is None and not entry.announced:
            self._forget(entry)  # it was cancelled before it began
        return entry.record

    def _join(self, request: NewRequest, serve: Serve) -> RequestEntry | None:
        """Return the entry of a request, new or running; None: its answer is stored."""
        key, now = request.key, datetime.now(UTC)
        if (entry := self._entries.get(key)) is not None:
            request.check_repeats(entry.record)
            return entry
        if self._index.remembers(key, now):
            return None
        self._index.begin(key, now)
        entry = RequestEntry.of(request, now)
        try:
            entry.task = self._tasks.start(self._execute(entry, serve))
        except ProaError:
            self._index.forget(key)
            raise
        self._entries[key] = entry
        return entry

    async def _stored(self, request: NewRequest) -> bytes | None:
        """Return the stored reply to a request; None: its record has just been removed."""
        record = await self._records.get(request.key)
        if record is None:
            self._index.forget(request.key)
            return None
        request.check_repeats(record)
        if record.state is RequestState.FAILED:
            raise RepeatedFailure(record.answer)
        return record.answer

    async def _execute(self, entry: RequestEntry, serve: Serve) -> RequestAnswer:
        """Serve a request, and store what becomes of it."""
        announce_to(partial(self._announce, entry), entry.on_waiting)
        error: ProaError
        try:
            answer = await serve(entry.feed.append)
        except asyncio.CancelledError:
            if not entry.cancelled:  # the daemon stops
                raise
            _uncancel()
            error = RequestCancelledError()
        except ProaError as failed:
            error = failed
            if not entry.announced:
                self._forget(entry)
                raise
            if isinstance(error, _EFFECT_UNKNOWN):
                self._find_out(entry)
                raise
        except Exception:
            if entry.announced:
                self._find_out(entry)
            else:
                self._forget(entry)
            raise
        else:
            await self._settle(entry, RequestState.SUCCEEDED, answer.stored, answer.path)
            return answer
        await self._settle(entry, RequestState.FAILED, self._codec.failure(error))
        raise error

    async def _announce(self, entry: RequestEntry, intent: Intent, written: Written) -> None:
        """Store what a request is about to change, while its line goes to disk."""
        if entry.cancelled:
            raise RequestCancelledError
        entry.record = replaced(entry.record, intent=intent, path=intent.path)
        self._checkpoint("before intent")
        adding = asyncio.ensure_future(self._records.add(entry.record))
        try:
            await written()
            await asyncio.shield(adding)
        except asyncio.CancelledError:
            # A verb by force takes the place of this one, or the daemon stops: the record may be
            # stored all the same.
            await adding
            entry.announced = True
            raise
        except AuditUnavailableError:
            await adding
            entry.announced = True
            await self._records.remove(entry.record.key)
            entry.announced = False
            raise
        entry.announced = True
        self._checkpoint("after intent")

    async def _settle(
        self, entry: RequestEntry, state: RequestState, answer: bytes, path: str = ""
    ) -> None:
        """Store the outcome of a request, now or as soon as that can be done."""
        self._checkpoint("before answer")
        entry.record = replaced(
            entry.record,
            state=state,
            answer=answer,
            path=path or entry.record.path,
            end_time=datetime.now(UTC),
        )
        try:
            await self._store(entry)
        except DatabaseUnreachableError:
            if entry.announced:
                self._background.start(
                    self._background.retried(lambda: self._store_if_reachable(entry))
                )
            else:
                self._forget(entry)  # it has had no effect
        self._checkpoint("after answer")

    async def _store(self, entry: RequestEntry) -> None:
        record = entry.record
        if record.end_time is None:
            raise ValueError("a request without an end")
        await (self._records.settle if entry.announced else self._records.add)(record)
        self._index.end(record.key, record.end_time)
        del self._entries[record.key]

    async def _store_if_reachable(self, entry: RequestEntry) -> bool:
        try:
            await self._store(entry)
        except DatabaseUnreachableError:
            return False
        return True

    def _forget(self, entry: RequestEntry) -> None:
        """Free the id of a request that changed nothing."""
        self._index.forget(entry.record.key)
        self._entries.pop(entry.record.key, None)

    def _find_out(self, entry: RequestEntry) -> None:
        """Let the callers of a request whose effect is unknown wait until it is known."""
        entry.feed = Feed()  # the reply is yet to come
        entry.task = self._background.start(self._judged(entry))

    async def _judged(self, entry: RequestEntry) -> RequestAnswer:
        judgement = await self._background.retried(partial(self._judgement, entry.record))
        if judgement.error is None:
            answer = self._codec.response(entry.record.method, judgement.about)
            await self._settle(entry, RequestState.SUCCEEDED, answer.stored, answer.path)
            self._on_judged(entry.record)
            return replace(answer, reply=answer.stored)
        failure = self._codec.failure(judgement.error)
        await self._settle(entry, RequestState.FAILED, failure)
        self._on_judged(entry.record)
        raise RepeatedFailure(failure)

    async def _judgement(self, record: RequestRecord) -> Judgement | None:
        try:
            return await self._judge.judge(record)
        except ProaError as error:
            _log.info("request not judged yet", request=record.key.id, cause=error.message)
        except Exception:  # noqa: BLE001 - the request stays open, as it does after a failure
            _log.exception("request not judged", request=record.key.id)
        return None


def _uncancel() -> None:
    """Take back the cancellation of the current task, which goes on."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()

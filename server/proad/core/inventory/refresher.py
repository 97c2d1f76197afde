"""Reads single resources anew: those that an event marked dirty, or that a caller asks for."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import structlog

from proad.core.engine_connection import EngineConnection
from proad.core.inventory.entry import Entry
from proad.core.inventory.full_reads import FullReads
from proad.core.inventory.read_slots import ReadSlots
from proad.core.inventory.store import Store
from proad.core.inventory.timing import InventoryTiming
from proad.errors import (
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
    ResourceNotFoundError,
)
from proad.model import EngineEvent, Resource, ResourceView

_log = structlog.get_logger(__name__)

REFRESHES = 4
"""Reads of one engine at a time: verbs must find a thread too."""

Refresh = Callable[[EngineConnection, str], Awaitable[Entry | None]]
"""Reads a resource now, and returns its entry; None if there is no such resource."""

_Waiter = asyncio.Future[Entry | None]


@dataclass(slots=True)
class _Dirty:
    """That a resource must be read.

    Attributes:
        event: what happened to the resource: all its events since the last read began.
        due: when to begin, in seconds, if no caller waits.
        waiters: the callers that wait; True: for a comparison of the FULL view as well.
        awaited: some caller waits.
    """

    event: EngineEvent
    due: float
    waiters: dict[_Waiter, bool] = field(default_factory=dict)
    awaited: asyncio.Event = field(default_factory=asyncio.Event)


class Refresher:
    """Reads one engine's resources, one by one, and applies what it finds.

    Events are coalesced here and nowhere else: a resource has at most one read under way and
    one pending, and only a read that begins after an event counts for that event.

    Args:
        connection: the engine.
        store: receives what is read.
        timing: the durations.
    """

    def __init__(self, connection: EngineConnection, store: Store, timing: InventoryTiming) -> None:
        self._connection = connection
        self._store = store
        self._timing = timing
        self._slots = ReadSlots(REFRESHES)
        self._full_reads = FullReads(connection, timing.full_within)
        self._dirty: dict[str, _Dirty] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._retries: dict[str, asyncio.TimerHandle] = {}
        self._clean = asyncio.Event()
        self._clean.set()

    async def close(self) -> None:
        """Cancel the reads under way and pending."""
        for retry in self._retries.values():
            retry.cancel()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._full_reads.close()

    def mark_dirty(self, event: EngineEvent) -> None:
        """Read a resource soon: something happened to it.

        An event of a resource that a verb of ours is changing, or changed a moment ago, is
        most likely about that change: it is read a moment later, together with what follows.
        """
        self._store.mark_dirty(self._connection.ref, event)
        entry = self._store.entries.get(self._connection.ref, event.id)
        delay, now = self._timing.busy_delay, self._store.now()
        busy = entry is not None and (entry.activity is not None or now < entry.idle_since + delay)
        self._add(_Dirty(event, now + delay if busy else now))

    async def refresh(self, id: str, *, reconfigured: bool = False) -> Entry | None:
        """Read a resource now and return its entry; None if there is no such resource.

        Args:
            id: its full id.
            reconfigured: it may differ in what a SUMMARY does not show. If its FULL view was
                read before, it is read again and compared, and a difference is a change.

        Raises:
            EngineUnreachableError: the engine does not answer.
            EngineTimedOutError: the FULL view could not be read soon enough.
        """
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        dirty = _Dirty(EngineEvent(id=id), self._store.now(), {waiter: reconfigured})
        dirty.awaited.set()
        self._add(dirty)
        return await self._connection.read(lambda: waiter)

    async def read(self, id: str) -> Resource | None:
        """Read a SUMMARY without applying it; return None if there is no such resource."""
        driver = self._connection.driver
        try:
            return await self._connection.read(
                lambda: driver.get_resource(id, ResourceView.SUMMARY)
            )
        except ResourceNotFoundError:
            return None

    def is_dirty(self, id: str) -> bool:
        """Return whether a resource has a read under way or pending."""
        return id in self._tasks

    @property
    def busy(self) -> bool:
        """Whether any resource has a read under way or pending."""
        return bool(self._tasks)

    async def idle(self) -> None:
        """Wait until no read is under way or pending."""
        await self._clean.wait()

    def _add(self, dirty: _Dirty) -> None:
        id = dirty.event.id
        pending = self._dirty.setdefault(id, dirty)
        if pending is not dirty:
            pending.event |= dirty.event
            pending.waiters |= dirty.waiters
            if dirty.waiters:
                pending.awaited.set()
        if dirty.waiters:
            self._slots.promote(id)
            self._full_reads.promote(id)
        if id not in self._tasks:
            self._clean.clear()
            self._tasks[id] = asyncio.create_task(self._read_until_clean(id))

    async def _read_until_clean(self, id: str) -> None:
        try:
            while (dirty := self._dirty.get(id)) is not None:
                await self._delay(dirty)
                await self._read_and_apply(id)
        finally:
            del self._tasks[id]
            if not self._tasks:
                self._clean.set()

    async def _delay(self, dirty: _Dirty) -> None:
        """Wait until a read is due, or awaited."""
        delay = dirty.due - self._store.now()
        if delay > 0 and not dirty.awaited.is_set():
            awaited = asyncio.ensure_future(dirty.awaited.wait())
            try:
                await asyncio.wait({awaited}, timeout=delay)
            finally:
                awaited.cancel()

    async def _read_and_apply(self, id: str) -> None:
        engine = self._connection.ref
        with ExitStack() as reading:
            async with self._slots.slot(id, awaited=self._is_awaited(id)):
                dirty = self._dirty.pop(id)  # events from here on count for the next read
                begun = reading.enter_context(self._store.reading())
                try:
                    observed = await self.read(id)
                except Exception as error:  # noqa: BLE001 - who waits must hear of a fault too
                    self._fail(dirty, error)
                    return
            detail: Resource | None = None
            unread: Exception | None = None
            event = dirty.event
            if observed is None:
                applied = self._store.apply_absence(engine, id, begun)
            else:
                if self._must_compare(dirty):
                    try:
                        awaited = bool(dirty.waiters) or self._is_awaited(id)
                        detail = await self._full_reads.read(id, awaited=awaited)
                        event |= EngineEvent(id=id, reconfigured=True)
                    except Exception as error:  # noqa: BLE001 - the SUMMARY is true all the same
                        unread = error
                        self._log_fault(id, error)
                applied = self._store.apply(engine, observed, begun, event=event, detail=detail)
        if not applied:
            # Something was applied during this read, so this read may be stale: read again.
            self._add(dirty)
            return
        self._answer(dirty, self._store.entries.get(engine, id), unread)

    def _is_awaited(self, id: str) -> bool:
        """Return whether a caller waits for the next read of a resource."""
        dirty = self._dirty.get(id)
        return dirty is not None and bool(dirty.waiters)

    def _must_compare(self, dirty: _Dirty) -> bool:
        """Return whether the FULL view that was read last may have changed."""
        entry = self._store.entries.get(self._connection.ref, dirty.event.id)
        if entry is None or entry.detail is None:
            return False
        return dirty.event.reconfigured or any(dirty.waiters.values())

    def _answer(self, dirty: _Dirty, entry: Entry | None, unread: Exception | None) -> None:
        for waiter, in_full in dirty.waiters.items():
            if waiter.done():
                continue
            if in_full and unread is not None:
                _refuse(waiter, unread)
            else:
                waiter.set_result(entry)

    def _fail(self, dirty: _Dirty, error: Exception) -> None:
        """Pass a failure to the callers; try again later, unless a resync will."""
        self._log_fault(dirty.event.id, error)
        for waiter in dirty.waiters:
            if not waiter.done():
                _refuse(waiter, error)
        if (
            isinstance(error, EngineUnreachableError | EngineTimedOutError)
            and self._connection.lost
        ):
            return
        id, event = dirty.event.id, dirty.event
        if id in self._retries:
            self._retries[id].cancel()
        self._retries[id] = asyncio.get_running_loop().call_later(
            self._timing.retry_after, lambda: self._retry(event)
        )

    def _retry(self, event: EngineEvent) -> None:
        del self._retries[event.id]
        self._add(_Dirty(event, self._store.now()))

    def _log_fault(self, id: str, error: Exception) -> None:
        """Log a fault of the driver, once for each resource: reads are repeated."""
        if isinstance(error, ProaError):
            return
        entry = self._store.entries.get(self._connection.ref, id)
        if entry is None or self._store.note_fault(entry):
            _log.error(
                "refresh failed", engine=str(self._connection.ref), resource=id, exc_info=error
            )


def _refuse(waiter: _Waiter, error: Exception) -> None:
    waiter.set_exception(error)
    waiter.exception()  # retrieved: the caller may have gone

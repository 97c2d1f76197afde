"""Following one engine: subscribe, list, apply."""

import asyncio
import math
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Never

import structlog

from proad.core.engine_connection import EngineConnection
from proad.core.inventory.records import UNSEEN_FOR
from proad.core.inventory.refresher import Refresher
from proad.core.inventory.store import Store
from proad.core.inventory.timing import InventoryTiming
from proad.core.slices import TimeSlicer
from proad.errors import (
    EngineConflictError,
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
)
from proad.model import EngineEvent, Gap, GapKind

_log = structlog.get_logger(__name__)


class Reflector:
    """Keeps the store as one engine is: subscribes to its events, lists its resources, and
    lists them again whenever events may have been missed.

    Args:
        connection: the engine.
        store: receives what is listed.
        refresher: receives the events.
        slicer: shares the event loop's time among long lists.
        timing: the durations.
    """

    def __init__(
        self,
        connection: EngineConnection,
        store: Store,
        refresher: Refresher,
        slicer: TimeSlicer,
        timing: InventoryTiming,
    ) -> None:
        self.connection = connection
        self._store = store
        self._refresher = refresher
        self._slicer = slicer
        self._timing = timing
        self._synced = asyncio.Event()
        self._lost_once = False
        self._lost_published = False

    @property
    def synced(self) -> bool:
        """Whether the store is as the engine is, but for events on their way."""
        return self._synced.is_set() and not self.connection.lost

    def begin_with_gap(self) -> Gap | None:
        """Return the gap that a new watcher begins with; None if the engine is synced.

        The end of that gap is then published to all watchers.
        """
        if self.synced:
            return None
        self._lost_published = True
        return self._gap(GapKind.ENGINE_LOST, self.connection.health_message)

    async def ready(self) -> None:
        """Wait until the engine is synced.

        Raises:
            EngineUnreachableError: the engine does not answer.
        """
        if self.synced:
            return
        try:
            async with asyncio.timeout(self._timing.ready_within):
                while not self.synced:
                    await self.connection.read(self._synced.wait)
                    await asyncio.sleep(0)
        except TimeoutError:
            raise self.connection.unreachable("its resources could not be read") from None

    async def follow(self) -> None:
        """Follow the engine for ever."""
        clock = asyncio.get_running_loop().time
        failures = 0
        while True:
            await self.connection.serving()
            began = math.inf
            try:
                subscription = self.connection.driver.subscribe(self._refresher.mark_dirty)
                async with subscription as lost:
                    await self._resync()
                    began = clock()
                    self._lose(await self._reason_to_resync(lost))
            except ProaError as error:
                self._lose(error.message)
            except Exception as error:  # noqa: BLE001 - one fault of a driver must not end it all
                _log.exception("following failed", engine=str(self.connection.ref))
                self._lose(f"fault: {type(error).__name__}")
            finally:
                self._synced.clear()
            self.connection.probe_soon()
            # A list that succeeds says nothing of the stream, which may be cut at once again.
            if clock() - began > self._timing.steady_after:
                failures = 0
            await asyncio.sleep(
                self._timing.back_off[min(failures, len(self._timing.back_off) - 1)]
            )
            failures += 1

    async def _reason_to_resync(self, lost: asyncio.Future[Never]) -> str:
        """Wait until events can be trusted no more, and return the reason.

        Raises:
            EngineUnreachableError: the stream of events is lost.
        """
        ends = [asyncio.ensure_future(end) for end in (self._engine_lost(), self._event_missed())]
        awaited: list[asyncio.Future[Any]] = [lost, *ends]
        try:
            done, _others = await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            reason: str = done.pop().result()
            return reason
        finally:
            for end in ends:  # the driver ends `lost`
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _engine_lost(self) -> str:
        await self.connection.wait_lost()
        return self.connection.health_message

    async def _event_missed(self) -> str:
        """List all resources now and then, until a list has a change without an event.

        The stream of events may have died silently, or may leak: it cannot be trusted.
        """
        await self._end_records()
        while True:
            await asyncio.sleep(self._timing.compare_every)
            if await self._missed_any():
                return "changes were found that the engine had not told of"

    async def _resync(self) -> None:
        """List all resources and apply what differs: of what happened before, no event came."""
        connection, engine = self.connection, self.connection.ref
        await self._store.records.load(connection)
        with self._store.reading() as begun:
            found = await connection.read(connection.driver.list_resources)
            if not await self._store.records.is_current(connection):
                raise connection.unreachable("another engine answers by now")
            applied = self._store.apply_list(engine, found, begun)
            overtaken = [id async for id, current in self._slicer.each(applied) if not current]
        # What was known before the records were.
        async for entry in self._slicer.each(list(self._store.entries.of(engine))):
            if not self._store.is_recorded(entry):
                self._store.touch(entry)
        # Reads that straddle the list may be older, and the list does not show FULL views,
        # for which callers may hold etags.
        for id in overtaken:
            self._refresher.mark_dirty(EngineEvent(id=id))
        if self._lost_once:
            # In slices: there may be thousands.
            async for entry in self._slicer.each(list(self._store.entries.of(engine))):
                if entry.detail is not None:
                    id = entry.observed.id
                    self._refresher.mark_dirty(EngineEvent(id=id, reconfigured=True))
        try:
            async with asyncio.timeout(self._timing.settles_within):
                await self._refresher.idle()
        except TimeoutError:
            pass  # what hangs must not hold up the others
        connection.last_sync_time = datetime.now(UTC)
        if self._lost_published:
            self._lost_published = False
            self._store.history.note(self._gap(GapKind.ENGINE_RESYNCED))
        self._synced.set()

    async def _end_records(self) -> None:
        """End the records of resources that went while nobody listened."""
        records, engine = self._store.records, self.connection.ref
        before = datetime.now(UTC) - UNSEEN_FOR
        async for record in self._slicer.each(records.of(engine)):
            # Not what the engine shows by another host's name, or its clone.
            if record.id and not any(self._store.entries.with_id(record.id)):
                with suppress(EngineTimedOutError, EngineConflictError):  # it says nothing
                    if await self._refresher.read(record.id) is None:
                        records.end(engine, record.id)
            elif not record.id and record.create_time < before:
                records.forget(self.connection, [record.mark])

    async def _missed_any(self) -> bool:
        """List all resources; return whether there is a change of which no event came."""
        connection, engine = self.connection, self.connection.ref
        with self._store.reading() as begun:
            listed = await connection.read(connection.driver.list_resources)
            differ: list[str] = []
            async for observed in self._slicer.each(listed):
                entry = self._store.entries.get(engine, observed.id)
                if entry is None or entry.observed != observed:
                    differ.append(observed.id)
            found = {observed.id for observed in listed}
            differ += (
                entry.observed.id
                for entry in self._store.entries.of(engine)
                if entry.observed.id not in found
            )
            differ = [id for id in differ if not self._explained(id, begun)]
            if differ:
                await asyncio.sleep(self._timing.events_within)
            for id in differ:
                try:
                    fresh = await self._refresher.read(id)
                except EngineUnreachableError:
                    raise
                except ProaError:
                    continue  # the engine cannot read this resource, which says nothing of others
                entry = self._store.entries.get(engine, id)
                known = entry.observed if entry is not None else None
                if fresh != known and not self._explained(id, begun):
                    return True
        connection.last_sync_time = datetime.now(UTC)
        return False

    def _explained(self, id: str, begun: int) -> bool:
        """Return whether a list and the store may differ because of what is under way."""
        engine = self.connection.ref
        entry = self._store.entries.get(engine, id)
        verb = entry is not None and entry.activity is not None
        return verb or self._refresher.is_dirty(id) or self._store.touched(engine, id, begun)

    def _lose(self, message: str) -> None:
        if self._synced.is_set():
            self._synced.clear()
            self._lost_once = self._lost_published = True
            self._store.history.note(self._gap(GapKind.ENGINE_LOST, message))
            _log.info("events lost", engine=str(self.connection.ref), message=message)

    def _gap(self, kind: GapKind, message: str = "") -> Gap:
        return Gap(kind=kind, engine=self.connection.ref, message=message)

"""Following one engine: subscribe, list, apply."""

import asyncio
import math
from datetime import UTC, datetime
from typing import Never

import structlog

from proad.core.engine_connection import EngineConnection
from proad.core.inventory.refresher import Refresher
from proad.core.inventory.store import Store
from proad.errors import EngineUnreachableError, ProaError
from proad.model import EngineEvent, Gap, GapKind

_log = structlog.get_logger(__name__)

COMPARE_EVERY = 60.0
"""Seconds between two lists that only make sure that no event was missed."""
EVENTS_WITHIN = 0.5
"""Seconds in which an event may follow what a list shows already."""
READY_WITHIN = 10.0
"""Seconds that a read waits for an engine that answers to be read anew."""
_BACK_OFF = (0.05, 0.2, 0.5, 1.0, 2.0)
_STEADY_AFTER = 5.0
_SETTLES_WITHIN = 1.0


class Reflector:
    """Keeps the picture of one engine's resources true: it has looked at what the engine
    says that something happened to, and compares all that there is whenever it cannot know.

    Args:
        connection: the engine.
        store: what is kept.
        refresher: refreshes single resources.
    """

    def __init__(self, connection: EngineConnection, store: Store, refresher: Refresher) -> None:
        self.connection = connection
        self._store = store
        self._refreshers = refresher
        self._synced = asyncio.Event()
        self._lost_once = False
        self._lost_told = False

    @property
    def synced(self) -> bool:
        """Whether the picture is true now."""
        return self._synced.is_set() and not self.connection.lost

    def tell_gap(self) -> Gap | None:
        """Give the gap that a watcher begins with, if the picture is not true now.

        Whoever was told so is told when it is over, as all others are.
        """
        if self.synced:
            return None
        self._lost_told = True
        return self._gap(GapKind.ENGINE_LOST, self.connection.health_message)

    async def ready(self) -> None:
        """Wait until the picture is true.

        Raises:
            EngineUnreachableError: the engine does not answer.
        """
        if self.synced:
            return
        try:
            async with asyncio.timeout(READY_WITHIN):
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
                subscription = self.connection.driver.subscribe(self._refreshers.mark_dirty)
                async with subscription as lost:
                    await self._resync()
                    began = clock()
                    self._lose(await self._hear(lost))
            except ProaError as error:
                self._lose(error.message)
            except Exception as error:  # noqa: BLE001 - one fault of a driver must not end it all
                _log.exception("following failed", engine=self.connection.name)
                self._lose(f"fault: {type(error).__name__}")
            finally:
                self._synced.clear()
            self.connection.probe_soon()
            # A list that succeeds says nothing of the stream, which may be cut at once again.
            if clock() - began > _STEADY_AFTER:
                failures = 0
            await asyncio.sleep(_BACK_OFF[min(failures, len(_BACK_OFF) - 1)])
            failures += 1

    async def _hear(self, lost: asyncio.Future[Never]) -> str:
        """Wait until events can no longer be trusted, and return the reason.

        Raises:
            EngineUnreachableError: the stream of events is lost.
        """
        ends = [
            asyncio.ensure_future(end)
            for end in (self._stream_lost(lost), self._unanswered(), self._missed())
        ]
        try:
            done, _others = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _stream_lost(self, lost: asyncio.Future[Never]) -> str:
        await lost

    async def _unanswered(self) -> str:
        await self.connection.wait_lost()
        return self.connection.health_message

    async def _missed(self) -> str:
        """Compare now and then, until something has changed that no event told of.

        A stream may have died without a word, or leak: it is no use any more.
        """
        while True:
            await asyncio.sleep(COMPARE_EVERY)
            if await self._missed_any():
                return "changes were found that the engine had not told of"

    async def _resync(self) -> None:
        """Read all resources and take what differs: what happened before, nobody told us."""
        with self._refreshers.noting_touched() as touched:
            found = await self.connection.read(self.connection.driver.list_resources)
        there = {observed.id for observed in found} | touched
        for entry in list(self._store.of(self.connection.name)):
            if entry.observed.id not in there:
                self._store.remove(self.connection.name, entry.observed.id)
        for observed in found:
            if observed.id not in touched:
                self._store.put(self.connection.name, self.connection.host, observed)
        for entry in self._store.of(self.connection.name):
            entry.drop_detail()
            if self._lost_once and entry.last_detail is not None:
                # Somebody may hold an etag for what they were shown of it.
                self._refreshers.mark_dirty(EngineEvent(id=entry.observed.id, reconfigured=True))
                touched.add(entry.observed.id)
        # What happened in between, the list may show or not; nor does it show details.
        await self._refreshers.settle(touched, _SETTLES_WITHIN)
        self.connection.last_sync_time = datetime.now(UTC)
        if self._lost_told:
            self._lost_told = False
            self._store.journal.note(self._gap(GapKind.ENGINE_RESYNCED))
        self._synced.set()

    async def _missed_any(self) -> bool:
        with self._refreshers.noting_touched() as touched:
            found = {
                r.id: r for r in await self.connection.read(self.connection.driver.list_resources)
            }
            before = {
                entry.observed.id: entry.observed for entry in self._store.of(self.connection.name)
            }
            differ = [
                id
                for id in found.keys() | before.keys()
                if found.get(id) != before.get(id) and not self._explained(id, touched)
            ]
            if differ:
                await asyncio.sleep(EVENTS_WITHIN)
            for id in differ:
                try:
                    fresh = await self._refreshers.read(id)
                except EngineUnreachableError:
                    raise
                except ProaError:
                    continue  # the engine cannot tell of this one, which says nothing of others
                entry = self._store.get(self.connection.name, id)
                observed = entry.observed if entry is not None else None
                if fresh != observed and not self._explained(id, touched):
                    return True
        self.connection.last_sync_time = datetime.now(UTC)
        return False

    def _explained(self, id: str, touched: set[str]) -> bool:
        """Tell whether a list and the picture may differ because something is under way."""
        entry = self._store.get(self.connection.name, id)
        active = entry is not None and entry.activity is not None
        return active or id in touched or self._refreshers.under_way(id)

    def _lose(self, message: str) -> None:
        if self._synced.is_set():
            self._synced.clear()
            self._lost_once = self._lost_told = True
            self._store.journal.note(self._gap(GapKind.ENGINE_LOST, message))
            _log.info("events lost", engine=self.connection.name, message=message)

    def _gap(self, kind: GapKind, message: str = "") -> Gap:
        return Gap(kind=kind, engine=self.connection.name, message=message)

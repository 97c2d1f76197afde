"""Looking at single resources again: when something hints at them, or somebody asks."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import structlog

from proad.core.actor import current_actor
from proad.core.engine_connection import EngineConnection
from proad.core.inventory.deeds import Deed
from proad.core.inventory.full_reads import FullReads
from proad.core.inventory.holds import Holds
from proad.core.inventory.store import Entry, Store
from proad.errors import (
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
    ResourceNotFoundError,
)
from proad.model import ACTIVE, EngineEvent, Resource, ResourceKind, ResourceView
from proad.ports import OnMade

_log = structlog.get_logger(__name__)

REFRESHES = 4
"""Looks at an engine at a time: verbs must find a thread too."""
_REFRESH_AGAIN = 1.0

_Waiter = asyncio.Future[Entry | None]


@dataclass(slots=True)
class _Dirty:
    """That something happened to a resource, and who waits for a look at it.

    Attributes:
        event: what happened.
        waiters: who waits; True: for a look at the FULL view as well.
        wanted: somebody waits.
    """

    event: EngineEvent
    waiters: dict[_Waiter, bool] = field(default_factory=dict)
    wanted: asyncio.Event = field(default_factory=asyncio.Event)

    def wait(self, waiters: dict[_Waiter, bool]) -> None:
        """Have more wait."""
        self.waiters |= waiters
        if waiters:
            self.wanted.set()


class Refresher:
    """Looks at one engine's resources, one by one, and takes what it finds.

    Args:
        connection: the engine.
        store: what is kept.
    """

    def __init__(self, connection: EngineConnection, store: Store) -> None:
        self.connection = connection
        self._store = store
        self._slots = asyncio.Semaphore(REFRESHES)
        self._full_reads = FullReads(connection)
        self._dirty: dict[str, _Dirty] = {}
        self._refreshing: dict[str, asyncio.Task[None]] = {}
        self._touched: set[str] | None = None
        self._holds = Holds()

    async def close(self) -> None:
        """End the looks under way."""
        tasks = list(self._refreshing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._full_reads.close()

    def mark_dirty(self, event: EngineEvent) -> None:
        """Look at a resource again, soon."""
        entry = self._store.get(self.connection.name, event.id)
        if entry is not None:
            entry.drop_detail()
            entry.unsettled |= event.reconfigured
        self._mark_dirty(event)

    async def refresh(self, id: str, *, reconfigured: bool = False) -> Entry | None:
        """Look at a resource now; None: there is none.

        Args:
            id: its full id.
            reconfigured: it may differ in what a SUMMARY does not show. If somebody was
                shown its FULL view, that is read and compared as well, and a difference
                is a change.

        Raises:
            EngineUnreachableError: the engine does not answer.
            EngineTimedOutError: the FULL view could not be read soon enough.
        """
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        dirty = self._mark_dirty(EngineEvent(id=id))
        dirty.wait({waiter: reconfigured})
        return await self.connection.read(lambda: waiter)

    async def read(self, id: str) -> Resource | None:
        """Read a SUMMARY, without taking it; None: there is no such resource."""
        driver = self.connection.driver
        try:
            return await self.connection.read(lambda: driver.get_resource(id, ResourceView.SUMMARY))
        except ResourceNotFoundError:
            return None

    async def settle(self, ids: Iterable[str], within: float) -> None:
        """Wait for the looks at these, so many seconds at most."""
        looking = [self._refreshing[id] for id in ids if id in self._refreshing]
        if looking:
            await asyncio.wait(looking, timeout=within)

    def under_way(self, id: str) -> bool:
        """Tell whether a look, or a verb, is about to say more of a resource."""
        return id in self._refreshing or self._holds.under_way(id)

    @contextmanager
    def noting_touched(self) -> Iterator[set[str]]:
        """Note what something happens to: a list that is on its way may be older."""
        touched = self._touched = set()
        try:
            yield touched
        finally:
            self._touched = None

    def apply(self, observed: Resource, *, actor: str | None = None) -> Entry:
        """Take a SUMMARY that the caller has just read."""
        self._touch(observed.id)
        return self._store.put(self.connection.name, self.connection.host, observed, actor=actor)

    def finish(self, entry: Entry, observed: Resource) -> None:
        """Take what a verb read at its end."""
        self._touch(observed.id)
        self._store.finish(entry, observed)

    def drop(self, id: str, *, actor: str | None = None) -> None:
        """Forget a resource that the caller has just seen go."""
        self._touch(id)
        self._store.remove(self.connection.name, id, actor=actor)

    def holding(self, id: str) -> AbstractContextManager[None]:
        """Put off looks at a resource for a moment: see `Holds.holding`."""
        return self._holds.holding(id)

    def pruning(self) -> AbstractContextManager[None]:
        """Put off looks at what is gone for a moment: see `Holds.pruning`."""
        return self._holds.pruning()

    @contextmanager
    def making(self) -> Iterator[OnMade]:
        """Know whose doing it is what becomes of what a call makes.

        Gives whom to tell its id. Looks at what is new are put off for a moment until then.
        """
        engine, deed = self.connection.name, Deed(None, current_actor())
        ids: set[str] = set()
        over = False
        failure: BaseException | None = None
        with self._holds.creating() as said:

            def on_made(id: str) -> None:
                if not over and id not in ids:  # a thread may be later than its call
                    ids.add(id)
                    self._store.begin_making(engine, id, deed)
                    said()

            try:
                yield on_made
            except BaseException as error:
                failure = error
                raise
            finally:
                over = True
                for id in ids:
                    self._store.end_making(engine, id, deed, failure)

    def _touch(self, id: str) -> None:
        if self._touched is not None:
            self._touched.add(id)

    def _mark_dirty(self, event: EngineEvent) -> _Dirty:
        self._touch(event.id)
        dirty = self._dirty.get(event.id)
        if dirty is None:
            dirty = self._dirty[event.id] = _Dirty(event)
        else:
            dirty.event |= event
        if event.id not in self._refreshing:
            self._refreshing[event.id] = asyncio.create_task(self._refresh(event.id))
        return dirty

    async def _refresh(self, id: str) -> None:
        """Look at one resource until nothing more happens to it."""
        try:
            await self._refresh_until_clean(id)
        finally:
            del self._refreshing[id]

    async def _refresh_until_clean(self, id: str) -> None:
        while (dirty := self._dirty.get(id)) is not None:
            await self._release(id, dirty)
            async with self._slots:
                del self._dirty[id]
                place = self._place(id)
                try:
                    fresh = await self.read(id)
                except Exception as error:  # noqa: BLE001 - who waits must hear of a fault too
                    self._failed(dirty, error)
                    continue
            detail: Resource | None = None
            unread: Exception | None = None
            if fresh is not None and self._compares_in_full(id, dirty):
                try:
                    detail = await self._full_reads.read(id)
                except Exception as error:  # noqa: BLE001 - the SUMMARY is true all the same
                    unread = error
                    self._log_fault(id, error)
            if self._holds.waits(id) and not dirty.waiters:
                # A verb began meanwhile: what was read may be of before or after it.
                self._mark_dirty(dirty.event)
                continue
            if self._place(id) != place:
                # One ended meanwhile: what it told may be later than what was read.
                again = self._mark_dirty(dirty.event)
                again.wait(dirty.waiters)
                continue
            self._take(id, fresh, detail, dirty)
            self._answer(dirty, self._store.get(self.connection.name, id), unread)

    def _place(self, id: str) -> tuple[Entry, int] | None:
        """Tell which reading of a resource is the last one."""
        entry = self._store.get(self.connection.name, id)
        return (entry, entry.reads) if entry is not None else None

    def _compares_in_full(self, id: str, dirty: _Dirty) -> bool:
        """Tell whether what somebody was shown of a FULL view may no longer be so.

        An event alone does not say: it may tell of what we did and know already.
        """
        entry = self._store.get(self.connection.name, id)
        if entry is None or entry.last_detail is None:
            return False
        return dirty.event.reconfigured or any(dirty.waiters.values())

    def _take(
        self, id: str, fresh: Resource | None, detail: Resource | None, dirty: _Dirty
    ) -> None:
        self._touch(id)
        name = self.connection.name
        if fresh is None:
            self._store.remove(name, id, actor=self._pruned_by(id))
            return
        event = dirty.event
        if detail is not None:
            event |= EngineEvent(id=id, reconfigured=True)
        entry = self._store.put(name, self.connection.host, fresh, event=event, detail=detail)
        if (later := self._dirty.get(id)) is not None:
            entry.unsettled |= later.event.reconfigured

    def _pruned_by(self, id: str) -> str | None:
        """Tell whose prune it may be that removed a resource: one that takes long."""
        entry = self._store.get(self.connection.name, id)
        if entry is None or entry.activity is not None or entry.observed.state in ACTIVE:
            return None
        return self._holds.pruner if entry.observed.kind is ResourceKind.CONTAINER else None

    def _answer(self, dirty: _Dirty, entry: Entry | None, unread: Exception | None) -> None:
        for waiter, in_full in dirty.waiters.items():
            if waiter.done():
                continue
            if in_full and unread is not None:
                waiter.set_exception(unread)
                waiter.exception()  # whoever waited may have gone
            else:
                waiter.set_result(entry)

    def _log_fault(self, id: str, error: Exception) -> None:
        """Tell the log, once of each resource: it is looked at again and again."""
        entry = self._store.get(self.connection.name, id)
        if isinstance(error, ProaError) or (entry is not None and entry.fault_told):
            return
        if entry is not None:
            entry.fault_told = True
        _log.error("look failed", engine=self.connection.name, resource=id, exc_info=error)

    def _failed(self, dirty: _Dirty, error: Exception) -> None:
        """Tell those who wait; look again later, unless a comparison of all will."""
        self._log_fault(dirty.event.id, error)
        for waiter in dirty.waiters:
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # whoever waited may have gone
        if isinstance(error, EngineUnreachableError | EngineTimedOutError) and self.connection.lost:
            return
        event = dirty.event
        asyncio.get_running_loop().call_later(_REFRESH_AGAIN, lambda: self._mark_dirty(event))

    async def _release(self, id: str, dirty: _Dirty) -> None:
        """Wait for who is about to say the same, unless somebody waits for the look itself."""
        if dirty.wanted.is_set() or not self._holds.any:
            return
        said = asyncio.ensure_future(self._said(id, dirty.event))
        wanted = asyncio.ensure_future(dirty.wanted.wait())
        try:
            await asyncio.wait({said, wanted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            said.cancel()
            wanted.cancel()

    async def _said(self, id: str, event: EngineEvent) -> None:
        """Wait, not for long, for what a verb or a call under way has to say of a resource."""
        await self._holds.verb_over(id)
        entry = self._store.get(self.connection.name, id)
        if entry is None:
            await self._holds.creates_over()
        elif event.removed and entry.activity is None:
            await self._holds.prunes_over()

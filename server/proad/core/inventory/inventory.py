"""The inventory: where the rest of the core reads resources, and applies what it did."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import structlog

from proad.core.actor import current_actor
from proad.core.engine_connection import EngineConnection
from proad.core.inventory.entry import Entry
from proad.core.inventory.full_views import FullViews
from proad.core.inventory.history import ChangeHistory
from proad.core.inventory.index import Position
from proad.core.inventory.recorder import Recorder
from proad.core.inventory.reflector import Reflector
from proad.core.inventory.refresher import Refresher
from proad.core.inventory.store import Store
from proad.core.inventory.timing import InventoryTiming
from proad.core.slices import TimeSlicer
from proad.core.tenancy import EVERYTHING, Visibility
from proad.errors import EngineTimedOutError, EngineUnreachableError, ProaError
from proad.model import (
    Activity,
    EngineEvent,
    EngineRef,
    Gap,
    Resource,
    ResourceKind,
    Verb,
)
from proad.ports import OnStep
from proad.ports.records import ResourceRecord

_log = structlog.get_logger(__name__)


class Inventory:
    """A live cache of all resources of all engines.

    Args:
        connections: the engines.
        store: receives what is read; a new one by default.
        slicer: shares the event loop's time among long lists; a new one by default.
        timing: the durations.
    """

    def __init__(
        self,
        connections: Iterable[EngineConnection],
        store: Store | None = None,
        *,
        slicer: TimeSlicer | None = None,
        timing: InventoryTiming = InventoryTiming(),
    ) -> None:
        self.slicer = slicer or TimeSlicer()
        self._store = store or Store(ChangeHistory())
        self.history = self._store.history
        self._timing = timing
        connections = tuple(connections)
        self._refreshers = {
            connection.ref: Refresher(connection, self._store, timing) for connection in connections
        }
        self._reflectors = {
            connection.ref: Reflector(
                connection, self._store, self._refreshers[connection.ref], self.slicer, timing
            )
            for connection in connections
        }
        self._full_views = FullViews(self._store, self.refresh)
        self.recorder = Recorder(self._store, self.refresh, self.slicer, timing)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the engines; those that answer have been listed when the block is entered."""
        reflectors = self._reflectors.values()
        tasks = [asyncio.create_task(reflector.follow()) for reflector in reflectors]
        tasks += [asyncio.create_task(self._store.records.write())]
        tasks += [asyncio.create_task(self.recorder.follow_names(self._reflectors))]
        try:
            await asyncio.gather(*(self._listed(reflector) for reflector in reflectors))
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._full_views.close()
            for refresher in self._refreshers.values():
                await refresher.close()

    async def idle(self) -> None:
        """Wait until no refresh is under way or pending, but for retries of those that failed."""
        while any(refresher.busy for refresher in self._refreshers.values()):
            await asyncio.gather(*(refresher.idle() for refresher in self._refreshers.values()))

    @property
    def revision(self) -> int:
        """The revision of the last change."""
        return self.history.revision

    @property
    def epoch(self) -> str:
        """Distinguishes the revisions of this run of the daemon from another run's."""
        return self.history.epoch

    def close(self) -> None:
        """End all watches: the daemon is stopping."""
        self.history.close()

    def synced(self, connection: EngineConnection) -> bool:
        """Return whether an engine's resources are as the engine has them now."""
        return self._reflectors[connection.ref].synced

    async def ready(self, connection: EngineConnection) -> None:
        """Wait until an engine's resources are as the engine has them.

        Raises:
            EngineUnreachableError: the engine does not answer.
        """
        await self._reflectors[connection.ref].ready()

    def gap(self, connection: EngineConnection) -> Gap | None:
        """Return the gap that a new watcher begins with; None if the engine is synced."""
        return self._reflectors[connection.ref].begin_with_gap()

    async def lost(
        self, connections: Sequence[EngineConnection]
    ) -> Mapping[EngineRef, EngineUnreachableError]:
        """Wait until these engines are synced, and return the errors of those that are lost.

        Returns:
            The errors, by engine.
        """
        answers = await asyncio.gather(
            *(self.ready(connection) for connection in connections), return_exceptions=True
        )
        lost: dict[EngineRef, EngineUnreachableError] = {}
        for connection, answer in zip(connections, answers, strict=True):
            if isinstance(answer, EngineUnreachableError):
                lost[connection.ref] = answer
            elif answer is not None:
                raise answer
        return lost

    def entry(self, connection: EngineConnection, id: str) -> Entry | None:
        """Return the entry of a resource; None if there is no such resource."""
        return self._store.entries.get(connection.ref, id)

    def all(
        self, connection: EngineConnection, visibility: Visibility = EVERYTHING
    ) -> Iterator[Resource]:
        """Return the SUMMARYs of an engine's resources that may be seen."""
        entries = self._store.entries
        if visibility.owners is None:
            return (entry.published for entry in entries.of(connection.ref))
        return (
            entry.published
            for kind, owner_id in product(connection.driver.kinds, visibility.owners)
            for entry in entries.owned(connection.ref, kind, owner_id)
        )

    def owned(self, owner_id: str) -> Iterator[tuple[ResourceRecord, Entry | None]]:
        """Yield the records of an owner's resources, each with its entry.

        None: no engine shows the resource, be it that its create has not come so far, or that the
        engine has not been listed since the daemon began.
        """
        entries = self._store.entries
        for record, engines in self._store.records.owned(owner_id, self._reflectors):
            shown = (entries.get(engine, record.id) for engine in engines)
            yield record, next((entry for entry in shown if entry is not None), None)

    @property
    def engines(self) -> Iterator[EngineConnection]:
        """The connections to the engines."""
        return (reflector.connection for reflector in self._reflectors.values())

    def page(
        self,
        order: str,
        covered: Iterable[tuple[EngineConnection, ResourceKind]],
        limit: int,
        *,
        descending: bool = False,
        after: Position | None = None,
        prefix: str = "",
        owners: Collection[str] | None = None,
    ) -> list[Resource]:
        """Return the next SUMMARYs in a kept order; see `ResourceIndex.page`."""
        engines = ((connection.ref, kind) for connection, kind in covered)
        keys = self._store.entries.index.page(
            order, engines, limit, descending=descending, after=after, prefix=prefix, owners=owners
        )
        return [
            entry.published for key in keys if (entry := self._store.entries.get(*key)) is not None
        ]

    def with_id(self, id: str) -> Iterator[Entry]:
        """Return all resources of that full id."""
        return self._store.entries.with_id(id)

    def named(self, name: str) -> Iterator[Entry]:
        """Return all resources of that name."""
        return self._store.entries.named(name)

    def starting(
        self, digits: str, connection: EngineConnection, kind: ResourceKind
    ) -> Iterator[Entry]:
        """Return the resources whose full id, without hyphens, starts so, in order of id."""
        return self._store.entries.starting(digits, connection.ref, kind)

    def count_starting(self, digits: str, connection: EngineConnection, kind: ResourceKind) -> int:
        """Return the number of resources that `starting` returns, without looking at each."""
        return self._store.entries.index.count_starting(digits, connection.ref, kind)

    async def full(self, connection: EngineConnection, id: str) -> Resource:
        """Return the FULL view of a resource; see `FullViews.get`."""
        return await self._full_views.get(connection, id)

    def complete(self, connection: EngineConnection, view: Resource) -> Resource:
        """Return a driver's view of a resource, completed with what only the inventory knows."""
        return self._store.complete(connection.ref, view)

    async def refresh(
        self, connection: EngineConnection, id: str, *, reconfigured: bool = False
    ) -> Entry | None:
        """Read a resource from its engine now; see `Refresher.refresh`."""
        return await self._refreshers[connection.ref].refresh(id, reconfigured=reconfigured)

    async def refresh_changed(self, connection: EngineConnection, id: str) -> Entry | None:
        """Refresh what a call of the caller has changed; return its entry.

        The change is done: an answer that nobody can read does not make it a failure, which
        would have a create undone. What an engine that does not answer did is not known.

        Raises:
            EngineUnreachableError, EngineTimedOutError: the engine does not answer.
        """
        try:
            return await self.refresh(connection, id)
        except (EngineUnreachableError, EngineTimedOutError):
            raise
        except ProaError as error:
            _log.warning("change not read", engine=str(connection.ref), id=id, cause=error.message)
            self.mark_dirty(connection, id)
            return self.entry(connection, id)

    def mark_dirty(self, connection: EngineConnection, id: str) -> None:
        """Read a resource from its engine soon: something may have happened to it."""
        self._refreshers[connection.ref].mark_dirty(EngineEvent(id=id))

    @contextmanager
    def activity(self, entry: Entry, verb: Verb) -> Iterator[OnStep]:
        """Show on a resource that a verb is under way; the result takes the verb's steps."""
        begun = Activity(verb=verb, start_time=datetime.now(UTC), actor=current_actor())

        def on_step(step: str, percent: int | None = None) -> None:
            if entry.activity is not None:
                self._store.set_activity(entry, replace(begun, step=step, percent=percent))

        self._store.set_activity(entry, begun)
        try:
            yield on_step
        finally:
            self._store.set_activity(entry, None)

    def end_activity(self, entry: Entry) -> None:
        """End the activity of a resource before its verb ends: what follows is not its effect."""
        self._store.set_activity(entry, None)

    def begin(self) -> int:
        """Return the number of a verb that begins now, for `finish`."""
        return self._store.begin()

    async def finish(
        self,
        connection: EngineConnection,
        entry: Entry,
        observed: Resource,
        begun: int,
        *,
        ends_activity: bool = True,
    ) -> None:
        """Apply what a verb of the caller read at its end.

        Args:
            connection: the engine.
            entry: the resource, as it was known when the verb began.
            observed: what was read.
            begun: the number of the verb.
            ends_activity: the activity that shows is the verb's own.
        """
        if self._store.overtaken(entry.engine, observed.id, begun):
            if self.entry(connection, observed.id) is entry:
                # Another read was applied during the verb, and either may be the later one.
                self._store.note_change(entry, None, begun)
                await self.refresh_changed(connection, observed.id)
        else:
            self._store.finish(entry, observed, None if ends_activity else current_actor())

    async def finish_change(
        self, connection: EngineConnection, entry: Entry, begun: int, detail: Resource | None
    ) -> None:
        """Refresh a resource that a verb of the caller changed in something.

        Args:
            connection: the engine.
            entry: the resource.
            begun: the number of the verb.
            detail: the FULL view that the verb gave.
        """
        revision = entry.published.revision
        self._store.note_change(entry, detail, begun)
        after = await self.refresh_changed(connection, entry.observed.id)
        if after is entry and entry.published.revision == revision:
            self._store.touch(entry)

    def remove(self, connection: EngineConnection, id: str) -> None:
        """Remove a resource that a call of the caller has removed."""
        if (entry := self.entry(connection, id)) is not None:
            self._store.remove(entry, current_actor())

    async def _listed(self, reflector: Reflector) -> None:
        """Wait until an engine that answers has been listed, or for as long as a read would."""
        if reflector.connection.lost:
            return
        try:
            async with asyncio.timeout(self._timing.ready_within):
                await reflector.ready()
        except (TimeoutError, EngineUnreachableError):
            return  # the daemon serves without this engine, and says so

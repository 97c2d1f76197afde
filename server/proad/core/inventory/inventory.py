"""The inventory: where the rest of the core reads resources, and applies what it did."""

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from proad.core.actor import current_actor, current_user_id
from proad.core.engine_connection import EngineConnection
from proad.core.inventory.entry import Entry
from proad.core.inventory.history import ChangeHistory
from proad.core.inventory.index import Position
from proad.core.inventory.reflector import Reflector
from proad.core.inventory.refresher import Refresher
from proad.core.inventory.store import Store
from proad.core.inventory.timing import InventoryTiming
from proad.core.slices import TimeSlicer
from proad.errors import (
    DatabaseUnreachableError,
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
    ResourceNotFoundError,
)
from proad.model import (
    Activity,
    Domain,
    EngineEvent,
    EngineRef,
    Gap,
    Resource,
    ResourceKind,
    ResourceView,
    Verb,
    path_of,
)
from proad.ports import OnStep
from proad.ports.records import ResourceRecord

_TRIES = 3

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
        self._details: dict[str, asyncio.Task[Resource]] = {}

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the engines; those that answer have been listed when the block is entered."""
        reflectors = self._reflectors.values()
        tasks = [asyncio.create_task(reflector.follow()) for reflector in reflectors]
        tasks += [asyncio.create_task(self._store.records.write())]
        tasks += [asyncio.create_task(self._follow_names())]
        try:
            await asyncio.gather(*(self._listed(reflector) for reflector in reflectors))
            yield
        finally:
            for task in [*tasks, *self._details.values()]:
                task.cancel()
            await asyncio.gather(*tasks, *self._details.values(), return_exceptions=True)
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

    def all(self, connection: EngineConnection) -> Iterator[Resource]:
        """Return the SUMMARYs of an engine's resources."""
        return (entry.published for entry in self._store.entries.of(connection.ref))

    def page(
        self,
        order: str,
        covered: Iterable[tuple[EngineConnection, ResourceKind]],
        limit: int,
        *,
        descending: bool = False,
        after: Position | None = None,
        prefix: str = "",
    ) -> list[Resource]:
        """Return the next SUMMARYs in a kept order; see `ResourceIndex.page`."""
        engines = ((connection.ref, kind) for connection, kind in covered)
        keys = self._store.entries.index.page(
            order, engines, limit, descending=descending, after=after, prefix=prefix
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
        """Return the FULL view of a resource, from the engine if it is not known or too old.

        A fault of the driver, as opposed to an error that it raises, leaves the SUMMARY.

        Raises:
            ResourceNotFoundError: the resource is gone.
        """
        for _attempt in range(_TRIES):
            entry = self.entry(connection, id)
            if entry is None:
                raise ResourceNotFoundError(id)
            full = self._store.in_full(entry, connection.driver.full_view_age)
            if full is None:
                try:
                    await self._read_detail_once(connection, entry)
                except ResourceNotFoundError:
                    pass  # refreshed below
                except ProaError:
                    raise
                except Exception:  # noqa: BLE001 - whatever it is, one resource spoils no list
                    if self._store.note_fault(entry):
                        _log.exception("full view failed", engine=str(connection.ref), resource=id)
                    return entry.published
                full = self._store.in_full(entry, connection.driver.full_view_age)
            if full is not None and _agree(full, entry.published):
                return full
            # Something happened since the last event, or during the read.
            await self.refresh(connection, id)
        entry = self.entry(connection, id)
        if entry is None:
            raise ResourceNotFoundError(id)
        # The resource changes faster than it can be read: this was true a moment ago.
        detail = await connection.read(
            lambda: connection.driver.get_resource(id, ResourceView.FULL)
        )
        return self.complete(connection, detail)

    def complete(self, connection: EngineConnection, view: Resource) -> Resource:
        """Return a driver's view of a resource, completed with what only the inventory knows."""
        entry = self.entry(connection, view.id)
        if entry is not None:
            return entry.completed(view)
        return replace(view, engine=connection.ref, path=path_of(connection.ref, view))

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

    @asynccontextmanager
    async def changing_record(
        self, connection: EngineConnection, entry: Entry, changes: Mapping[str, Any]
    ) -> AsyncIterator[None]:
        """Change what is recorded of a resource, unless the block fails, and publish the change.

        Args:
            connection: the engine.
            entry: the resource.
            changes: new values of fields of the record.

        Raises:
            DatabaseUnreachableError: nothing was changed. The block is not entered.
        """
        records = self._store.records
        if not changes:
            yield
            return
        before = await records.change(connection, entry.observed, changes)
        try:
            yield
        except BaseException:
            with suppress(DatabaseUnreachableError):
                undone = {name: getattr(before, name) for name in changes}
                await records.change(connection, entry.observed, undone)
            raise
        finally:
            # The engine may be another host's, too.
            for each in list(self._store.with_id(entry.observed.id)):
                if not self._store.is_recorded(each):
                    self._store.touch(each)

    @asynccontextmanager
    async def creating(
        self,
        connection: EngineConnection,
        *,
        deletion_protection: bool = False,
        instead_of: Entry | None = None,
        keeps_labels: bool = True,
    ) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
        """Attribute and record what a create makes as the caller's.

        The result takes the create's mark, before anything is made. If the create fails, the
        driver has removed again what was made: refresh it.

        Args:
            connection: the engine.
            deletion_protection: whether what is made is protected.
            instead_of: the resource whose place the new one takes, with its owner and the labels
                that were changed; None: the new one is the caller's.
            keeps_labels: whether the new one has the labels that were changed of the other.
        """
        records = self._store.records
        owner, labels, name = current_user_id(), None, current_actor()
        if instead_of is not None:
            before = instead_of.record
            owner, labels = (before.owner, before.labels) if before else ("", None)
            labels = labels if keeps_labels else None
            name = instead_of.published.owner
        with self._store.attribution.creating(connection.ref, current_actor()) as creation:

            async def expect(mark: str) -> None:
                record = ResourceRecord(
                    mark=mark,
                    owner=owner,
                    deletion_protection=deletion_protection,
                    labels=labels,
                    create_time=datetime.now(UTC),
                )
                if not record.is_empty:
                    await records.plan(connection, record, name)
                creation.expect(mark)

            try:
                yield expect
            except Exception as error:
                with suppress(Exception):  # the failure of the create is what is reported
                    async with asyncio.timeout(self._timing.settles_within):
                        for id in list(creation.made):
                            await self.refresh(connection, id)
                if not isinstance(error, EngineUnreachableError | EngineTimedOutError):
                    records.forget(connection, creation.marks)
                raise
            # What has come and gone already, before anybody saw it.
            records.forget(connection, creation.marks)

    async def _follow_names(self) -> None:
        """Publish what belongs to a user whose name changed, for ever."""
        records = self._store.records
        while True:
            await asyncio.sleep(self._timing.records.names_interval)
            try:
                changed = await records.changed_names()
            except DatabaseUnreachableError:
                continue  # the names are those of before
            for engine in self._reflectors if changed else ():
                async for entry in self.slicer.each(list(self._store.entries.of(engine))):
                    if entry.record is not None and entry.record.owner in changed:
                        self._store.touch(entry)

    async def _listed(self, reflector: Reflector) -> None:
        """Wait until an engine that answers has been listed, or for as long as a read would."""
        if reflector.connection.lost:
            return
        try:
            async with asyncio.timeout(self._timing.ready_within):
                await reflector.ready()
        except (TimeoutError, EngineUnreachableError):
            return  # the daemon serves without this engine, and says so

    async def _read_detail_once(self, connection: EngineConnection, entry: Entry) -> None:
        """Read a FULL view from the engine; callers that ask at the same time share the read."""
        task = self._details.get(entry.path)
        if task is None:
            task = asyncio.create_task(self._read_detail(connection, entry))
            self._details[entry.path] = task
            task.add_done_callback(lambda done: self._forget(entry.path, done))
        await connection.read(lambda: asyncio.shield(task))

    async def _read_detail(self, connection: EngineConnection, entry: Entry) -> Resource:
        with self._store.reading() as begun:
            detail = await connection.driver.get_resource(entry.observed.id, ResourceView.FULL)
            self._store.keep_detail(entry, detail, begun)
        return detail

    def _forget(self, path: str, done: "asyncio.Task[Resource]") -> None:
        del self._details[path]
        if not done.cancelled():
            done.exception()  # retrieved: the caller may have gone


def _agree(full: Resource, summary: Resource) -> bool:
    """Return whether what both views show, and what changes without an event, is the same."""
    return full.state is summary.state and _size(full.domain) == _size(summary.domain)


def _size(domain: Domain | None) -> tuple[object, ...]:
    if domain is None:
        return ()
    return domain.memory_bytes, domain.max_memory_bytes, domain.vcpus, domain.autostart

"""Where the rest of the core begins: the picture, who keeps it true, and FULL views."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from proad.core.actor import current_actor
from proad.core.engine_connection import EngineConnection
from proad.core.inventory.index import Position
from proad.core.inventory.journal import Journal
from proad.core.inventory.reflector import READY_WITHIN, Reflector
from proad.core.inventory.refresher import Refresher
from proad.core.inventory.store import Entry, Store
from proad.errors import EngineUnreachableError, ProaError, ResourceNotFoundError
from proad.model import Activity, Domain, Gap, Resource, ResourceKind, ResourceView, Verb
from proad.ports import OnStep

_TRIES = 3

_log = structlog.get_logger(__name__)


class Inventory:
    """The live picture of all resources of all engines.

    Args:
        connections: the engines.
        journal: where changes go; a new one by default.
    """

    def __init__(
        self, connections: Iterable[EngineConnection], journal: Journal | None = None
    ) -> None:
        self.journal = journal or Journal()
        self.store = Store(self.journal)
        connections = tuple(connections)
        self._refreshers = {
            connection.name: Refresher(connection, self.store) for connection in connections
        }
        self._reflectors = {
            connection.name: Reflector(connection, self.store, self._refreshers[connection.name])
            for connection in connections
        }
        self._details: dict[str, asyncio.Task[Resource]] = {}

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the engines; what those that answer have is known when this is entered."""
        reflectors = self._reflectors.values()
        tasks = [asyncio.create_task(reflector.follow()) for reflector in reflectors]
        try:
            await asyncio.gather(*(_settled(reflector) for reflector in reflectors))
            yield
        finally:
            for task in [*tasks, *self._details.values()]:
                task.cancel()
            await asyncio.gather(*tasks, *self._details.values(), return_exceptions=True)
            for refresher in self._refreshers.values():
                await refresher.close()

    async def lost(
        self, connections: Sequence[EngineConnection]
    ) -> Mapping[str, EngineUnreachableError]:
        """Wait until the picture of these engines is true, and give those that do not answer.

        Returns:
            The errors that say so, by the engines' names.
        """
        answers = await asyncio.gather(
            *(self.reflector(connection).ready() for connection in connections),
            return_exceptions=True,
        )
        lost: dict[str, EngineUnreachableError] = {}
        for connection, answer in zip(connections, answers, strict=True):
            if isinstance(answer, EngineUnreachableError):
                lost[connection.name] = answer
            elif answer is not None:
                raise answer
        return lost

    @property
    def revision(self) -> int:
        """Return the revision of the last change."""
        return self.journal.revision

    @property
    def run_id(self) -> str:
        """Return what tells the revisions of this run of the daemon from another run's."""
        return self.journal.run_id

    def close(self) -> None:
        """End all watches: the daemon is stopping."""
        self.journal.close()

    def synced(self, connection: EngineConnection) -> bool:
        """Return whether an engine's resources are as the engine has them now."""
        return self.reflector(connection).synced

    async def ready(self, connection: EngineConnection) -> None:
        """Wait until an engine's resources are as the engine has them.

        Raises:
            EngineUnreachableError: the engine does not answer.
        """
        await self.reflector(connection).ready()

    def gap(self, connection: EngineConnection) -> Gap | None:
        """Return the gap that a new watcher begins with; None if the engine is synced."""
        return self.reflector(connection).tell_gap()

    async def refresh(
        self, connection: EngineConnection, id: str, *, reconfigured: bool = False
    ) -> Entry | None:
        """Read a resource from its engine now; see `Refresher.refresh`."""
        return await self.refresher(connection).refresh(id, reconfigured=reconfigured)

    def with_id(self, id: str) -> Iterator[Entry]:
        """Return all resources of that full id."""
        return self.store.with_id(id)

    def named(self, name: str) -> Iterator[Entry]:
        """Return all resources of that name."""
        return self.store.named(name)

    def starting(self, digits: str) -> Iterator[Entry]:
        """Return all resources whose full id, without hyphens, starts so; none for no digits."""
        return self.store.starting(digits)

    def reflector(self, connection: EngineConnection) -> Reflector:
        """Give what follows an engine."""
        return self._reflectors[connection.name]

    def refresher(self, connection: EngineConnection) -> Refresher:
        """Give what looks at an engine's resources."""
        return self._refreshers[connection.name]

    def entry(self, connection: EngineConnection, id: str) -> Entry | None:
        """Give what is known of a resource."""
        return self.store.get(connection.name, id)

    def all(self, connection: EngineConnection) -> Iterator[Resource]:
        """Give the SUMMARYs of an engine's resources."""
        return (entry.published for entry in self.store.of(connection.name))

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
        engines = ((connection.name, kind) for connection, kind in covered)
        keys = self.store.index.page(
            order, engines, limit, descending=descending, after=after, prefix=prefix
        )
        return [entry.published for key in keys if (entry := self.store.get(*key)) is not None]

    async def full(self, connection: EngineConnection, id: str) -> Resource:
        """Give the FULL view of a resource, from the engine where it is not known yet.

        A fault of the driver with it, as opposed to an error of its, leaves the SUMMARY.

        Raises:
            ResourceNotFoundError: it is gone.
        """
        for _attempt in range(_TRIES):
            entry = self.entry(connection, id)
            if entry is None:
                raise ResourceNotFoundError(id)
            if not self._is_fresh(connection, entry):
                try:
                    await self._fetch(connection, entry)
                except ResourceNotFoundError:
                    pass  # looked at again below
                except ProaError:
                    raise
                except Exception:  # noqa: BLE001 - whatever it is, one resource spoils no list
                    if not entry.fault_told:
                        entry.fault_told = True
                        _log.exception("full view failed", engine=connection.name, resource=id)
                    return entry.published
            full = entry.in_full()
            if full is not None and _agree(full, entry.published):
                return full
            # Something happened since the last event, or while we asked.
            await self.refresher(connection).refresh(id)
        entry = self.entry(connection, id)
        if entry is None:
            raise ResourceNotFoundError(id)
        # It changes faster than it can be read: the last word, which was true a moment ago.
        detail = await connection.read(
            lambda: connection.driver.get_resource(id, ResourceView.FULL)
        )
        return self.complete(connection, detail)

    def complete(self, connection: EngineConnection, detail: Resource) -> Resource:
        """Complete what a driver gave of a resource, with what only the inventory knows."""
        entry = self.entry(connection, detail.id)
        return replace(detail, host=connection.host) if entry is None else entry.completed(detail)

    @contextmanager
    def activity(self, entry: Entry, verb: Verb) -> Iterator[OnStep]:
        """Show on a resource that a verb is under way, and let it tell its steps."""
        begun = Activity(verb=verb, start_time=datetime.now(UTC), actor=current_actor())

        def on_step(step: str, percent: int | None = None) -> None:
            if entry.activity is not None:
                self.store.set_activity(entry, replace(begun, step=step, percent=percent))

        self.store.set_activity(entry, begun)
        try:
            yield on_step
        except BaseException as failure:
            self.store.set_activity(entry, None, failure=failure)
            raise
        self.store.set_activity(entry, None)

    def _is_fresh(self, connection: EngineConnection, entry: Entry) -> bool:
        if entry.detail is None:
            return False
        age = connection.driver.full_view_age
        now = asyncio.get_running_loop().time()
        return age is None or now - entry.detail_time < age.total_seconds()

    async def _fetch(self, connection: EngineConnection, entry: Entry) -> None:
        """Ask the engine for a FULL view; those who ask at the same time ask together."""
        task = self._details.get(entry.key)
        if task is None:
            task = asyncio.create_task(self._read_detail(connection, entry))
            self._details[entry.key] = task
            task.add_done_callback(lambda done: self._forget(entry.key, done))
        await connection.read(lambda: asyncio.shield(task))

    async def _read_detail(self, connection: EngineConnection, entry: Entry) -> Resource:
        epoch, id = entry.epoch, entry.observed.id
        detail = await connection.driver.get_resource(id, ResourceView.FULL)
        self.store.keep_detail(entry, detail, epoch, asyncio.get_running_loop().time())
        return detail

    def _forget(self, key: str, done: "asyncio.Task[Resource]") -> None:
        del self._details[key]
        if not done.cancelled():
            done.exception()  # whoever asked may have gone


async def _settled(reflector: Reflector) -> None:
    """Wait until an engine that answers has been read, or for as long as a read would."""
    if reflector.connection.lost:
        return
    try:
        async with asyncio.timeout(READY_WITHIN):
            await reflector.ready()
    except (TimeoutError, EngineUnreachableError):
        return  # the daemon serves without it, and says so


def _agree(full: Resource, summary: Resource) -> bool:
    """Tell whether what both views show, and what changes without an event, is the same."""
    return full.state is summary.state and _size(full.domain) == _size(summary.domain)


def _size(domain: Domain | None) -> tuple[object, ...]:
    if domain is None:
        return ()
    return domain.memory_bytes, domain.max_memory_bytes, domain.vcpus, domain.autostart

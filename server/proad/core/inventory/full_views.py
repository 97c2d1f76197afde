"""FULL views, read from the engines where none is known, or something has happened since."""

import asyncio

import structlog

from proad.core.engine_connection import EngineConnection
from proad.core.inventory.entry import Entry
from proad.core.inventory.refresher import Refresh
from proad.core.inventory.store import Store
from proad.errors import ProaError, ResourceNotFoundError
from proad.model import Domain, Resource, ResourceView

_TRIES = 3

_log = structlog.get_logger(__name__)


class FullViews:
    """The FULL views of resources, for callers who ask for one.

    Args:
        store: keeps each until something happens to its resource.
        refresh: reads a resource where the two views do not agree.
    """

    def __init__(self, store: Store, refresh: Refresh) -> None:
        self._store = store
        self._refresh = refresh
        self._reads: dict[str, asyncio.Task[Resource]] = {}

    async def close(self) -> None:
        """Cancel the reads under way."""
        reads = list(self._reads.values())
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)

    async def get(self, connection: EngineConnection, id: str) -> Resource:
        """Return the FULL view of a resource, from the engine if it is not known or too old.

        A fault of the driver, as opposed to an error that it raises, leaves the SUMMARY.

        Raises:
            ResourceNotFoundError: the resource is gone.
        """
        for _attempt in range(_TRIES):
            entry = self._store.entries.get(connection.ref, id)
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
            await self._refresh(connection, id)
        entry = self._store.entries.get(connection.ref, id)
        if entry is None:
            raise ResourceNotFoundError(id)
        # The resource changes faster than it can be read: this was true a moment ago.
        detail = await connection.read(
            lambda: connection.driver.get_resource(id, ResourceView.FULL)
        )
        return self._store.complete(connection.ref, detail)

    async def _read_detail_once(self, connection: EngineConnection, entry: Entry) -> None:
        """Read a FULL view from the engine; callers that ask at the same time share the read."""
        task = self._reads.get(entry.path)
        if task is None:
            task = asyncio.create_task(self._read_detail(connection, entry))
            self._reads[entry.path] = task
            task.add_done_callback(lambda done: self._forget(entry.path, done))
        await connection.read(lambda: asyncio.shield(task))

    async def _read_detail(self, connection: EngineConnection, entry: Entry) -> Resource:
        with self._store.reading() as begun:
            detail = await connection.driver.get_resource(entry.observed.id, ResourceView.FULL)
            self._store.keep_detail(entry, detail, begun)
        return detail

    def _forget(self, path: str, done: "asyncio.Task[Resource]") -> None:
        del self._reads[path]
        if not done.cancelled():
            done.exception()  # retrieved: the caller may have gone


def _agree(full: Resource, summary: Resource) -> bool:
    """Return whether what both views show, and what changes without an event, is the same."""
    return full.state is summary.state and _size(full.domain) == _size(summary.domain)


def _size(domain: Domain | None) -> tuple[object, ...]:
    if domain is None:
        return ()
    return domain.memory_bytes, domain.max_memory_bytes, domain.vcpus, domain.autostart

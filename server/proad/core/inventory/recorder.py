"""What callers record of resources: whose a new one is, its protection, labels of containers."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Protocol

from proad.core.actor import current_actor
from proad.core.engine_connection import EngineConnection
from proad.core.inventory.entry import Entry
from proad.core.inventory.refresher import Refresh
from proad.core.inventory.store import Store
from proad.core.inventory.timing import InventoryTiming
from proad.core.slices import TimeSlicer
from proad.core.tenancy import current_owner_id
from proad.errors import DatabaseUnreachableError, EngineTimedOutError, EngineUnreachableError
from proad.model import Charge, EngineRef
from proad.ports.records import ResourceRecord


class Expect(Protocol):
    """Records a create's mark, and what it counts for in quotas, before anything is made."""

    async def __call__(self, mark: str, charge: Charge | None = None) -> None:
        """Record; raises DatabaseUnreachableError."""


class Recorder:
    """Records what no engine can tell of a resource, as calls of users make or change it.

    Args:
        store: has the records, and publishes what they say.
        refresh: reads what a create that failed has made.
        slicer: shares the event loop's time.
        timing: the durations.
    """

    def __init__(
        self, store: Store, refresh: Refresh, slicer: TimeSlicer, timing: InventoryTiming
    ) -> None:
        self._store = store
        self._refresh = refresh
        self._slicer = slicer
        self._timing = timing

    @asynccontextmanager
    async def changing(
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
            for each in list(self._store.entries.with_id(entry.observed.id)):
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
    ) -> AsyncIterator[Expect]:
        """Attribute and record what a create makes as the caller's.

        The result takes the create's mark, and what it counts for in quotas, before anything is
        made. If the create fails, the driver has removed again what was made: refresh it.

        Args:
            connection: the engine.
            deletion_protection: whether what is made is protected.
            instead_of: the resource whose place the new one takes, with its owner and the labels
                that were changed; None: the new one is the caller's, or the caller's team's.
            keeps_labels: whether the new one has the labels that were changed of the other.
        """
        records = self._store.records
        owner, labels = current_owner_id(), None
        if instead_of is not None:
            before = instead_of.record
            owner, labels = (before.owner, before.labels) if before else ("", None)
            labels = labels if keeps_labels else None
        with self._store.attribution.creating(connection.ref, current_actor()) as creation:

            async def expect(mark: str, charge: Charge | None = None) -> None:
                record = ResourceRecord(
                    mark=mark,
                    owner=owner,
                    deletion_protection=deletion_protection,
                    labels=labels,
                    create_time=datetime.now(UTC),
                    charge=charge,
                )
                if not record.is_empty:
                    await records.plan(connection, record)
                creation.expect(mark)

            try:
                yield expect
            except Exception as error:
                with suppress(Exception):  # the failure of the create is what is reported
                    async with asyncio.timeout(self._timing.settles_within):
                        for id in list(creation.made):
                            await self._refresh(connection, id)
                if not isinstance(error, EngineUnreachableError | EngineTimedOutError):
                    records.forget(connection, creation.marks)
                raise
            # What has come and gone already, before anybody saw it.
            records.forget(connection, creation.marks)

    async def follow_names(self, engines: Collection[EngineRef]) -> None:
        """Publish what belongs to a user whose name changed, for ever."""
        records = self._store.records
        while True:
            await asyncio.sleep(self._timing.records.names_interval)
            try:
                changed = await records.changed_names()
            except DatabaseUnreachableError:
                continue  # the names are those of before
            for engine in engines if changed else ():
                async for entry in self._slicer.each(list(self._store.entries.of(engine))):
                    if entry.record is not None and entry.record.owner in changed:
                        self._store.touch(entry)

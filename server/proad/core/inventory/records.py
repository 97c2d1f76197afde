"""The records of resources in memory: what engines cannot tell, looked up for every view."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from proad.core.engine_connection import EngineConnection
from proad.core.inventory.timing import RecordTiming
from proad.errors import ProaError
from proad.model import EngineRef, Resource
from proad.ports.records import EngineIdentity, OwnerNames, ResourceRecord, ResourceRecords

_log = structlog.get_logger(__name__)

UNSEEN_FOR = timedelta(hours=24)
"""How long an engine may take to show what a create made whose outcome is not known."""


@dataclass(slots=True, eq=False)
class _Records:
    """The records of one engine.

    Attributes:
        identity: whose records these are; empty: not loaded.
        by_mark: all records.
        by_id: those whose resource has been seen.
        by_owner: all records by their marks, of each owner.
        unwritten: marks whose row may differ from what is here, or should not be there.
        lock: held while rows are read or written, so that the last one to write is right.
    """

    identity: EngineIdentity = ""
    by_mark: dict[str, ResourceRecord] = field(default_factory=dict)
    by_id: dict[str, ResourceRecord] = field(default_factory=dict)
    by_owner: dict[str, dict[str, ResourceRecord]] = field(default_factory=dict)
    unwritten: set[str] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def has_unseen(self) -> bool:
        """Whether there are records whose resource has not been seen."""
        return len(self.by_mark) > len(self.by_id)

    def keep(self, record: ResourceRecord) -> None:
        """Add a record, in place of the one with the same mark."""
        self.drop(record.mark)
        self.by_mark[record.mark] = record
        self.by_owner.setdefault(record.owner, {})[record.mark] = record
        if record.id:
            self.by_id[record.id] = record

    def drop(self, mark: str) -> None:
        """Remove a record."""
        if (record := self.by_mark.pop(mark, None)) is not None:
            self.by_id.pop(record.id, None)
            of_owner = self.by_owner[record.owner]
            del of_owner[mark]
            if not of_owner:
                del self.by_owner[record.owner]


class RecordCache:
    """The records of all engines' resources, which hold from when they are written.

    A create's record is written before the create, and a change before it shows. What follows
    from what the engine shows is written a moment later, since the next start would find it
    again: the id that a create gave, and that a resource is no more.

    Args:
        records: where the records outlive the process.
        owners: has the names of owners.
        timing: the durations.
    """

    def __init__(
        self, records: ResourceRecords, owners: OwnerNames, timing: RecordTiming = RecordTiming()
    ) -> None:
        self._records = records
        self._owners = owners
        self._timing = timing
        self._engines: dict[EngineRef, _Records] = {}
        # Also those of engines that have not answered yet: empty until the first one answers.
        self._identities: dict[EngineIdentity, _Records] = {}
        self._connections: dict[EngineRef, EngineConnection] = {}
        self._names: dict[str, str] = {}
        self._news = asyncio.Event()
        self._loading = asyncio.Lock()

    async def load(self, connection: EngineConnection) -> None:
        """Load the records of the engine that answers now, unless they are here.

        Raises:
            EngineUnreachableError: the engine does not answer.
            DatabaseUnreachableError: the records cannot be read.
        """
        identity = await connection.read(connection.driver.identity)
        known = self._of(connection)
        if known.identity == identity:
            return
        async with self._loading, known.lock:
            if not self._identities:
                others = await self._records.engines()
                loaded = {each: await self._loaded(each) for each in {identity, *others}}
                self._identities |= loaded
            # An engine that two hosts name has its records once: what one changes holds for both.
            self._engines[connection.ref] = self._identities.setdefault(
                identity, _Records(identity)
            )

    async def _loaded(self, identity: EngineIdentity) -> _Records:
        loaded, owners = _Records(identity), set[str]()
        async for some in self._records.batches(identity):
            for record in some:
                loaded.keep(record)
                owners.add(record.owner)
        self._names |= await self._read_names(owners - {""})
        return loaded

    async def is_current(self, connection: EngineConnection) -> bool:
        """Return whether the records that are loaded are those of the engine that answers now.

        Raises:
            EngineUnreachableError: the engine does not answer.
        """
        known = self._of(connection)
        return await connection.read(connection.driver.identity) == known.identity

    def find(self, engine: EngineRef, observed: Resource) -> ResourceRecord | None:
        """Return the record of a resource that an engine shows; None if there is none."""
        known = self._engines.get(engine)
        if known is None:
            return None
        record = known.by_id.get(observed.id)
        if record is not None or not known.has_unseen:
            return record
        for mark in (observed.creation, observed.id):
            planned = known.by_mark.get(mark)
            if planned is not None and not planned.id:
                record = replace(planned, id=observed.id)
                known.keep(record)
                self._write_soon(known, mark)
                return record
        return None

    def owner(self, record: ResourceRecord) -> str:
        """Return the present name of an owner; empty if there is none any more."""
        return self._names.get(record.owner, "")

    async def plan(self, connection: EngineConnection, record: ResourceRecord) -> None:
        """Keep the record of what a create is about to make.

        Raises:
            EngineUnreachableError: the engine does not answer.
            DatabaseUnreachableError: nothing is kept; nothing must be made.
        """
        if not self._of(connection).identity:
            await self.load(connection)
        await self._know_name(record.owner)
        await self._put(self._of(connection), record)

    async def change(
        self, connection: EngineConnection, observed: Resource, changes: Mapping[str, Any]
    ) -> ResourceRecord:
        """Change the record of a resource, and return the record as it was before.

        Args:
            connection: the engine.
            observed: the resource, as the driver gave it.
            changes: new values of fields of the record.

        Raises:
            DatabaseUnreachableError: nothing was changed.
        """
        known = self._of(connection)
        found = self.find(connection.ref, observed)
        before = found or ResourceRecord(
            mark=observed.id, id=observed.id, create_time=datetime.now(UTC)
        )
        record = replace(before, **changes)
        await self._know_name(record.owner)
        if record.labels == observed.labels:
            record = replace(record, labels=None)
        if not record.is_empty:
            await self._put(known, record)
        elif found is not None:
            async with known.lock:
                await self._records.remove(known.identity, [record.mark])
                known.drop(record.mark)
        return before

    def forget(self, connection: EngineConnection, marks: Collection[str]) -> None:
        """Remove the records of creates whose resource has not been seen, and never will."""
        known = self._of(connection)
        for mark in marks:
            if (record := known.by_mark.get(mark)) is not None and not record.id:
                known.drop(mark)
                self._write_soon(known, mark)

    def end(self, engine: EngineRef, id: str) -> None:
        """Remove the record of a resource that is no more."""
        known = self._engines.get(engine)
        if known is not None and (record := known.by_id.get(id)) is not None:
            known.drop(record.mark)
            self._write_soon(known, record.mark)

    def owned(
        self, owner: str, engines: Collection[EngineRef]
    ) -> Iterator[tuple[ResourceRecord, Sequence[EngineRef]]]:
        """Yield the records of an owner, each with the names of the engine that it is of.

        As long as one of `engines` has not answered yet, any records that are of none of the
        others may be that engine's: they come without a name.
        """
        unheard = any(
            ref not in self._engines or not self._engines[ref].identity for ref in engines
        )
        for known in self._identities.values():
            refs = [ref for ref in engines if self._engines.get(ref) is known]
            if refs or unheard:
                for record in known.by_owner.get(owner, {}).values():
                    yield record, refs

    def of(self, engine: EngineRef) -> Collection[ResourceRecord]:
        """Return all records of an engine."""
        known = self._engines.get(engine)
        return () if known is None else list(known.by_mark.values())

    async def changed_names(self) -> Collection[str]:
        """Read the names of the owners again; return the ids of those whose name is another.

        Raises:
            DatabaseUnreachableError: the names cannot be read.
        """
        before = dict(self._names)
        now = await self._read_names(before)
        changed = {id for id, name in before.items() if now[id] != name}
        self._names |= {id: now[id] for id in changed}
        return changed

    async def write(self) -> None:
        """Write for ever what is to be written a moment later."""
        while True:
            await self._news.wait()
            self._news.clear()
            for engine, known in list(self._engines.items()):
                try:
                    await self._write(self._connections[engine], known)
                except ProaError as error:
                    _log.info("records not written yet", engine=str(engine), cause=error.message)
                    self._news.set()
            await asyncio.sleep(self._timing.write_interval)

    async def _write(self, connection: EngineConnection, known: _Records) -> None:
        async with known.lock:
            marks = set(known.unwritten)
            gone = marks - known.by_mark.keys()
            for mark in marks - gone:
                await self._records.put(known.identity, known.by_mark[mark])
                known.unwritten.discard(mark)
            # Another engine may have come, which has none of the resources of the one before.
            if gone and await self.is_current(connection):
                await self._records.remove(known.identity, gone)
                known.unwritten -= gone

    async def _put(self, known: _Records, record: ResourceRecord) -> None:
        async with known.lock:
            await self._records.put(known.identity, record)
            known.keep(record)
            known.unwritten.discard(record.mark)

    async def _know_name(self, owner: str) -> None:
        """Read the name of an owner of whom nothing was heard so far."""
        if owner and not self._names.get(owner):
            self._names |= await self._read_names({owner})

    def _write_soon(self, known: _Records, mark: str) -> None:
        known.unwritten.add(mark)
        self._news.set()

    def _of(self, connection: EngineConnection) -> _Records:
        self._connections[connection.ref] = connection
        return self._engines.setdefault(connection.ref, _Records())

    async def _read_names(self, ids: Collection[str]) -> Mapping[str, str]:
        """Return the names of users and teams, empty for those who are no more."""
        if not ids:
            return {}
        return dict.fromkeys(ids, "") | dict(await self._owners.names(ids))

"""Records of resources."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, delete, insert, select

from proad.model import Charge
from proad.ports.records import EngineIdentity, ResourceRecord
from proad.store.database import Database, batched
from proad.store.schema import resources

# Rows that are converted in one go: the event loop serves others in between.
_BATCH = 250


class ResourceStore:
    """The resources of one daemon in a database; implements `ports.records.ResourceRecords`.

    Two engines can have one identity, as on copies of a virtual machine: daemons that share a
    database see no rows of each other.

    Args:
        database: the database, which several daemons may share.
        daemon_id: id of this daemon.
    """

    def __init__(self, database: Database, daemon_id: str) -> None:
        self._database = database
        self._daemon_id = daemon_id

    async def engines(self) -> Collection[EngineIdentity]:
        """Return the engines that have records."""
        wanted = select(resources.c.engine).where(resources.c.daemon == self._daemon_id).distinct()
        async with self._database.read(patient=True) as connection:
            return list(await connection.scalars(wanted))

    async def batches(self, engine: EngineIdentity) -> AsyncIterator[Sequence[ResourceRecord]]:
        """Yield all records of an engine, some at a time."""
        wanted = select(resources).where(*self._of(engine))
        async with self._database.read(patient=True) as connection:
            rows = await connection.stream(wanted.execution_options(yield_per=_BATCH))
            async for some in rows.partitions(_BATCH):
                yield [_record(row) for row in some]

    async def put(self, engine: EngineIdentity, record: ResourceRecord) -> None:
        """Store a record, and replace one with the same mark."""
        row = insert(resources).values(
            daemon=self._daemon_id,
            engine=engine,
            mark=record.mark,
            id=record.id,
            owner=record.owner,
            deletion_protection=record.deletion_protection,
            labels=None if record.labels is None else dict(record.labels),
            create_time=record.create_time,
            charge=None if record.charge is None else asdict(record.charge),
        )
        async with self._database.write() as connection:
            await connection.execute(
                delete(resources).where(*self._of(engine), resources.c.mark == record.mark)
            )
            await connection.execute(row)

    async def remove(self, engine: EngineIdentity, marks: Collection[str]) -> None:
        """Remove records by their marks."""
        async with self._database.write() as connection:
            for some in batched(marks):
                await connection.execute(
                    delete(resources).where(*self._of(engine), resources.c.mark.in_(some))
                )

    def _of(self, engine: EngineIdentity) -> tuple[Any, Any]:
        return resources.c.daemon == self._daemon_id, resources.c.engine == engine


def _record(row: Row[Any]) -> ResourceRecord:
    return ResourceRecord(
        mark=row.mark,
        id=row.id,
        owner=row.owner,
        deletion_protection=row.deletion_protection,
        labels=row.labels,
        create_time=row.create_time,
        charge=None if row.charge is None else Charge(**row.charge),
    )

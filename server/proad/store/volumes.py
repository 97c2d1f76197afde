"""Records of the volumes that Proa created."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Row, delete, insert, select

from proad.model import DiskFormat
from proad.ports.records import FileIdentity, Layer, RecordState, VolumeRecord
from proad.store.database import Database
from proad.store.schema import volumes


class VolumeStore:
    """The volume records in a database; implements `ports.records.VolumeRecords`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, engine: str) -> list[VolumeRecord]:
        """Return all records of an engine."""
        wanted = select(volumes).where(volumes.c.engine == engine)
        async with self._database.read() as connection:
            return [_record(row) for row in await connection.execute(wanted)]

    async def put(self, engine: str, record: VolumeRecord) -> None:
        """Store a record, and replace one with the same id."""
        file = record.file
        row = insert(volumes).values(
            id=record.id,
            engine=engine,
            state=str(record.state),
            owner=record.owner,
            pool=record.pool,
            name=record.name,
            path=record.path,
            engine_key=record.key,
            format=str(record.format),
            base_chain=[[layer.path, str(layer.format)] for layer in record.base_chain],
            device=None if file is None else str(file.device),
            inode=None if file is None else str(file.inode),
            birth_time_ns=None if file is None else file.birth_time_ns,
            create_time=record.create_time,
        )
        async with self._database.write() as connection:
            await connection.execute(delete(volumes).where(volumes.c.id == record.id))
            await connection.execute(row)

    async def remove(self, engine: str, ids: Collection[str]) -> None:
        """Remove records by their ids."""
        ended = delete(volumes).where(volumes.c.engine == engine, volumes.c.id.in_(ids))
        async with self._database.write() as connection:
            await connection.execute(ended)


def _record(row: Row[Any]) -> VolumeRecord:
    return VolumeRecord(
        id=row.id,
        state=RecordState(row.state),
        owner=row.owner,
        pool=row.pool,
        name=row.name,
        path=row.path,
        key=row.engine_key,
        format=DiskFormat(row.format),
        base_chain=tuple(
            Layer(path=path, format=DiskFormat(form)) for path, form in row.base_chain
        ),
        file=None
        if row.inode is None
        else FileIdentity(
            device=int(row.device), inode=int(row.inode), birth_time_ns=row.birth_time_ns
        ),
        create_time=row.create_time,
    )

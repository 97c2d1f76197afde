"""Records of images that were pulled with credentials."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, insert, select

from proad.ports.records import ImageRecord
from proad.store.database import Database
from proad.store.schema import images


class ImageStore:
    """The image records of one daemon in a database; implements `ports.records.ImageRecords`.

    Args:
        database: the database, which several daemons may share.
        daemon_id: id of this daemon.
    """

    def __init__(self, database: Database, daemon_id: str) -> None:
        self._database = database
        self._daemon_id = daemon_id

    async def all(self) -> list[ImageRecord]:
        """Return all records."""
        wanted = select(images).where(images.c.daemon == self._daemon_id)
        async with self._database.read() as connection:
            rows = await connection.execute(wanted)
            return [ImageRecord(row.engine, row.image, row.user_id) for row in rows]

    async def put(self, record: ImageRecord) -> None:
        """Store a record, which may be there already."""
        row: dict[str, Any] = {
            "engine": record.engine,
            "image": record.image,
            "user_id": record.user_id,
        }
        async with self._database.write() as connection:
            await connection.execute(delete(images).where(self._is(record)))
            await connection.execute(insert(images).values(daemon=self._daemon_id, **row))

    async def remove(self, records: Collection[ImageRecord]) -> None:
        """Remove records."""
        async with self._database.write() as connection:
            for record in records:
                await connection.execute(delete(images).where(self._is(record)))

    def _is(self, record: ImageRecord) -> ColumnElement[bool]:
        return and_(
            images.c.daemon == self._daemon_id,
            images.c.engine == record.engine,
            images.c.image == record.image,
            images.c.user_id == record.user_id,
        )

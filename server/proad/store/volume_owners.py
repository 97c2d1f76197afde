"""The owners of the volumes that Proa made."""

from collections.abc import Collection, Sequence

from sqlalchemy import Delete, delete, insert, select

from proad.ports.records import EngineIdentity, VolumeOwner
from proad.store.database import Database, batched
from proad.store.schema import volume_owners


class VolumeOwnerStore:
    """The owners of volumes in a database; implements `ports.records.VolumeOwners`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, engine: EngineIdentity, owners: Collection[VolumeOwner]) -> None:
        """Store owners, and replace those with the same ids."""
        rows = [
            {
                "engine": engine,
                "id": each.id,
                "owner": each.owner,
                "domain": each.domain,
                "capacity_bytes": each.capacity_bytes,
            }
            for each in owners
        ]
        async with self._database.write() as connection:
            for some in batched(each.id for each in owners):
                await connection.execute(_of(engine, some))
            await connection.execute(insert(volume_owners), rows)

    async def remove(self, engine: EngineIdentity, ids: Collection[str]) -> None:
        """Remove owners by the ids of their volumes."""
        async with self._database.write() as connection:
            for some in batched(ids):
                await connection.execute(_of(engine, some))

    async def list(self, engine: EngineIdentity) -> Sequence[VolumeOwner]:
        """Return all owners of an engine's volumes."""
        wanted = select(volume_owners).where(volume_owners.c.engine == engine)
        async with self._database.read() as connection:
            return [
                VolumeOwner(
                    id=row.id,
                    owner=row.owner,
                    domain=row.domain,
                    capacity_bytes=row.capacity_bytes,
                )
                for row in await connection.execute(wanted)
            ]


def _of(engine: EngineIdentity, ids: Sequence[str]) -> Delete:
    return delete(volume_owners).where(
        volume_owners.c.engine == engine, volume_owners.c.id.in_(ids)
    )

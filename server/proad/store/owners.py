"""Users and teams as the owners of resources: one space of names, and ids that stay."""

from collections.abc import Collection, Mapping

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proad.errors import AlreadyExistsError
from proad.model import Access
from proad.store.database import Database, batched
from proad.store.schema import teams, users


class OwnerStore:
    """The names and ids of users and teams; implements `ports.records.Owners`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def names(self, ids: Collection[str]) -> Mapping[str, str]:
        """Return the names of some users and teams by id, without those who are no more."""
        found: dict[str, str] = {}
        async with self._database.read() as connection:
            for some in batched(ids):
                for table in (users, teams):
                    known = select(table.c.id, table.c.name).where(table.c.id.in_(some))
                    found |= {row.id: row.name for row in await connection.execute(known)}
        return found

    async def unrestricted(self, ids: Collection[str]) -> Collection[str]:
        """Return those of some ids that are of users with access to all."""
        found: set[str] = set()
        async with self._database.read() as connection:
            for some in batched(ids):
                known = select(users.c.id).where(users.c.id.in_(some), users.c.access == Access.ALL)
                found |= {row.id for row in await connection.execute(known)}
        return found

    async def id(self, name: str) -> str | None:
        """Return the id of the user or team of a name; None if there is none."""
        async with self._database.read() as connection:
            for table in (users, teams):
                known = select(table.c.id).where(table.c.name == name)
                if (id := await connection.scalar(known)) is not None:
                    return str(id)
        return None


async def require_free(connection: AsyncConnection, name: str, table: Table) -> None:
    """Check that nobody in the other table has a name.

    Raises:
        AlreadyExistsError: somebody has.
    """
    if await connection.scalar(select(table.c.id).where(table.c.name == name)) is not None:
        raise AlreadyExistsError("team" if table is teams else "user", name)

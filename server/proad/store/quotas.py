"""The limits of users and teams, in place of those that profiles set."""

from collections.abc import Mapping

from sqlalchemy import delete, insert, select

from proad.model import Limits, QuotaName
from proad.store.database import Database
from proad.store.schema import quotas


class QuotaStore:
    """The limits that users and teams have of their own, by the ids of owners."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, owner_id: str, changes: Mapping[QuotaName, float | None]) -> None:
        """Change limits of an owner; None: the profile's counts again."""
        which = quotas.c.owner == owner_id
        async with self._database.write() as connection:
            stored = await connection.scalar(select(quotas.c.limits).where(which))
            limits = {**read_limits(stored), **changes}
            kept = {name: limit for name, limit in limits.items() if limit is not None}
            await connection.execute(delete(quotas).where(which))
            if kept:
                await connection.execute(insert(quotas).values(owner=owner_id, limits=kept))

    async def all(self) -> dict[str, Limits]:
        """Return all limits by the ids of owners."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(quotas))
            return {row.owner: read_limits(row.limits) for row in rows}


def read_limits(stored: Mapping[str, float] | None) -> Limits:
    """Return limits as the database has them."""
    return {QuotaName(name): limit for name, limit in (stored or {}).items()}

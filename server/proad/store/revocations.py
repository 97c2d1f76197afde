"""Revoked tokens."""

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from proad.store.database import Database, batched
from proad.store.schema import revoked_tokens

# Time from a token's expiry to the removal of its revocation: a clock that is set back must not
# make the token valid again.
_RETENTION = timedelta(hours=24)


class RevocationStore:
    """The revoked tokens in a database, kept until a day after their expiry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, token_id: str, expire_time: datetime) -> None:
        """Store a revocation, idempotently, and remove those of tokens that expired a day ago."""
        past = datetime.now(UTC) - _RETENTION
        expired = delete(revoked_tokens).where(revoked_tokens.c.expire_time < past)
        async with self._database.write() as connection:
            await connection.execute(expired)
        revoked = insert(revoked_tokens).values(jti=token_id, expire_time=expire_time)
        with suppress(IntegrityError):  # revoked already
            async with self._database.write() as connection:
                await connection.execute(revoked)

    async def among(self, token_ids: Collection[str]) -> set[str]:
        """Return those of some token ids that are revoked."""
        known = select(revoked_tokens.c.jti)
        found: set[str] = set()
        async with self._database.read() as connection:
            for some in batched(token_ids):
                found.update(await connection.scalars(known.where(revoked_tokens.c.jti.in_(some))))
        return found

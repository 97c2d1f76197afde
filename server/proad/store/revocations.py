"""Tokens that were given back before their time was over."""

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from proad.store.database import Database, batched
from proad.store.schema import revoked_tokens

# After a token's end, its revocation is kept for so long: a clock that is set back must not
# make the token good again.
_KEPT_AFTER_END = timedelta(hours=24)


class RevocationStore:
    """The revoked tokens in a database, until a day after they would have expired anyway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, token_id: str, expire_time: datetime) -> None:
        """Revoke a token; a second time does nothing. Forget those that ended a day ago."""
        past = datetime.now(UTC) - _KEPT_AFTER_END
        expired = delete(revoked_tokens).where(revoked_tokens.c.expire_time < past)
        async with self._database.write() as connection:
            await connection.execute(expired)
        revoked = insert(revoked_tokens).values(jti=token_id, expire_time=expire_time)
        with suppress(IntegrityError):  # it is there already
            async with self._database.write() as connection:
                await connection.execute(revoked)

    async def among(self, token_ids: Collection[str]) -> set[str]:
        """Give those of some tokens that were revoked."""
        known = select(revoked_tokens.c.jti)
        found: set[str] = set()
        async with self._database.read() as connection:
            for some in batched(token_ids):
                found.update(await connection.scalars(known.where(revoked_tokens.c.jti.in_(some))))
        return found

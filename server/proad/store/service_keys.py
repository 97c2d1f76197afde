"""Service keys: long-lived credentials of programs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from proad.errors import AlreadyExistsError
from proad.model import Access
from proad.model.grant import Grant
from proad.model.scope import read_scopes, write_scopes
from proad.store.database import Database
from proad.store.schema import revoked_tokens, service_keys


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """A service key.

    Attributes:
        id: a UUID.
        user_id: id of the user on whose behalf the key serves.
        name: name of the key, unique among the user's keys.
        digest: SHA-256 of the secret.
        grant: what the key allows, within what the user may do.
        create_time: time of creation.
        expire_time: when the key ends; None: when it is revoked.
        use_time: time of the last use, to the minute; None: the key was not used.
    """

    id: str
    user_id: str
    name: str
    digest: bytes = field(repr=False)
    grant: Grant
    create_time: datetime
    expire_time: datetime | None = None
    use_time: datetime | None = None


class ServiceKeyNotFoundError(LookupError):
    """The user has no key of this name. For commands on the host alone: no RPC names keys."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no key {name!r} of this user; 'proad key list' shows them")


class ServiceKeyStore:
    """The service keys in a database, which several daemons may share."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ServiceKey) -> None:
        """Store a new key. Raises AlreadyExistsError if the user has a key of this name."""
        row = insert(service_keys).values(
            id=key.id,
            user_id=key.user_id,
            name=key.name,
            digest=key.digest,
            scopes=write_scopes(key.grant.scopes),
            access=key.grant.access,
            create_time=key.create_time,
            expire_time=key.expire_time,
            use_time=key.use_time,
        )
        try:
            async with self._database.write() as connection:
                await connection.execute(row)
        except IntegrityError as error:
            raise AlreadyExistsError("service key", key.name) from error

    async def get(self, id: str) -> ServiceKey | None:
        """Return a key, also an expired one; None if there is none."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(service_keys).where(service_keys.c.id == id))
            row = rows.one_or_none()
        return _key(row) if row else None

    async def list(self) -> Sequence[ServiceKey]:
        """Return all keys, ordered by name."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(service_keys).order_by(service_keys.c.name))
            return [_key(row) for row in rows]

    async def note_use(self, key: ServiceKey) -> None:
        """Store that a key is used now, once a minute."""
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        if key.use_time is not None and key.use_time >= now:
            return
        use = service_keys.c.use_time
        change = (
            update(service_keys)
            .where(service_keys.c.id == key.id, or_(use.is_(None), use < now))
            .values(use_time=now)
        )
        async with self._database.write() as connection:
            await connection.execute(change)

    async def remove(self, user_id: str, name: str, *, revoked_until: datetime) -> ServiceKey:
        """Remove a key, and revoke the tokens that it gave, until they have all expired.

        Raises:
            ServiceKeyNotFoundError: the user has no key of this name.
        """
        removal = (
            delete(service_keys)
            .where(service_keys.c.user_id == user_id, service_keys.c.name == name)
            .returning(*service_keys.c)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(removal)).one_or_none()
            if row is None:
                raise ServiceKeyNotFoundError(name)
            await connection.execute(
                insert(revoked_tokens).values(jti=row.id, expire_time=revoked_until)
            )
        return _key(row)


def _key(row: Row[Any]) -> ServiceKey:
    return ServiceKey(
        id=row.id,
        user_id=row.user_id,
        name=row.name,
        digest=row.digest,
        grant=Grant(read_scopes(row.scopes), Access(row.access)),
        create_time=row.create_time,
        expire_time=row.expire_time,
        use_time=row.use_time,
    )

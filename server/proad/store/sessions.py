"""Sessions: logins that refresh tokens prolong."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from proad.model import Access
from proad.model.grant import Grant
from proad.model.scope import read_scopes, write_scopes
from proad.store.database import Database
from proad.store.schema import revoked_tokens, sessions


@dataclass(frozen=True, slots=True)
class Session:
    """A login, and what follows from it.

    Attributes:
        id: a UUID.
        user_id: id of the user.
        token_version: the user's token version at the login.
        grant: what the login was granted.
        number: number of the refresh token that is good; the first is 0.
        create_time: time of the login.
        use_time: time of the login, or of the last use of a refresh token.
        expire_time: when the session ends unless it is used.
    """

    id: str
    user_id: str
    token_version: int
    grant: Grant
    number: int
    create_time: datetime
    use_time: datetime
    expire_time: datetime


class SessionStore:
    """The sessions of one daemon in a database.

    Args:
        database: the database, which several daemons may share.
        daemon_id: id of this daemon.
        most: sessions of one user; the one that was not used for longest makes room.
    """

    def __init__(self, database: Database, daemon_id: str, *, most: int = 1000) -> None:
        self._database = database
        self._daemon_id = daemon_id
        self._most = most

    async def add(self, session: Session) -> None:
        """Store a session, and remove those that are over.

        Raises:
            DatabaseUnreachableError: the session is not stored.
        """
        kept = (
            select(sessions.c.id)
            .where(sessions.c.user_id == session.user_id)
            .order_by(sessions.c.use_time.desc())
            .limit(self._most)
        )
        row = insert(sessions).values(
            id=session.id,
            daemon=self._daemon_id,
            user_id=session.user_id,
            token_version=session.token_version,
            scopes=write_scopes(session.grant.scopes),
            access=session.grant.access,
            number=session.number,
            create_time=session.create_time,
            use_time=session.use_time,
            expire_time=session.expire_time,
        )
        async with self._database.write() as connection:
            await connection.execute(row)
            await connection.execute(
                delete(sessions).where(sessions.c.expire_time < datetime.now(UTC))
            )
            await connection.execute(
                delete(sessions).where(
                    sessions.c.user_id == session.user_id, sessions.c.id.not_in(kept)
                )
            )

    async def get(self, id: str) -> Session | None:
        """Return a session, also one that is over; None if there is none."""
        wanted = select(sessions).where(sessions.c.id == id, sessions.c.daemon == self._daemon_id)
        async with self._database.read() as connection:
            row = (await connection.execute(wanted)).one_or_none()
        return _session(row) if row else None

    async def advance(
        self, session: Session, *, use_time: datetime, expire_time: datetime
    ) -> Session | None:
        """Make the next refresh token the good one.

        Returns:
            The session as it is now; None if it has changed since it was read.
        """
        change = (
            update(sessions)
            .where(sessions.c.id == session.id, sessions.c.number == session.number)
            .values(number=session.number + 1, use_time=use_time, expire_time=expire_time)
            .returning(*sessions.c)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(change)).one_or_none()
        return _session(row) if row else None

    async def end(self, id: str, *, revoked_until: datetime) -> None:
        """Remove a session, and revoke the tokens that came of it, until they have all expired."""
        removal = delete(sessions).where(sessions.c.id == id)
        revoked = insert(revoked_tokens).values(jti=id, expire_time=revoked_until)
        async with self._database.write() as connection:
            if (await connection.execute(removal)).rowcount:
                await connection.execute(revoked)


def _session(row: Row[Any]) -> Session:
    return Session(
        id=row.id,
        user_id=row.user_id,
        token_version=row.token_version,
        grant=Grant(read_scopes(row.scopes), Access(row.access)),
        number=row.number,
        create_time=row.create_time,
        use_time=row.use_time,
        expire_time=row.expire_time,
    )

"""Users who came by an issuer of tokens."""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from uuid import uuid4

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from proad.model.grant import Grant
from proad.model.scope import write_scopes
from proad.store.database import Database
from proad.store.schema import identities, users

_NAME_PART = re.compile(r"[^a-z0-9._@+-]")
_MAX_NAME_PART = 40
_DIGEST_DIGITS = 16
# No password has it.
_NO_PASSWORD = ""


@dataclass(frozen=True, slots=True)
class IdentifiedUser:
    """A user who came by an issuer.

    Attributes:
        id: id of the user.
        name: the user's present name.
    """

    id: str
    name: str


def identity_name(issuer: str, subject: str) -> str:
    """Return the first name of a user who came by an issuer.

    With its colon it cannot be that of a user of this host, and with its digest not that of
    another identity.
    """
    readable = _NAME_PART.sub("-", subject.lower())[:_MAX_NAME_PART]
    digest = sha256(f"{issuer}\0{subject}".encode()).hexdigest()[:_DIGEST_DIGITS]
    return f"oidc:{readable}.{digest}"


class IdentityStore:
    """The users in a database who came by an issuer, each known by issuer and subject."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def user(
        self, issuer: str, subject: str, grant: Grant, *, profile: str, issued: datetime
    ) -> IdentifiedUser:
        """Return the user of an identity; add one the first time.

        Scopes, access and profile of the user become those of the latest token.

        Args:
            issuer: the issuer.
            subject: the issuer's name for the user, which it never gives to another.
            grant: what the token allows.
            profile: name of the user's profile in the policy.
            issued: when the token was issued.

        Raises:
            DatabaseUnreachableError: the user cannot be read or stored.
        """
        found = await self._find(issuer, subject, grant, profile, issued)
        if found is None:
            try:
                return await self._add(issuer, subject, grant, profile, issued)
            except IntegrityError:  # another call was faster
                found = await self._find(issuer, subject, grant, profile, issued)
                if found is None:
                    raise
        return found

    async def _find(
        self, issuer: str, subject: str, grant: Grant, profile: str, issued: datetime
    ) -> IdentifiedUser | None:
        values = {
            "scopes": write_scopes(grant.scopes),
            "access": str(grant.access),
            "profile": profile,
        }
        wanted = (
            select(users, identities.c.token_time)
            .join(identities, identities.c.user_id == users.c.id)
            .where(identities.c.issuer == issuer, identities.c.subject == subject)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(wanted)).one_or_none()
        if row is None:
            return None
        if issued >= row.token_time and any(getattr(row, key) != values[key] for key in values):
            noted = (
                update(identities)
                .where(identities.c.user_id == row.id, identities.c.token_time <= issued)
                .values(token_time=issued)
            )
            # Not a change by hand: the user's tokens stay valid.
            change = update(users).where(users.c.id == row.id).values(**values)
            async with self._database.write() as connection:
                if (await connection.execute(noted)).rowcount:
                    await connection.execute(change)
        return IdentifiedUser(row.id, row.name)

    async def _add(
        self, issuer: str, subject: str, grant: Grant, profile: str, issued: datetime
    ) -> IdentifiedUser:
        id, name, now = str(uuid4()), identity_name(issuer, subject), datetime.now(UTC)
        user = insert(users).values(
            id=id,
            name=name,
            password_hash=_NO_PASSWORD,
            scopes=write_scopes(grant.scopes),
            disabled=False,
            token_version=secrets.randbits(48),
            create_time=now,
            access=grant.access,
            team_id="",
            profile=profile,
        )
        identity = insert(identities).values(
            issuer=issuer, subject=subject, user_id=id, token_time=issued
        )
        async with self._database.write() as connection:
            await connection.execute(identity)
            await connection.execute(user)
        return IdentifiedUser(id, name)

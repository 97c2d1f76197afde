"""The users and their scopes."""

import re
import secrets
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import Column, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from proad.errors import AlreadyExistsError, InvalidArgumentError
from proad.model import DEFAULT_PROFILE, Access, Limits
from proad.model.grant import Grant
from proad.model.scope import Scope, read_scopes, write_scopes
from proad.store.database import Database, batched
from proad.store.owners import require_free
from proad.store.quotas import read_limits
from proad.store.schema import identities, quotas, service_keys, sessions, teams, users

_MAX_NAME_LENGTH = 64
_NAME = re.compile(r"[a-z0-9_][a-z0-9._@+-]*")


@dataclass(frozen=True, slots=True)
class User:
    """A user in the database.

    Attributes:
        id: a UUID, which stays the user's and is never used again.
        name: unique name, in lower case and NFC.
        password_hash: bcrypt hash of the password.
        scopes: the scopes that tokens of this user may have.
        disabled: whether logins are refused and existing tokens invalid.
        token_version: version in new tokens; tokens with another version are invalid.
        create_time: time of creation.
        access: whose resources the user may see and change.
        team_id: id of the user's team; empty: none.
        profile: name of the user's profile in the host's policy.
    """

    id: str
    name: str
    password_hash: str = field(repr=False)
    scopes: frozenset[Scope]
    disabled: bool
    token_version: int
    create_time: datetime
    access: Access = Access.ALL
    team_id: str = ""
    profile: str = DEFAULT_PROFILE

    @property
    def grant(self) -> Grant:
        """The most that a token of this user allows."""
        return Grant(self.scopes, self.access)


class UserStatus(NamedTuple):
    """What the calls of a user depend on; see `User`.

    Attributes:
        limits: the quotas that the user and the team have of their own, by their ids.
    """

    id: str
    token_version: int = 0
    access: Access = Access.ALL
    team_id: str = ""
    profile: str = DEFAULT_PROFILE
    scopes: frozenset[Scope] = frozenset(Scope)
    limits: Mapping[str, Limits] = MappingProxyType({})


class UserNotFoundError(LookupError):
    """The user does not exist. For commands on the host alone: no RPC names users."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no user {name!r}; 'proad user list' shows who there is")


def fold_username(name: str) -> str:
    """Return the stored form of a name: NFC, in lower case."""
    return unicodedata.normalize("NFC", name).lower()


def check_username(name: str) -> str:
    """Return the stored form of a possible name.

    Raises:
        InvalidArgumentError: the name is not a possible one; with the field "username".
    """
    folded = fold_username(name[: _MAX_NAME_LENGTH + 1])
    if not _NAME.fullmatch(folded) or len(folded) > _MAX_NAME_LENGTH:
        raise InvalidArgumentError.of(
            "username",
            "must have 1 to 64 characters: letters and digits of ASCII, '_', "
            "and after the first also '.', '@', '+', '-'; case does not count",
        )
    return folded


class UserStore:
    """The users in a database. Each change of a user invalidates the user's tokens.

    Names are case-insensitive.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        name: str,
        password_hash: str,
        scopes: Collection[Scope],
        *,
        access: Access = Access.ALL,
        team_id: str = "",
        profile: str = DEFAULT_PROFILE,
    ) -> User:
        """Add a user; see `User`.

        Raises:
            InvalidArgumentError: the name is not a possible one.
            AlreadyExistsError: a user or a team has the name.
        """
        user = User(
            id=str(uuid4()),
            name=check_username(name),
            password_hash=password_hash,
            scopes=frozenset(scopes),
            disabled=False,
            # Random, so that tokens of an earlier user of this name stay invalid
            token_version=secrets.randbits(48),
            create_time=datetime.now(UTC),
            access=access,
            team_id=team_id,
            profile=profile,
        )
        row = insert(users).values(
            id=user.id,
            name=user.name,
            password_hash=user.password_hash,
            scopes=write_scopes(user.scopes),
            disabled=user.disabled,
            token_version=user.token_version,
            create_time=user.create_time,
            access=user.access,
            team_id=user.team_id,
            profile=user.profile,
        )
        try:
            async with self._database.write() as connection:
                await require_free(connection, user.name, teams)
                await connection.execute(row)
        except IntegrityError as error:
            raise AlreadyExistsError("user", user.name) from error
        return user

    async def get(self, name: str) -> User | None:
        """Return a user; None if the name is unknown."""
        found = select(users).where(users.c.name == fold_username(name))
        async with self._database.read() as connection:
            result = await connection.execute(found)
            row = result.one_or_none()
        return _user(row) if row else None

    async def by_id(self, id: str) -> User | None:
        """Return a user by the id; None if there is none."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(users).where(users.c.id == id))).one_or_none()
        return _user(row) if row else None

    async def statuses(self, names: Collection[str]) -> dict[str, UserStatus]:
        """Return the statuses of some users by name, without disabled users."""
        return await self._statuses(users.c.name, names)

    async def statuses_by_id(self, ids: Collection[str]) -> dict[str, UserStatus]:
        """Return the statuses of some users by id, without disabled users."""
        return await self._statuses(users.c.id, ids)

    async def list(self) -> list[User]:
        """Return all users, ordered by name."""
        async with self._database.read() as connection:
            result = await connection.execute(select(users).order_by(users.c.name))
            return [_user(row) for row in result]

    async def set_password(self, name: str, password_hash: str) -> User:
        """Set the password. Raises UserNotFoundError."""
        return await self._change(name, password_hash=password_hash)

    async def set_scopes(self, name: str, scopes: Collection[Scope]) -> User:
        """Set the scopes. Raises UserNotFoundError."""
        return await self._change(name, scopes=write_scopes(scopes))

    async def set_disabled(self, name: str, *, disabled: bool) -> User:
        """Disable or enable a user. Raises UserNotFoundError."""
        return await self._change(name, disabled=disabled)

    async def set_profile(self, name: str, profile: str) -> User:
        """Set the profile. Raises UserNotFoundError."""
        return await self._change(name, profile=profile)

    async def set_access(self, name: str, access: Access, team_id: str) -> User:
        """Set the access and the team. Raises UserNotFoundError."""
        return await self._change(name, access=access, team_id=team_id)

    async def rename(self, name: str, new_name: str) -> User:
        """Give a user another name; the id, and with it all that belongs to the user, stays.

        Raises:
            UserNotFoundError: there is no such user.
            InvalidArgumentError: the new name is not a possible one.
            AlreadyExistsError: another user, or a team, has the new name.
        """
        folded = check_username(new_name)
        async with self._database.read() as connection:
            await require_free(connection, folded, teams)
        try:
            return await self._change(name, name=folded)
        except IntegrityError as error:
            raise AlreadyExistsError("user", folded) from error

    async def remove(self, name: str) -> None:
        """Remove a user. Raises UserNotFoundError."""
        removal = delete(users).where(users.c.name == fold_username(name)).returning(users.c.id)
        async with self._database.write() as connection:
            id = (await connection.execute(removal)).scalar_one_or_none()
            if id is None:
                raise UserNotFoundError(name)
            for of_user in (sessions, service_keys, identities):
                await connection.execute(delete(of_user).where(of_user.c.user_id == id))
            await connection.execute(delete(quotas).where(quotas.c.owner == id))

    async def _statuses(self, key: Column[str], values: Collection[str]) -> dict[str, UserStatus]:
        columns = (users.c[each] for each in UserStatus._fields if each in users.c)
        own, of_team = quotas.alias("own"), quotas.alias("of_team")
        known = (
            select(key.label("key"), *columns, own.c.limits, of_team.c.limits.label("of_team"))
            .select_from(
                users.outerjoin(own, own.c.owner == users.c.id).outerjoin(
                    of_team, of_team.c.owner == users.c.team_id
                )
            )
            .where(users.c.disabled.is_(False))
        )
        found: dict[str, UserStatus] = {}
        async with self._database.read() as connection:
            for some in batched(values):
                for row in await connection.execute(known.where(key.in_(some))):
                    found[row.key] = UserStatus(
                        id=row.id,
                        token_version=row.token_version,
                        access=Access(row.access),
                        team_id=row.team_id,
                        profile=row.profile,
                        scopes=read_scopes(row.scopes),
                        limits={
                            owner: read_limits(limits)
                            for owner, limits in ((row.id, row.limits), (row.team_id, row.of_team))
                            if limits
                        },
                    )
        return found

    async def _change(self, name: str, /, **values: object) -> User:
        change = (
            update(users)
            .where(users.c.name == fold_username(name))
            .values(**values, token_version=users.c.token_version + 1)
            .returning(*users.c)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(change)).one_or_none()
        if row is None:
            raise UserNotFoundError(name)
        return _user(row)


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        name=row.name,
        password_hash=row.password_hash,
        scopes=read_scopes(row.scopes),
        disabled=row.disabled,
        token_version=row.token_version,
        create_time=row.create_time,
        access=Access(row.access),
        team_id=row.team_id,
        profile=row.profile,
    )

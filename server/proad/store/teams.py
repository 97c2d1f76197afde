"""The teams of users."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from proad.errors import AlreadyExistsError
from proad.store.database import Database
from proad.store.owners import require_free
from proad.store.schema import quotas, teams, users
from proad.store.users import check_username, fold_username


@dataclass(frozen=True, slots=True)
class Team:
    """A team in the database.

    Attributes:
        id: a UUID, which stays the team's and is never used again.
        name: unique name, in lower case and NFC.
        create_time: time of creation.
        members: the number of users in the team.
    """

    id: str
    name: str
    create_time: datetime
    members: int = 0


class TeamNotFoundError(LookupError):
    """The team does not exist. For commands on the host alone: no RPC names teams."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no team {name!r}; 'proad team list' shows which there are")


class TeamNotEmptyError(Exception):
    """The team has members, who would own nothing and see nothing of the team's."""

    def __init__(self, name: str, members: int) -> None:
        super().__init__(
            f"team {name} has {members} member(s); move them first with 'proad user set-access'"
        )


class TeamStore:
    """The teams in a database. Names are case-insensitive, and no user has the name of a team."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str) -> Team:
        """Add a team.

        Raises:
            InvalidArgumentError: the name is not a possible one.
            AlreadyExistsError: a team or a user has the name.
        """
        team = Team(id=str(uuid4()), name=check_username(name), create_time=datetime.now(UTC))
        row = insert(teams).values(id=team.id, name=team.name, create_time=team.create_time)
        try:
            async with self._database.write() as connection:
                await require_free(connection, team.name, users)
                await connection.execute(row)
        except IntegrityError as error:
            raise AlreadyExistsError("team", team.name) from error
        return team

    async def get(self, name: str) -> Team:
        """Return a team. Raises TeamNotFoundError."""
        found = await self._read(teams.c.name == fold_username(name))
        if not found:
            raise TeamNotFoundError(name)
        return found[0]

    async def rename(self, name: str, new_name: str) -> None:
        """Give a team another name; the id, and with it all that belongs to the team, stays.

        Raises:
            TeamNotFoundError: there is no such team.
            InvalidArgumentError: the new name is not a possible one.
            AlreadyExistsError: another team, or a user, has the new name.
        """
        folded = check_username(new_name)
        change = update(teams).where(teams.c.name == fold_username(name)).values(name=folded)
        try:
            async with self._database.write() as connection:
                await require_free(connection, folded, users)
                result = await connection.execute(change)
        except IntegrityError as error:
            raise AlreadyExistsError("team", folded) from error
        if not result.rowcount:
            raise TeamNotFoundError(name)

    async def remove(self, name: str) -> None:
        """Remove a team without members. What belonged to the team is nobody's then.

        Raises:
            TeamNotFoundError: there is no such team.
            TeamNotEmptyError: the team has members.
        """
        team = await self.get(name)
        # One statement, so that nobody joins between the look and the removal.
        nobody = ~select(users.c.id).where(users.c.team_id == team.id).exists()
        async with self._database.write() as connection:
            result = await connection.execute(delete(teams).where(teams.c.id == team.id, nobody))
            if result.rowcount:
                await connection.execute(delete(quotas).where(quotas.c.owner == team.id))
        if not result.rowcount:
            raise TeamNotEmptyError(team.name, (await self.get(name)).members)

    async def _read(self, *which: Any) -> list[Team]:
        members = (
            select(func.count())
            .select_from(users)
            .where(users.c.team_id == teams.c.id)
            .scalar_subquery()
        )
        wanted = select(teams, members.label("members")).where(*which).order_by(teams.c.name)
        async with self._database.read() as connection:
            return [_team(row) for row in await connection.execute(wanted)]

    async def list(self) -> list[Team]:
        """Return all teams, ordered by name."""
        return await self._read()


def _team(row: Row[Any]) -> Team:
    return Team(id=row.id, name=row.name, create_time=row.create_time, members=row.members)

import pytest

from proad.errors import AlreadyExistsError, InvalidArgumentError
from proad.model import Access
from proad.store.owners import OwnerStore
from proad.store.teams import TeamNotEmptyError, TeamNotFoundError, TeamStore
from proad.store.users import UserStore

HASH = "$2b$04$" + "x" * 53


@pytest.fixture
def users(database):
    return UserStore(database)


@pytest.fixture
def teams(database):
    return TeamStore(database)


@pytest.fixture
def owners(database):
    return OwnerStore(database)


async def test_list_after_add_counts_members(users, teams):
    red = await teams.add("Red")
    await teams.add("blue")
    for name in ("tim", "tom"):
        await users.add(name, HASH, [], access=Access.TEAM, team_id=red.id)
    assert [(team.name, team.members) for team in await teams.list()] == [("blue", 0), ("red", 2)]
    assert (await teams.get("RED")).id == red.id


async def test_user_and_team_share_one_space_of_names(users, teams):
    await users.add("ann", HASH, [])
    await teams.add("red")
    for change in (
        teams.add("ANN"),
        users.add("red", HASH, []),
        teams.rename("red", "ann"),
        users.rename("ann", "RED"),
        teams.add("red"),
    ):
        with pytest.raises(AlreadyExistsError):
            await change


async def test_add_of_an_impossible_name_raises_invalid_argument(teams):
    with pytest.raises(InvalidArgumentError):
        await teams.add("a/b")


async def test_rename_keeps_the_id(teams, owners):
    red = await teams.add("red")
    await teams.rename("red", "crimson")
    assert await owners.names([red.id]) == {red.id: "crimson"}
    assert await owners.id("crimson") == red.id
    assert await owners.id("red") is None


async def test_remove_of_a_team_with_members_changes_nothing(users, teams):
    red = await teams.add("red")
    await users.add("tim", HASH, [], access=Access.TEAM, team_id=red.id)
    with pytest.raises(TeamNotEmptyError, match="1 member"):
        await teams.remove("red")
    await users.set_access("tim", Access.OWN, "")
    await teams.remove("red")
    assert await teams.list() == []
    assert (await teams.add("red")).id != red.id


async def test_change_of_an_unknown_team_raises_not_found(teams):
    for change in (teams.get("red"), teams.rename("red", "blue"), teams.remove("red")):
        with pytest.raises(TeamNotFoundError, match="red"):
            await change

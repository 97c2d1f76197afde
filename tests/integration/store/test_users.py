import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from proad.errors import AlreadyExistsError, InvalidArgumentError
from proad.model.scope import Scope
from proad.store.users import UserNotFoundError, UserStore

HASH = "$2b$04$" + "x" * 53


@pytest.fixture
def users(database):
    return UserStore(database)


async def test_added_and_found(users):
    added = await users.add("ann", HASH, [Scope.ADVANCED, Scope.BASIC, Scope.BASIC])
    assert added.scopes == {Scope.BASIC, Scope.ADVANCED}
    assert not added.disabled
    assert abs(added.create_time - datetime.now(UTC)) < timedelta(seconds=5)
    assert await users.get("ann") == added
    assert HASH not in repr(added)


async def test_nobody(users):
    assert await users.get("ann") is None
    assert await users.list() == []


async def test_a_name_in_any_case_is_one_user(users):
    added = await users.add("Ann", HASH, [])
    assert added.name == "ann"
    assert await users.get("aNN") == added
    for name in ("ann", "ANN", "Ann"):
        with pytest.raises(AlreadyExistsError, match="'ann'"):
            await users.add(name, HASH, [])
    assert (await users.set_disabled("ANN", disabled=True)).name == "ann"
    assert [user.name for user in await users.list()] == ["ann"]
    await users.remove("AnN")
    assert await users.list() == []


async def test_a_name_in_another_normal_form_is_one_user(users):
    added = await users.add("\u212aim", HASH, [])  # with the sign for kelvin
    assert added.name == "kim"
    assert await users.get("kim") == added


async def test_the_list_is_sorted(users):
    for name in ("c", "a", "b"):
        await users.add(name, HASH, [])
    assert [user.name for user in await users.list()] == ["a", "b", "c"]


async def test_a_name_is_given_once(users):
    first = await users.add("ann", HASH, [Scope.BASIC])
    with pytest.raises(AlreadyExistsError):
        await users.add("ann", HASH, [])
    assert await users.get("ann") == first


@pytest.mark.parametrize("name", ["", " ", "-a", ".", "a b", "a/b", "ä", "a\0", "a\n", "x" * 65])
async def test_names_that_nobody_can_have(users, name):
    with pytest.raises(InvalidArgumentError):
        await users.add(name, HASH, [])


@pytest.mark.parametrize("name", ["a", "9", "_x", "a.b+c@d-e_f", "x" * 64])
async def test_names_that_one_can_have(users, name):
    await users.add(name, HASH, [])
    assert (await users.get(name)).name == name


async def test_every_change_counts_the_token_version_up(users):
    version = (await users.add("ann", HASH, [Scope.BASIC])).token_version
    other = await users.add("bob", HASH, [Scope.BASIC])
    changes = [
        await users.set_password("ann", HASH.replace("x", "y")),
        await users.set_scopes("ann", [Scope.ADVANCED]),
        await users.set_disabled("ann", disabled=True),
        await users.set_disabled("ann", disabled=False),
    ]
    assert [user.token_version - version for user in changes] == [1, 2, 3, 4]
    assert changes[0].password_hash == HASH.replace("x", "y")
    assert changes[1].scopes == {Scope.ADVANCED}
    assert (changes[2].disabled, changes[3].disabled) == (True, False)
    assert await users.get("ann") == changes[3]
    assert await users.get("bob") == other


async def test_changes_at_the_same_time_are_all_counted(users):
    version = (await users.add("ann", HASH, [])).token_version
    await asyncio.gather(*(users.set_disabled("ann", disabled=n % 2 == 0) for n in range(20)))
    assert (await users.get("ann")).token_version == version + 20


async def test_removed(users):
    before = await users.add("ann", HASH, [])
    await users.remove("ann")
    assert await users.get("ann") is None
    assert (await users.add("ann", HASH, [])).token_version != before.token_version


async def test_changes_of_nobody(users):
    for change in (
        users.set_password("ann", HASH),
        users.set_scopes("ann", []),
        users.set_disabled("ann", disabled=True),
        users.remove("ann"),
    ):
        with pytest.raises(UserNotFoundError, match="ann"):
            await change

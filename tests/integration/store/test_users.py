import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from proad.errors import AlreadyExistsError, InvalidArgumentError
from proad.model import Access
from proad.model.scope import Scope
from proad.store.owners import OwnerStore
from proad.store.users import UserNotFoundError, UserStatus, UserStore

HASH = "$2b$04$" + "x" * 53


@pytest.fixture
def users(database):
    return UserStore(database)


@pytest.fixture
def owners(database):
    return OwnerStore(database)


async def test_get_after_add_returns_the_user(users):
    added = await users.add("ann", HASH, [Scope.ADVANCED, Scope.BASIC, Scope.BASIC])
    assert added.scopes == {Scope.BASIC, Scope.ADVANCED}
    assert not added.disabled
    assert abs(added.create_time - datetime.now(UTC)) < timedelta(seconds=5)
    assert await users.get("ann") == added
    assert HASH not in repr(added)


async def test_get_of_an_unknown_user_returns_none(users):
    assert await users.get("ann") is None
    assert await users.list() == []


async def test_name_in_any_case_is_one_user(users):
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


async def test_name_in_another_normal_form_is_one_user(users):
    added = await users.add("\u212aim", HASH, [])  # with the sign for kelvin
    assert added.name == "kim"
    assert await users.get("kim") == added


async def test_list_is_sorted_by_name(users):
    for name in ("c", "a", "b"):
        await users.add(name, HASH, [])
    assert [user.name for user in await users.list()] == ["a", "b", "c"]


async def test_add_of_an_existing_name_raises_already_exists(users):
    first = await users.add("ann", HASH, [Scope.BASIC])
    with pytest.raises(AlreadyExistsError):
        await users.add("ann", HASH, [])
    assert await users.get("ann") == first


@pytest.mark.parametrize("name", ["", " ", "-a", ".", "a b", "a/b", "ä", "a\0", "a\n", "x" * 65])
async def test_check_username_of_an_impossible_name_raises_invalid_argument(users, name):
    with pytest.raises(InvalidArgumentError):
        await users.add(name, HASH, [])


@pytest.mark.parametrize("name", ["a", "9", "_x", "a.b+c@d-e_f", "x" * 64])
async def test_check_username_of_a_possible_name_returns_it(users, name):
    await users.add(name, HASH, [])
    assert (await users.get(name)).name == name


async def test_change_of_a_user_increments_the_token_version(users):
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


async def test_concurrent_changes_all_increment_the_token_version(users):
    version = (await users.add("ann", HASH, [])).token_version
    await asyncio.gather(*(users.set_disabled("ann", disabled=n % 2 == 0) for n in range(20)))
    assert (await users.get("ann")).token_version == version + 20


async def test_get_after_remove_returns_none(users):
    before = await users.add("ann", HASH, [])
    await users.remove("ann")
    assert await users.get("ann") is None
    assert (await users.add("ann", HASH, [])).token_version != before.token_version


async def test_change_of_an_unknown_user_raises_not_found(users):
    for change in (
        users.set_password("ann", HASH),
        users.set_scopes("ann", []),
        users.set_disabled("ann", disabled=True),
        users.remove("ann"),
    ):
        with pytest.raises(UserNotFoundError, match="ann"):
            await change


async def test_add_name_that_was_removed_gets_another_id(users):
    first = await users.add("ann", HASH, [])
    await users.remove("ann")
    second = await users.add("ann", HASH, [])

    assert (await users.get("ann")).id == second.id != first.id


async def test_change_keeps_the_id(users):
    before = await users.add("ann", HASH, [])

    assert (await users.set_disabled("ann", disabled=True)).id == before.id
    assert (await users.statuses(["ann"])) == {}
    after = await users.set_disabled("ann", disabled=False)
    status = UserStatus(before.id, after.token_version, scopes=frozenset())
    assert (await users.statuses(["ann"])) == {"ann": status}


async def test_rename_keeps_the_id_and_frees_the_name(users, owners):
    ann = await users.add("ann", HASH, [])
    renamed = await users.rename("Ann", "Anna")
    assert (renamed.id, renamed.name) == (ann.id, "anna")
    another = await users.add("ann", HASH, [])
    assert another.id != ann.id
    assert await owners.names([ann.id, another.id, "unknown"]) == {
        ann.id: "anna",
        another.id: "ann",
    }


async def test_rename_to_a_name_in_use_changes_nothing(users, owners):
    ann, bob = await users.add("ann", HASH, []), await users.add("bob", HASH, [])
    with pytest.raises(AlreadyExistsError, match="'bob'"):
        await users.rename("ann", "BOB")
    assert await owners.names([ann.id, bob.id]) == {ann.id: "ann", bob.id: "bob"}


async def test_rename_of_an_unknown_user_raises(users):
    with pytest.raises(UserNotFoundError):
        await users.rename("ann", "bob")


async def test_names_after_remove_are_without_the_user(users, owners):
    ann = await users.add("ann", HASH, [])
    await users.remove("ann")
    assert await owners.names([ann.id]) == {}


async def test_statuses_tell_access_team_and_profile(users):
    ann = await users.add("ann", HASH, [], access=Access.OWN, profile="desktop")
    status = (await users.statuses(["ann"]))["ann"]
    assert (status.id, status.access, status.team_id, status.profile) == (
        ann.id,
        Access.OWN,
        "",
        "desktop",
    )

    await users.set_access("ann", Access.TEAM, "team")
    await users.set_profile("ann", "default")
    changed = (await users.statuses(["ann"]))["ann"]
    assert (changed.access, changed.team_id, changed.profile) == (Access.TEAM, "team", "default")
    assert changed.token_version == status.token_version + 2

"""Quotas that a user or a team has of its own, in place of those of the profile."""

import pytest

from eventually import eventually
from proa import v1
from proad.model import Access, QuotaName
from proad.store.quotas import QuotaStore
from proad.store.teams import TeamStore
from rpc.daemon import RPCS
from rpc.tenants import tenant
from rpc.test_quotas import box, policy_of


async def limit(user, name="QUOTA_NAME_RESOURCES"):
    """Return a limit that GetCaller tells; None: any sum."""
    return await limit_of(user, user.token, name)


async def limit_of(user, token, name="QUOTA_NAME_RESOURCES"):
    """Return what `limit` does, by a call with a token, which a change of a quota does not end."""
    rpc = RPCS["GetCaller"]
    quotas = (await user.daemon.send(rpc, rpc.request(), token=token)).quotas
    found = next(each for each in quotas if each.name == v1.QuotaName.Value(name))
    return found.limit if found.HasField("limit") else None


@pytest.fixture
def limited(serve):
    """Start a daemon with a quota of one resource, and a ceiling of three."""

    async def start():
        policy = policy_of({"quota_resources": 1})
        daemon = await serve(policy={**policy, "quota_resources": 3})
        return daemon, QuotaStore(daemon.users._database)

    return start


async def test_quota_of_a_user_takes_the_place_of_the_profiles(limited):
    daemon, quotas = await limited()
    alice, bella = await tenant(daemon, "alice"), await tenant(daemon, "bella")
    await quotas.set(alice.id, {QuotaName.RESOURCES: 2})
    await alice.container("aa")
    await alice.container("ab")
    refused = await alice.refused("CreateContainer", **box())

    assert (refused.reason, refused.metadata["limit"]) == ("QUOTA_EXCEEDED", "2")
    assert refused.metadata["setting"] == ""
    assert "have it raised with 'proad quota set'" in refused.message
    assert (await limit(alice), await limit(bella)) == (2, 1)
    await bella.container("bb")
    assert (await bella.refused("CreateContainer", **box())).metadata["profile"] == "default"


async def test_quota_of_a_team_is_its_members_and_no_users_own(limited):
    daemon, quotas = await limited()
    red = await TeamStore(daemon.users._database).add("red")
    tim, tom = [await tenant(daemon, name, Access.TEAM, red) for name in ("tim", "tom")]
    await quotas.set(red.id, {QuotaName.RESOURCES: 2})
    await quotas.set(tim.id, {QuotaName.RESOURCES: 3})
    await tim.container("aa")
    await tom.container("bb")
    assert (await tim.refused("CreateContainer", **box())).metadata["limit"] == "2"


async def test_quota_of_a_user_does_not_exceed_the_ceiling(limited):
    daemon, quotas = await limited()
    alice = await tenant(daemon, "alice")
    await quotas.set(alice.id, {QuotaName.RESOURCES: 10, QuotaName.PORTS: 4})
    assert await limit(alice) == 3
    assert await limit(alice, "QUOTA_NAME_PORTS") == 4
    assert await limit(alice, "QUOTA_NAME_RUNNING") is None


async def test_change_of_a_quota_is_in_force_when_the_status_is_read_again(limited):
    daemon, quotas = await limited()
    alice = await tenant(daemon, "alice")
    token = alice.token
    assert await limit_of(alice, token) == 1
    await quotas.set(alice.id, {QuotaName.RESOURCES: 2})

    async def raised():
        return await limit_of(alice, token) == 2

    await eventually(raised)
    await quotas.set(alice.id, {QuotaName.RESOURCES: None})
    assert (await quotas.all()) == {}


async def test_quota_goes_with_its_owner(limited):
    daemon, quotas = await limited()
    teams = TeamStore(daemon.users._database)
    red, alice = await teams.add("red"), await tenant(daemon, "alice")
    for id in (red.id, alice.id):
        await quotas.set(id, {QuotaName.RESOURCES: 2})
    await teams.remove("red")
    assert set(await quotas.all()) == {alice.id}
    await daemon.users.remove("alice")
    assert await quotas.all() == {}

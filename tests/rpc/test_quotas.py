"""Quotas: what an owner may have in sum is never exceeded, and nothing of it is lost."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from proad.core.local_records import LocalResourceRecords
from proad.core.quotas import QuotaTiming
from proad.drivers.memory import MemoryDriver
from proad.model import Access
from proad.ports.records import ResourceRecord
from proad.store.teams import TeamStore
from rpc.daemon import IMAGE, MEMORY_BYTES, Refusal, changing, running
from rpc.tenants import tenant

# A create whose caller gives up goes on: the answer would not tell whether it is there.
AMPLE = 300


def policy_of(quotas):
    """Return a policy whose tenants may be on the default network."""
    shared = {"allow_shared_networks": True}
    return {**shared, "profiles": {"default": {**shared, **quotas}}}


@pytest.fixture
def limited(serve):
    """Start a daemon whose default profile has these quotas."""

    async def start(*drivers, **quotas):
        return await serve(*drivers, policy=policy_of(quotas))

    return start


async def used(user, name):
    """Return how much of a quota is used."""
    quotas = (await user.call("GetCaller")).quotas
    return next(each.used for each in quotas if str(each).find(f"NAME_{name}\n") > 0)


def box(name="", **limits):
    return {"spec": {"image": IMAGE, "name": name, "resources": limits}}


async def test_create_beyond_the_quota_is_refused_before_any_effect(limited):
    daemon = await limited(quota_resources=2)
    ann = await tenant(daemon, "alice")
    await ann.container("one", start=False)
    await ann.domain("two")
    refused = await ann.refused("CreateContainer", **box("three"))

    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
    assert refused.metadata["quota"] == "resources"
    assert (refused.metadata["used"], refused.metadata["limit"]) == ("2", "2")
    assert refused.metadata["setting"] == "quota_resources"
    assert refused.metadata["profile"] == "default"
    assert "have the setting quota_resources of the profile 'default' raised" in refused.message
    checked = await ann.refused("CreateContainer", **box("three"), validate_only=True)
    assert checked.reason == "QUOTA_EXCEEDED"
    await ann.call("DeleteResource", id="one")
    await ann.container("three", start=False)
    assert await ann.names() == ["three", "two"]


async def test_quota_is_each_owners_own(limited):
    daemon = await limited(quota_resources=1)
    alice, bella = await tenant(daemon, "alice"), await tenant(daemon, "bella")
    await alice.container("aa")
    await bella.container("bb")
    assert (await bella.refused("CreateContainer", **box())).reason == "QUOTA_EXCEEDED"


async def test_quota_of_a_team_is_shared_by_its_members(limited):
    daemon = await limited(quota_resources=1)
    red = await TeamStore(daemon.users._database).add("red")
    tim, tom = [await tenant(daemon, name, Access.TEAM, red) for name in ("tim", "tom")]
    await tim.container("aa")
    assert (await tom.refused("CreateContainer", **box())).reason == "QUOTA_EXCEEDED"


async def test_running_counts_starts_and_not_what_is_stopped(limited):
    daemon = await limited(quota_running=1)
    alice = await tenant(daemon, "alice")
    await alice.container("aa")
    await alice.container("bb", start=False)
    assert (await alice.refused("StartResource", id="bb")).metadata["quota"] == "running"
    assert (await alice.refused("CreateContainer", **box(), start=True)).reason == "QUOTA_EXCEEDED"
    await alice.call("StopResource", id="aa")
    await alice.call("StartResource", id="bb")
    assert (await alice.refused("StartResource", id="aa")).reason == "QUOTA_EXCEEDED"


async def test_memory_and_cpus_count_updates_and_both_kinds(limited):
    daemon = await limited(quota_memory_bytes=4 * MEMORY_BYTES, quota_cpus=2)
    alice = await tenant(daemon, "alice")
    await alice.container("aa", resources={"memory_bytes": 2 * MEMORY_BYTES, "cpus": 0.5})
    await alice.domain("vm")
    more = changing("container", resources={"memory_bytes": 4 * MEMORY_BYTES})
    more["update_mask"] = {"paths": ["resources.memory_bytes"]}
    assert (await alice.refused("UpdateResource", id="aa", **more)).metadata[
        "quota"
    ] == "memory_bytes"
    more["container"] = {"resources": {"memory_bytes": 3 * MEMORY_BYTES}}
    await alice.call("UpdateResource", id="aa", **more)
    assert await used(alice, "MEMORY_BYTES") == 4 * MEMORY_BYTES
    assert (
        await alice.refused("UpdateResource", id="vm", **changing("domain", vcpus=2))
    ).reason == ("QUOTA_EXCEEDED")
    assert await used(alice, "CPUS") == 1.5


async def test_container_without_a_limit_counts_as_the_default(limited):
    daemon = await limited(quota_memory_bytes=2 * 2**30, quota_default_memory_bytes=2**30)
    alice = await tenant(daemon, "alice")
    await alice.container("aa")
    await alice.container("bb")
    assert (await alice.refused("CreateContainer", **box())).metadata["used"] == str(2 * 2**30)


async def test_container_without_a_limit_is_refused_where_there_is_no_default(limited):
    daemon = await limited(quota_memory_bytes=2**40)
    alice = await tenant(daemon, "alice")
    refused = await alice.refused("CreateContainer", **box())
    assert "this is without a limit" in refused.message
    assert refused.metadata["limit"] == str(2**40)
    await alice.container("aa", resources={"memory_bytes": 2**30})


async def test_disk_counts_volumes_of_calls_and_of_domains(limited):
    daemon = await limited(quota_disk_bytes=3 * 2**20)
    alice = await tenant(daemon, "alice")
    await alice.call("CreateVolume", spec={"name": "a.qcow2", "capacity_bytes": 2**20})
    disks = [{"new_volume": {"capacity_bytes": 2**20}}]
    await alice.domain("vm", disks=disks)
    two = {"name": "b.qcow2", "capacity_bytes": 2**21}
    assert (await alice.refused("CreateVolume", spec=two)).metadata["quota"] == "disk_bytes"
    await alice.call("CreateVolume", spec={**two, "capacity_bytes": 2**20})
    assert await used(alice, "DISK_BYTES") == 3 * 2**20


async def test_ports_count_published_ones(limited):
    daemon = await limited(quota_ports=1)
    alice = await tenant(daemon, "alice")
    ports = [{"container_port": 80, "host_port": 18080}]
    await alice.container("aa", ports=ports, start=False)
    spec = {"image": IMAGE, "ports": [{"container_port": 81}]}
    assert (await alice.refused("CreateContainer", spec=spec)).metadata["quota"] == "ports"


async def test_racing_creates_never_exceed_the_quota_and_lose_nothing(limited):
    daemon = await limited(quota_resources=10)
    users = [await tenant(daemon, name) for name in ("alice", "bella")]

    async def create(number):
        user = users[number % 2]
        try:
            return (await user.call("CreateContainer", within=AMPLE, **box())).resource
        except grpc.aio.AioRpcError as error:
            refusals.add(Refusal.of(error).reason)
            return None

    refusals = set[str]()
    for _ in range(3):
        made = [each for each in await asyncio.gather(*map(create, range(60))) if each]
        for number, user in enumerate(users):
            assert len(await user.names()) <= 10
            # A busy database may have refused some: what is left of the quota is there.
            while (late := await create(number)) is not None:
                made.append(late)
            assert len(await user.names()) == 10
        await asyncio.gather(
            *(daemon.call("DeleteResource", id=each.id, timeout=AMPLE) for each in made)
        )
    assert refusals <= {"QUOTA_EXCEEDED", "DATABASE_UNREACHABLE"}
    assert await daemon.names() == []


async def test_create_that_fails_gives_its_part_back(limited):
    daemon = await limited(quota_resources=1)
    alice = await tenant(daemon, "alice")
    for _ in range(3):
        refused = await alice.refused("CreateContainer", spec={"image": "no/such:1"})
        assert refused.reason == "IMAGE_NOT_FOUND"
    await alice.container("aa")


async def test_quota_counts_what_an_earlier_run_has_made_or_may_have(settings):
    """A record that no engine shows is that of a create which the end of the daemon cut off."""
    driver, rows = MemoryDriver(), LocalResourceRecords()
    limits = settings(policy=policy_of({"quota_resources": 3}))
    async with running(limits, [("local", driver)], records=rows) as daemon:
        alice = await tenant(daemon, "alice")
        await alice.container("aa")
    now = datetime.now(UTC)
    for mark, age in (("cut off", timedelta(0)), ("long ago", QuotaTiming().unseen_for)):
        record = ResourceRecord(mark=mark, owner=alice.id, create_time=now - age)
        await rows.put(await driver.identity(), record)
    async with running(limits, [("local", driver)], records=rows) as daemon:
        alice = replace(alice, daemon=daemon)
        assert await used(alice, "RESOURCES") == 2
        await alice.container("bb")
        assert (await alice.refused("CreateContainer", **box())).reason == "QUOTA_EXCEEDED"

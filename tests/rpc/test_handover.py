"""Handing over resources, with their volumes."""

import pytest

from proad.model import Access
from proad.store.teams import TeamStore
from rpc.daemon import IMAGE, refusal
from rpc.tenants import on_disk, outside, tenant
from rpc.watcher import CHANGE_TYPES, Watcher


async def test_hand_over_takes_sight_from_one_and_gives_it_to_the_other(handed):
    daemon, hand_over = handed
    alice, bella = await tenant(daemon, "alice"), await tenant(daemon, "bella")
    vm = await alice.domain("vm", disks=[{"new_volume": {"capacity_bytes": 2**20}}])
    hers = await Watcher(daemon, token=bella.token).begin()
    watcher = await Watcher(daemon, token=alice.token).begin()
    condition: dict[str, object] = {"gone": {}}
    wait = alice.call("WaitResource", id="vm", condition=condition, timeout={"seconds": 20})
    stats = alice.call("StreamStats", ids=["vm"])
    await stats.read()

    answer = await hand_over("vm", "bella")

    assert answer == {"path": vm.path, "name": "vm", "before": "alice"}
    await watcher.until(lambda: not watcher.there)
    await hers.until(lambda: hers.there)
    lost, gained = watcher.changes[-1], hers.changes[-1]
    assert CHANGE_TYPES[lost.type] == "REMOVED"
    assert lost.resource.owner == "alice"
    assert CHANGE_TYPES[gained.type] == "ADDED"
    assert gained.resource.owner == "bella"
    assert not (await wait).HasField("resource")
    assert (await refusal(stats.read())).reason == "RESOURCE_NOT_FOUND"
    assert await alice.volumes() == {}
    assert list((await bella.volumes()).values()) == ["bella"]
    assert await alice.names() == []
    for each in (watcher, hers):
        each.call.cancel()


async def test_hand_over_of_a_container_takes_its_volumes_along(handed):
    daemon, hand_over = handed
    alice, bella = await tenant(daemon, "alice"), await tenant(daemon, "bella")
    data, kept = (
        [{"target": "/d", "volume": {"name": name}}] for name in ("handed-data", "kept-data")
    )
    await alice.container("web", mounts=data)
    await alice.container("other", mounts=kept)

    await hand_over("web", "bella")

    again = await alice.refused("CreateContainer", spec={"image": IMAGE, "mounts": data})
    assert again.reason == "POLICY_DENIED"
    await bella.container("next", mounts=data)
    await bella.call("RecreateContainer", id="web")
    foreign = await bella.refused("CreateContainer", spec={"image": IMAGE, "mounts": kept})
    assert foreign.reason == "POLICY_DENIED"
    await alice.container("another", mounts=kept)


async def test_domain_whose_disk_has_become_somebody_elses_is_not_started(handed):
    daemon, hand_over = handed
    alice, bella = await tenant(daemon, "alice"), await tenant(daemon, "bella")
    await alice.call("CreateVolume", spec={"name": "disk", "capacity_bytes": 2**20})
    for name in ("one", "two"):
        await alice.call("CreateDomainFromXml", xml=on_disk(name, "file='/memory/default/disk'"))

    await hand_over("one", "bella")

    assert await bella.volumes() == {"disk": "bella"}
    for more in ({}, {"validate_only": True}):
        refused = await alice.refused("StartResource", id="two", **more)
        assert refused.reason == "POLICY_DENIED"
        (violation,) = refused.details["PreconditionFailure"].violations
        assert violation.type == "volume of another"
    await bella.call("StartResource", id="one")
    await daemon.call("StartResource", id="two")


async def test_hand_over_gives_what_was_made_outside_an_owner(handed):
    daemon, hand_over = handed
    await outside(daemon)
    red = await TeamStore(daemon.users._database).add("red")
    tim = await tenant(daemon, "tim", Access.TEAM, red)
    assert await tim.names() == []
    await hand_over("outside", "red")
    assert await tim.names() == ["outside"]


@pytest.mark.parametrize(
    ("ref", "owner", "error"),
    [("web", "nobody", "no user or team"), ("none", "ann", "no resource")],
)
async def test_hand_over_of_or_to_what_is_not_there_changes_nothing(handed, ref, owner, error):
    daemon, hand_over = handed
    await daemon.container("web")
    assert error in (await hand_over(ref, owner))["error"]
    assert await daemon.names(filter={"owners": ["ann"]}) == ["web"]

"""Handing over one volume, of a pool or of containers."""

import json

import pytest

from eventually import eventually
from proad.control import Control
from proad.core.volume_owner_reconciler import VolumeTiming
from proad.timing import DaemonTiming
from rpc.daemon import IMAGE, MEMORY_BYTES
from rpc.tenants import tenant
from rpc.test_quotas import used

SPEC = {"name": "disk.qcow2", "capacity_bytes": 2**20}


def mounted(name):
    return {"image": IMAGE, "mounts": [{"target": "/data", "volume": {"name": name}}]}


@pytest.mark.parametrize("prefix", ["", "local/"])
async def test_volume_of_a_pool_is_anothers_from_now_on(handed, prefix):
    daemon, hand_over = handed
    alice, bella = await tenant(daemon, "alice"), await tenant(daemon, "bella")
    pool = (await alice.call("CreateVolume", spec=SPEC)).volume.pool

    answer = await hand_over(f"{prefix}volume/{pool}/disk.qcow2", "bella")

    path = f"local/volume/{pool}/disk.qcow2"
    assert answer == {"path": path, "name": "disk.qcow2", "before": "alice"}
    assert (await alice.volumes(), await bella.volumes()) == ({}, {"disk.qcow2": "bella"})
    refused = await alice.refused("DeleteVolume", pool=pool, name="disk.qcow2")
    assert refused.reason == "VOLUME_NOT_FOUND"
    await bella.call("DeleteVolume", pool=pool, name="disk.qcow2")


async def test_disk_of_a_domain_goes_with_the_domain_alone(handed):
    daemon, hand_over = handed
    alice = await tenant(daemon, "alice")
    await tenant(daemon, "bella")
    await alice.domain("vm", disks=[{"new_volume": {"capacity_bytes": 2**20}}])
    [volume] = (await alice.call("ListVolumes")).volumes
    ref = f"volume/{volume.pool}/{volume.name}"

    assert "in use by domain vm" in (await hand_over(ref, "bella"))["error"]
    assert "the domain 'vm'" in (await hand_over(ref, "alice"))["error"]

    assert await alice.volumes() == {volume.name: "alice"}
    await alice.call("DeleteResource", id="vm", keep_volumes=True)
    assert (await hand_over(ref, "bella"))["before"] == "alice"


async def test_volume_made_outside_is_the_new_owners_as_one_of_their_own(handed):
    daemon, hand_over = handed
    alice, bella = await tenant(daemon, "alice"), await tenant(daemon, "bella")
    daemon.driver.put_volume("old.qcow2", 2**30)
    disk = {"disks": [{"volume": {"pool": "default", "name": "old.qcow2"}}]}
    refused = await alice.refused(
        "CreateDomain", spec=disk | {"name": "vm", "memory_bytes": MEMORY_BYTES}
    )
    assert refused.reason == "VOLUME_NOT_FOUND"

    assert (await hand_over("volume/default/old.qcow2", "alice"))["before"] == ""

    assert (await alice.volumes(), await bella.volumes()) == ({"old.qcow2": "alice"}, {})
    assert {each.name: each.owner for each in (await daemon.call("ListVolumes")).volumes} == {
        "old.qcow2": "alice"
    }
    assert await used(alice, "DISK_BYTES") == 2**30
    vm = await alice.domain("vm", **disk)
    refused = await bella.refused("DeleteVolume", pool="default", name="old.qcow2")
    assert refused.reason == "VOLUME_NOT_FOUND"
    await alice.call("DeleteResource", id=vm.id)
    assert (await hand_over("volume/default/old.qcow2", "bella"))["before"] == "alice"
    assert (await used(alice, "DISK_BYTES"), await used(bella, "DISK_BYTES")) == (0, 2**30)
    await bella.call("DeleteVolume", pool="default", name="old.qcow2")
    assert await bella.volumes() == {}


async def test_volume_made_anew_by_others_is_not_the_owners_of_the_one_before(handed):
    daemon, hand_over = handed
    alice = await tenant(daemon, "alice")
    daemon.driver.put_volume("old.qcow2", 2**20)
    await hand_over("volume/default/old.qcow2", "alice")

    daemon.driver.put_volume("old.qcow2", 2**20)

    assert await alice.volumes() == {}
    refused = await alice.refused("DeleteVolume", pool="default", name="old.qcow2")
    assert refused.reason == "VOLUME_NOT_FOUND"
    assert (await hand_over("volume/default/old.qcow2", "alice"))["before"] == ""
    assert await alice.volumes() == {"old.qcow2": "alice"}


async def test_quota_of_a_volume_made_outside_ends_with_the_volume(serve):
    control = Control()
    quick = DaemonTiming(volumes=VolumeTiming(interval=0.01))
    daemon = await serve(parts={"control": control}, timing=quick)
    alice = await tenant(daemon, "alice")
    daemon.driver.put_volume("old.qcow2", 2**20)
    await control.run(json.dumps(["own", "volume/default/old.qcow2", "alice"]).encode())
    assert await used(alice, "DISK_BYTES") == 2**20
    daemon.driver.put_volume("old.qcow2", 2**20)

    async def nothing_used():
        return await used(alice, "DISK_BYTES") == 0

    await eventually(nothing_used)


@pytest.mark.parametrize("outside", [True, False])
async def test_base_of_what_others_have_is_not_lent_to_a_tenant(handed, outside):
    daemon, hand_over = handed
    alice, bella = await tenant(daemon, "alice"), await tenant(daemon, "bella")
    if outside:
        daemon.driver.put_volume("base.qcow2", 2**20)
    else:
        await daemon.call("CreateVolume", spec={"name": "base.qcow2", "capacity_bytes": 2**20})
    base = {"pool": "default", "name": "base.qcow2"}
    await daemon.call("CreateVolume", spec={"name": "top.qcow2", "base": base})

    answer = await hand_over("volume/default/base.qcow2", "alice")

    assert "in use by volume default/top.qcow2" in answer["error"]
    assert await alice.volumes() == {}
    assert "error" not in await hand_over("volume/default/base.qcow2", "eve")
    assert "error" not in await hand_over("volume/default/top.qcow2", "bella")
    assert "error" in await hand_over("volume/default/base.qcow2", "alice")
    assert (await hand_over("volume/default/base.qcow2", "bella"))["before"] == "eve"
    assert await bella.volumes() == {"base.qcow2": "bella", "top.qcow2": "bella"}


async def test_disk_made_outside_follows_its_domain_to_the_owner_of_that(handed):
    daemon, hand_over = handed
    alice = await tenant(daemon, "alice")
    daemon.driver.put_volume("old.qcow2", 2**20)
    await daemon.domain("vm", disks=[{"volume": {"pool": "default", "name": "old.qcow2"}}])
    assert "in use by domain vm" in (await hand_over("volume/default/old.qcow2", "alice"))["error"]
    await hand_over("vm", "alice")
    assert "error" not in await hand_over("volume/default/old.qcow2", "alice")
    assert await alice.volumes() == {"old.qcow2": "alice"}


async def test_volume_of_containers_is_anothers_from_now_on(handed):
    daemon, hand_over = handed
    alice, bella = await tenant(daemon, "alice"), await tenant(daemon, "bella")
    await alice.container("hers", mounts=mounted("data")["mounts"])

    answer = await hand_over("volume/data", "bella")

    assert answer == {"path": "local/volume/data", "name": "data", "before": "alice"}
    refused = await alice.refused("CreateContainer", spec=mounted("data"))
    assert refused.metadata["rule"] == "volume of another"
    await bella.container("next", mounts=mounted("data")["mounts"])


async def test_volume_that_a_caller_with_access_to_all_made_can_be_handed_over(handed):
    daemon, hand_over = handed
    bella = await tenant(daemon, "bella")
    await daemon.container("of-all", mounts=mounted("data")["mounts"])
    assert (await bella.refused("CreateContainer", spec=mounted("data"))).reason == "POLICY_DENIED"
    assert (await hand_over("volume/data", "bella"))["before"] == "ann"
    await bella.container("next", mounts=mounted("data")["mounts"])


@pytest.mark.parametrize(
    ("ref", "owner", "error"),
    [
        ("volume/none", "ann", "none"),
        ("volume/default/none", "ann", "none"),
        ("volume/no-pool/disk", "ann", "no-pool"),
        ("elsewhere/volume/data", "ann", "no host 'elsewhere'"),
        ("of-a-volume/volume/data", "ann", "no host 'of-a-volume'"),
        ("volume/data", "nobody", "no user or team"),
        ("volume/", "ann", "no volume"),
    ],
)
async def test_volume_that_is_not_there_is_not_handed_over(handed, ref, owner, error):
    daemon, hand_over = handed
    await daemon.container("of-all", mounts=mounted("data")["mounts"])
    answer = await hand_over(ref, owner)
    assert error in answer["error"]

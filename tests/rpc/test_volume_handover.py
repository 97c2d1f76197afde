"""Handing over one volume, of a pool or of containers."""

import pytest

from rpc.daemon import IMAGE
from rpc.tenants import tenant

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

    answer = await hand_over(ref, "bella")

    assert "the domain 'vm'" in answer["error"]
    assert await alice.volumes() == {volume.name: "alice"}
    await alice.call("DeleteResource", id="vm", keep_volumes=True)
    assert (await hand_over(ref, "bella"))["before"] == "alice"


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

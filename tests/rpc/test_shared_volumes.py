"""Volumes that a profile shares: others read them, and nobody but who may see all writes them."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from proad.model import Access
from relaxed_policy import RELAXED
from rpc.daemon import MEMORY_BYTES
from rpc.tenants import tenant

GOLDEN = "golden-desktop"
BYTES = 2**20
SHARED = {"shared_volumes": ["default/golden-*"]}
BARE = {name: value for name, value in RELAXED.items() if name != "profiles"}
POLICY = {**BARE, **SHARED, "profiles": {"default": {**BARE, **SHARED}, "bare": BARE}}


@pytest.fixture
async def daemon(serve):
    """A daemon on which ann, who sees everything, has made golden volumes."""
    daemon = await serve(policy=POLICY)
    for name in (GOLDEN, "other"):
        await daemon.call("CreateVolume", spec={"name": name, "capacity_bytes": BYTES})
    return daemon


@pytest.fixture
async def alice(daemon):
    return await tenant(daemon, "alice")


async def listed(user):
    return {each.name: each for each in (await user.call("ListVolumes")).volumes}


def with_disk(name, **disk):
    return {"spec": {"name": name, "memory_bytes": MEMORY_BYTES, "disks": [disk]}}


async def test_shared_volume_is_listed_without_its_owner(daemon, alice):
    (volume,) = (await listed(alice)).values()
    assert (volume.name, volume.owner, volume.read_only) == (GOLDEN, "", True)
    everything = {each.name: each for each in (await daemon.call("ListVolumes")).volumes}
    assert {(each.owner, each.read_only) for each in everything.values()} == {("ann", False)}


async def test_shared_volume_in_a_table_is_marked_as_read_only(daemon, alice, tmp_path):
    await alice.call("CreateVolume", spec={"name": "own", "capacity_bytes": BYTES})
    command = [Path(sys.executable).with_name("proa"), "--target", daemon.address, "volumes", "ls"]
    environment = {**os.environ, "PROA_TOKEN": alice.token, "XDG_STATE_HOME": str(tmp_path)}
    listing = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await listing.communicate()
    _headings, *rows = (line.split() for line in output.decode().splitlines())
    modes = {row[1]: [word for word in row if word in {"ro", "rw"}] for row in rows}
    assert modes == {GOLDEN: ["ro"], "own": ["rw"]}


async def test_shared_volume_is_a_base_and_a_medium(alice):
    top = (await alice.call("CreateVolume", spec={"name": "top", "base": {"name": GOLDEN}})).volume
    assert (top.owner, top.read_only) == ("alice", False)
    new = {"new_volume": {"base": {"name": GOLDEN}}}
    spec = with_disk("vm", **new)["spec"] | {"cdroms": [{"volume": {"name": GOLDEN}}]}
    made = (await alice.call("CreateDomain", spec=spec, start=True)).resource
    await alice.call("DeleteResource", id=made.id, force=True)
    assert GOLDEN in await listed(alice)


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("DeleteVolume", {"name": GOLDEN}),
        ("DeleteVolume", {"name": GOLDEN, "pool": "default", "validate_only": True}),
        ("CreateDomain", with_disk("vm", volume={"name": GOLDEN})),
    ],
)
async def test_shared_volume_is_neither_written_nor_deleted(alice, method, fields):
    refused = await alice.refused(method, **fields)
    assert (refused.reason, refused.metadata["rule"]) == ("POLICY_DENIED", "shared volume")
    assert "ann" not in refused.message.split()
    assert GOLDEN in await listed(alice)
    assert await alice.names() == []


async def test_volume_that_a_tenant_gives_a_shared_name_is_shared_with_nobody(daemon, alice):
    bella = await tenant(daemon, "bella")
    await bella.call("CreateVolume", spec={"name": "golden-evil", "capacity_bytes": BYTES})
    assert {*await listed(alice)} == {GOLDEN}
    assert {*await listed(bella)} == {GOLDEN, "golden-evil"}
    assert not (await listed(bella))["golden-evil"].read_only
    refused = await alice.refused(
        "CreateVolume", spec={"name": "top", "base": {"name": "golden-evil"}}
    )
    assert refused.reason == "VOLUME_NOT_FOUND"
    await bella.call("DeleteVolume", name="golden-evil")


async def test_volume_of_who_may_not_see_all_any_more_is_not_shared(daemon, alice):
    bella = await tenant(daemon, "bella", Access.ALL)
    await bella.call("CreateVolume", spec={"name": "golden-bella", "capacity_bytes": BYTES})
    assert "golden-bella" in await listed(alice)
    await daemon.users.set_access("bella", Access.OWN, "")
    assert {*await listed(alice)} == {GOLDEN}


async def test_profile_that_shares_nothing_shows_nothing(daemon):
    bare = await tenant(daemon, "bare")
    daemon.versions["bare"] = (await daemon.users.set_profile("bare", "bare")).token_version
    assert await listed(bare) == {}
    refused = await bare.refused("DeleteVolume", name=GOLDEN)
    assert refused.reason == "VOLUME_NOT_FOUND"

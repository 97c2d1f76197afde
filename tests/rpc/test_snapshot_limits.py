"""A domain has no more snapshots than the profile of who takes them allows."""

import asyncio

import pytest

from rpc.daemon import Refusal
from rpc.tenants import tenant
from rpc.test_quotas import policy_of


@pytest.fixture
async def limited(serve):
    """A daemon whose default profile allows two snapshots of a domain."""
    return await serve(policy=policy_of({"max_snapshots": 2}))


async def test_snapshot_beyond_the_limit_is_denied_before_any_effect(limited):
    ann = await tenant(limited, "alice")
    for name in ("vm", "other"):
        await ann.domain(name)
    for name in ("first", "second"):
        await ann.call("CreateSnapshot", id="vm", name=name)

    for more in ({}, {"validate_only": True}):
        refused = await ann.refused("CreateSnapshot", id="vm", name="third", **more)
        assert refused.reason == "POLICY_DENIED"
        assert "setting max_snapshots" in refused.message

    await ann.call("CreateSnapshot", id="other", name="third")
    listed = (await ann.call("ListSnapshots", id="vm")).snapshots
    assert [each.name for each in listed] == ["first", "second"]
    await ann.call("DeleteSnapshot", id="vm", name="first")
    await ann.call("CreateSnapshot", id="vm", name="third")


async def test_snapshots_that_race_are_no_more_than_the_limit(limited):
    ann = await tenant(limited, "alice")
    await ann.domain("vm")
    tried = [ann.call("CreateSnapshot", id="vm", name=f"s{n}") for n in range(8)]

    made = await asyncio.gather(*tried, return_exceptions=True)

    reasons = [Refusal.of(each).reason for each in made if isinstance(each, Exception)]
    assert set(reasons) == {"POLICY_DENIED"}
    assert len((await ann.call("ListSnapshots", id="vm")).snapshots) == 2

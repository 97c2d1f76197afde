"""Snapshots of a domain on a real libvirt are no more than the profile allows, whoever took them."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import libvirt
import pytest

from integration.libvirt.served import served
from relaxed_policy import RELAXED
from rpc.tenants import Tenant, tenant

pytestmark = pytest.mark.libvirt


@pytest.fixture
async def tina(folder: Path, tmp_path: Path) -> AsyncIterator[Tenant]:
    profiles: Any = RELAXED["profiles"]
    limited = {**profiles["default"], "max_snapshots": 2}
    policy = {**RELAXED, "profiles": {**profiles, "default": limited}}
    async with served(folder, tmp_path, policy) as daemon:
        user = await tenant(daemon, "tina")
        yield user
        for each in (await user.call("ListResources")).resources:
            await user.call("DeleteResource", id=each.id, delete_snapshots=True)


@pytest.fixture
def make(tina: Tenant, folder: Path, raw: libvirt.virConnect) -> Callable[[str], Any]:
    async def make(name: str) -> tuple[str, libvirt.virDomain]:
        """Make a domain that is shut off; return its id, and libvirt's own."""
        disks = [{"new_volume": {"capacity_bytes": 2**20}}]
        spec = {"memory_bytes": 32 * 2**20, "networkless": True, "disks": disks}
        made = await tina.domain(f"{folder.name}-{name}", **spec)
        return made.id, raw.lookupByUUIDString(made.id)

    return make


async def test_snapshots_that_others_took_count(tina: Tenant, make: Callable[[str], Any]):
    id, domain = await make("counted")
    other, _ = await make("other")
    await tina.call("CreateSnapshot", id=id, name="ours")
    domain.snapshotCreateXML("<domainsnapshot><name>theirs</name></domainsnapshot>")

    for more in ({}, {"validate_only": True}):
        refused = await tina.refused("CreateSnapshot", id=id, name="third", **more)
        assert (refused.reason, refused.metadata["setting"]) == ("POLICY_DENIED", "max_snapshots")
        assert "setting max_snapshots" in refused.message
        assert {*domain.snapshotListNames()} == {"ours", "theirs"}

    await tina.call("CreateSnapshot", id=other, name="third", validate_only=True)
    await tina.call("CreateSnapshot", id=other, name="third")
    domain.snapshotLookupByName("theirs").delete()
    await tina.call("CreateSnapshot", id=id, name="third", validate_only=True)
    assert domain.snapshotListNames() == ["ours"]
    await tina.call("CreateSnapshot", id=id, name="third")
    assert {*domain.snapshotListNames()} == {"ours", "third"}
    assert (await tina.refused("CreateSnapshot", id=id)).reason == "POLICY_DENIED"

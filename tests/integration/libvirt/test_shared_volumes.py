"""Many guests of tenants from one golden image of the host's, on a real libvirt."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libvirt
import pytest

from integration.libvirt.served import served
from proad.model import Access
from relaxed_policy import RELAXED
from rpc.tenants import Tenant, tenant

pytestmark = pytest.mark.libvirt

BYTES = 2**20
MEMORY = 32 * 2**20
XML = """<domain type="qemu"><name>{name}</name><memory unit="MiB">32</memory>
<os><type arch="x86_64">hvm</type></os><devices><disk type="{type}" device="{device}">
<driver name="qemu" type="{format}"/>{source}<target dev="{target}" bus="{bus}"/>
</disk></devices></domain>"""


@dataclass(frozen=True)
class Shared:
    """Two tenants, an operator, and the golden volume of their pool.

    Attributes:
        prefix: what the names of domains begin with.
        file: the golden volume, which Proa knows nothing of.
    """

    tina: Tenant
    toby: Tenant
    olga: Tenant
    pool: str
    prefix: str
    file: Path

    @property
    def base(self) -> dict[str, str]:
        return {"pool": self.pool, "name": self.file.name, "format": "DISK_FORMAT_QCOW2"}

    def spec(self, name: str, **more: Any) -> dict[str, Any]:
        fixed = {"memory_bytes": MEMORY, "networkless": True}
        return {"name": f"{self.prefix}-{name}", **fixed, **more}

    def digest(self) -> str:
        return hashlib.sha256(self.file.read_bytes()).hexdigest()


@pytest.fixture
async def shared(raw: libvirt.virConnect, folder: Path, tmp_path: Path) -> AsyncIterator[Shared]:
    prefix = f"{folder.name}-shared"
    share = {"shared_volumes": [f"{folder.name}/golden-*"]}
    default: Any = RELAXED["profiles"]
    policy = {**RELAXED, **share, "profiles": {"default": {**default["default"], **share}}}
    async with served(folder, tmp_path, policy) as daemon:
        tina, toby = await tenant(daemon, "tina"), await tenant(daemon, "toby")
        olga = await tenant(daemon, "olga", Access.ALL)
        made = {"name": "made-by-proa.qcow2", "capacity_bytes": BYTES}
        await olga.call("CreateVolume", spec=made)  # makes the pool
        file = folder / "golden-desktop.qcow2"
        file.write_bytes((folder / "made-by-proa.qcow2").read_bytes())
        file.chmod(0o644)
        raw.storagePoolLookupByName(folder.name).refresh()
        shared = Shared(tina, toby, olga, folder.name, prefix, file)
        yield shared
        for resource in (await olga.call("ListResources")).resources:
            if resource.name.startswith(prefix):
                await olga.call("DeleteResource", id=resource.id, force=True)
        for volume in (await olga.call("ListVolumes", pool=folder.name)).volumes:
            if volume.base_path:
                await olga.call("DeleteVolume", pool=folder.name, name=volume.name)
        for name in (file.name, "made-by-proa.qcow2"):
            await olga.call("DeleteVolume", pool=folder.name, name=name)


async def test_guests_of_tenants_run_from_one_golden_volume(
    shared: Shared, raw: libvirt.virConnect
):
    before = shared.digest()
    made = [
        (user, await user.domain(f"{shared.prefix}-{user.name}{number}", **_clone(shared)))
        for number in range(2)
        for user in (shared.tina, shared.toby)
    ]
    for user, vm in made:
        xml = raw.lookupByUUIDString(vm.id).XMLDesc()
        assert f"<source file='{shared.file}'" in xml
        await user.call("StopResource", id=vm.id, mode="STOP_MODE_FORCE")
        await user.call("StartResource", id=vm.id)
        others = shared.toby if user is shared.tina else shared.tina
        assert (await others.refused("GetResource", id=vm.id)).reason == "RESOURCE_NOT_FOUND"
    volumes = (await shared.tina.call("ListVolumes", pool=shared.pool)).volumes
    assert [(each.name, each.owner) for each in volumes if each.read_only] == [
        (shared.file.name, "")
    ]
    assert {each.owner for each in volumes if not each.read_only} == {"tina"}
    refused = await shared.olga.refused("DeleteVolume", pool=shared.pool, name=shared.file.name)
    assert refused.reason == "IN_USE"
    for user, vm in made:
        await user.call("DeleteResource", id=vm.id, force=True)
    assert shared.digest() == before


def _clone(shared: Shared) -> dict[str, Any]:
    new = {"new_volume": {"pool": shared.pool, "base": shared.base}}
    return {"disks": [new], "networkless": True, "memory_bytes": MEMORY, "start": True}


async def test_golden_volume_is_a_medium(shared: Shared, raw: libvirt.virConnect):
    by_path = [{"path": str(shared.file)}]
    by_name = [{"volume": {"pool": shared.pool, "name": shared.file.name}}]
    for number, cdroms in enumerate((by_path, by_name)):
        spec = shared.spec(f"cd{number}", cdroms=cdroms)
        made = (await shared.tina.call("CreateDomain", spec=spec)).resource
        assert "<readonly/>" in raw.lookupByUUIDString(made.id).XMLDesc()


async def test_golden_volume_is_neither_written_nor_deleted(
    shared: Shared, raw: libvirt.virConnect
):
    before = shared.digest(), shared.file.stat().st_mtime_ns
    names = {"pool": shared.pool, "name": shared.file.name}
    file = f"<source file='{shared.file}'/>"
    volume = f"<source pool='{shared.pool}' volume='{shared.file.name}'/>"
    disk = {"format": "qcow2", "target": "vda", "bus": "virtio"}

    def xml(**more: str) -> dict[str, str]:
        return {"xml": XML.format(name=f"{shared.prefix}-xml", **disk, **more)}

    for method, fields in (
        ("DeleteVolume", names),
        ("CreateDomain", {"spec": shared.spec("disk", disks=[{"volume": shared.base}])}),
        ("CreateDomainFromXml", xml(type="file", device="disk", source=file)),
        ("CreateDomainFromXml", xml(type="volume", device="disk", source=volume)),
        ("CreateDomainFromXml", xml(type="file", device="disk", source=f"{file}<readonly/>")),
    ):
        refused = await shared.tina.refused(method, **fields)
        assert (refused.reason, refused.metadata["rule"]) == ("POLICY_DENIED", "shared volume")
    assert [each for each in raw.listAllDomains() if shared.prefix in each.name()] == []
    assert (shared.digest(), shared.file.stat().st_mtime_ns) == before


async def test_xml_of_a_medium_and_of_a_clone_is_allowed(shared: Shared, raw: libvirt.virConnect):
    spec = {"name": "tinas.qcow2", "pool": shared.pool, "base": shared.base}
    clone = (await shared.tina.call("CreateVolume", spec=spec)).volume
    for number, (device, target, bus, format, path) in enumerate(
        (
            ("cdrom", "sda", "sata", "raw", str(shared.file)),
            ("disk", "vda", "virtio", "qcow2", clone.path),
        )
    ):
        xml = XML.format(
            name=f"{shared.prefix}-x{number}",
            type="file",
            device=device,
            source=f"<source file='{path}'/>",
            target=target,
            bus=bus,
            format=format,
        )
        refused = await shared.toby.refused("CreateDomainFromXml", xml=xml) if number else None
        assert refused is None or "cannot be used" in refused.message
        made = (await shared.tina.call("CreateDomainFromXml", xml=xml)).resource
        assert str(shared.file) in raw.lookupByUUIDString(made.id).XMLDesc()
        await shared.tina.call("DeleteResource", id=made.id)
    assert shared.file.exists()

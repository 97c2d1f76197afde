"""Volumes that were made past Proa, handed over on a real libvirt."""

import json
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libvirt
import pytest

from integration.libvirt.served import served
from proad.control import Control
from proad.model import Access
from relaxed_policy import RELAXED
from rpc.tenants import Tenant, tenant

pytestmark = pytest.mark.libvirt

BYTES = 2**20
RAW = """<domain type="qemu"><name>{name}</name><memory unit="MiB">32</memory>
<os><type arch="x86_64">hvm</type></os><devices><disk type="volume" device="disk">
<driver name="qemu" type="raw"/><source pool="{pool}" volume="{volume}"/>
<target dev="vda" bus="virtio"/></disk></devices></domain>"""


@dataclass(frozen=True)
class Host:
    """Two tenants of a daemon, and a pool with volumes that the host has made."""

    tina: Tenant
    toby: Tenant
    folder: Path
    raw: libvirt.virConnect
    control: Control

    @property
    def pool(self) -> str:
        return self.folder.name

    def make(self, name: str, *options: str) -> Path:
        """Make a qcow2 image, with `qemu-img` or in place of the file of that name."""
        file = self.folder / name
        file.unlink(missing_ok=True)
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", *options, file, str(BYTES)], check=True
        )
        self.raw.storagePoolLookupByName(self.pool).refresh()
        return file

    async def hand_over(self, name: str, owner: Tenant, pool: str = "") -> Any:
        order = ["own", f"volume/{pool or self.pool}/{name}", owner.name]
        return await self.control.run(json.dumps(order).encode())

    def with_disk(self, name: str) -> dict[str, Any]:
        disks = [{"volume": {"pool": self.pool, "name": name}}]
        return {"memory_bytes": 32 * BYTES, "networkless": True, "disks": disks}


@pytest.fixture
async def host(raw: libvirt.virConnect, folder: Path, tmp_path: Path) -> AsyncIterator[Host]:
    control = Control()
    async with served(folder, tmp_path, RELAXED, control=control) as daemon:
        tina, toby = await tenant(daemon, "tina"), await tenant(daemon, "toby")
        spec = {"name": "first.qcow2", "capacity_bytes": BYTES}
        await tina.call("CreateVolume", spec=spec)  # makes the pool
        await tina.call("DeleteVolume", pool=folder.name, name="first.qcow2")
        yield Host(tina, toby, folder, raw, control)
        for user in (tina, toby):
            for each in (await user.call("ListResources")).resources:
                await user.call("DeleteResource", id=each.id, force=True)
    for file in folder.glob("own-*"):
        file.unlink()
    raw.storagePoolLookupByName(folder.name).refresh()


async def test_volume_made_outside_is_the_tenants_as_one_of_their_own(host: Host):
    host.make("own-disk.qcow2")
    name = f"{host.pool}-own"
    disk = host.with_disk("own-disk.qcow2")
    refused = await host.tina.refused("CreateDomain", spec={"name": name, **disk})
    assert refused.reason == "VOLUME_NOT_FOUND"

    answer = await host.hand_over("own-disk.qcow2", host.tina)

    path = f"local/volume/{host.pool}/own-disk.qcow2"
    assert answer == {"path": path, "name": "own-disk.qcow2", "before": ""}
    assert await host.tina.volumes() == {"own-disk.qcow2": "tina"}
    assert await host.toby.volumes() == {}
    vm = await host.tina.domain(name, start=True, **disk)
    refused = await host.toby.refused("DeleteVolume", pool=host.pool, name="own-disk.qcow2")
    assert refused.reason == "VOLUME_NOT_FOUND"
    await host.tina.call("DeleteResource", id=vm.id, force=True)
    await host.tina.call("DeleteVolume", pool=host.pool, name="own-disk.qcow2")
    assert not (host.folder / "own-disk.qcow2").exists()
    host.make("own-disk.qcow2")
    assert await host.tina.volumes() == {}


@pytest.mark.parametrize("how", ["anew", "moved", "linked"])
async def test_another_file_of_the_name_is_nobodys(host: Host, how: str):
    file = host.make("own-disk.qcow2")
    await host.hand_over("own-disk.qcow2", host.tina)
    inode = file.stat().st_ino
    if how == "anew":
        # Some file systems give the inode to the next file.
        file.unlink()
        file.write_bytes(b"\0" * BYTES)
    else:
        other = host.make("own-other.qcow2")
        if how == "linked":
            file.unlink()
            os.link(other, file)
        else:
            other.replace(file)
    host.raw.storagePoolLookupByName(host.pool).refresh()

    assert await host.tina.volumes() == {}, (inode, file.stat().st_ino)
    refused = await host.tina.refused("DeleteVolume", pool=host.pool, name="own-disk.qcow2")
    assert refused.reason == "VOLUME_NOT_FOUND"
    assert file.exists()


async def test_owner_follows_the_file_to_another_pool(host: Host, tmp_path: Path):
    host.make("own-disk.qcow2")
    await host.hand_over("own-disk.qcow2", host.tina)
    (tmp_path / "again").symlink_to(host.folder)
    again = host.raw.storagePoolCreateXML(
        f"<pool type='dir'><name>{host.pool}-again</name><target><path>{tmp_path}/again</path></target></pool>"
    )
    try:
        listed = (await host.tina.call("ListVolumes")).volumes
        assert {each.pool for each in listed} == {host.pool, again.name()}
        assert (await host.hand_over("own-disk.qcow2", host.toby, again.name()))["before"] == "tina"
        assert await host.tina.volumes() == {}
    finally:
        again.destroy()
    assert await host.toby.volumes() == {"own-disk.qcow2": "toby"}


async def test_image_that_names_another_file_is_not_handed_over(host: Host):
    base = host.make("own-base.qcow2")
    host.make("own-top.qcow2", "-b", str(base), "-F", "qcow2")
    host.make("own-data.qcow2", "-o", f"data_file={host.folder}/own-data.raw")
    (host.folder / "own-link.qcow2").symlink_to(host.make("own-plain.qcow2"))
    host.raw.storagePoolLookupByName(host.pool).refresh()
    for name, why in (
        ("own-top.qcow2", "needs the file"),
        ("own-data.qcow2", "needs the file"),
        ("own-link.qcow2", "no regular file"),
        ("own-base.qcow2", f"in use by volume {host.pool}/own-top.qcow2"),
    ):
        assert why in (await host.hand_over(name, host.tina))["error"], name
    assert await host.tina.volumes() == {}


async def test_header_that_a_guest_may_write_decides_nothing(host: Host):
    """A domain of the host uses as raw what looks like qcow2; its owner gets the volume, too."""
    host.make("own-disk.qcow2")
    name = f"{host.pool}-own-raw"
    domain = host.raw.defineXML(RAW.format(name=name, pool=host.pool, volume="own-disk.qcow2"))
    assert (
        f"in use by domain {name}" in (await host.hand_over("own-disk.qcow2", host.tina))["error"]
    )
    handed = await host.control.run(json.dumps(["own", domain.UUIDString(), "tina"]).encode())
    assert handed["name"] == name
    assert "error" not in await host.hand_over("own-disk.qcow2", host.tina)
    (volume,) = (await host.tina.call("ListVolumes")).volumes
    assert volume.format == 2, "not RAW"
    await host.tina.call("DeleteResource", id=domain.UUIDString())
    stated = host.with_disk("own-disk.qcow2")
    stated["disks"][0]["volume"]["format"] = "DISK_FORMAT_QCOW2"
    refused = await host.tina.refused("CreateDomain", spec={"name": name, **stated})
    assert refused.reason == "INVALID_ARGUMENT"


async def test_volume_that_an_unreadable_image_may_need_is_for_those_who_have_all(host: Host):
    host.make("own-disk.qcow2")
    (host.folder / "own-torn.qcow2").write_bytes(b"QFI\xfb\0\0\0\3")
    refused = (await host.hand_over("own-disk.qcow2", host.tina))["error"]
    assert f"volume {host.pool}/own-torn.qcow2 perhaps" in refused
    assert await host.tina.volumes() == {}
    olga = await tenant(host.tina.daemon, "olga", Access.ALL)
    assert "error" not in await host.hand_over("own-disk.qcow2", olga)
    (host.folder / "own-torn.qcow2").unlink()
    assert (await host.hand_over("own-disk.qcow2", host.tina))["before"] == "olga"

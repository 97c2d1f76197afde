"""Creates and deletes: the result, and the clean-up after a failure."""

import asyncio
import os
import re
import secrets
import shlex
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from typing import Any

import libvirt
import pytest

from eventually import eventually
from integration.libvirt.guests import MIB, Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.xml.parser import parse
from proad.errors import (
    AlreadyExistsError,
    HostExhaustedError,
    InUseError,
    InvalidArgumentError,
    ProaError,
)
from proad.model import (
    BootDevice,
    CdromSpec,
    DiskBus,
    DiskDevice,
    DiskFormat,
    DiskSpec,
    DomainXml,
    Firmware,
    Graphics,
    GraphicsSpec,
    GraphicsType,
    NetworkModel,
    NetworkSpec,
    NewDisk,
    ResourceState,
    StopMode,
    StopOptions,
    VirtType,
    VolumeRef,
    VolumeSpec,
)
from requirements import skip_or_fail
from resource_details import domain_spec_of

pytestmark = pytest.mark.libvirt


def new(**fields: object) -> DiskSpec:
    return DiskSpec(new_volume=NewDisk(capacity_bytes=MIB), **fields)  # type: ignore[arg-type] # typed by DiskSpec


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (
            {"networks": (NetworkSpec(network="proa-test-none"),), "networkless": False},
            InvalidArgumentError,
        ),
        ({"cdroms": (CdromSpec(path="/var/tmp/proa-test-none.iso"),)}, InvalidArgumentError),
        ({"machine": "none"}, InvalidArgumentError),
        (
            {"disks": (new(), DiskSpec(new_volume=NewDisk(base=VolumeRef(name="proa-test-none"))))},
            ProaError,
        ),
        ({"disks": (new(), DiskSpec(new_volume=NewDisk(capacity_bytes=2**60 - 1)))}, ProaError),
    ],
    ids=["network", "medium", "machine", "base", "size"],
)
async def test_create_domain_with_a_failing_step_leaves_nothing(
    driver: LibvirtDriver, guests: Guests, wrong: dict[str, Any], error: type[ProaError]
):
    spec = (
        guests.blank(**{"disks": (new(), new()), **wrong})
        if "cdroms" not in wrong
        else guests.spec(**wrong)
    )
    with pytest.raises(error):
        await driver.create_domain(spec, start=True)
    assert await guests.domains() == set()
    assert await guests.volumes() == set()


@pytest.mark.parametrize(
    ("owner", "call"),
    [
        (libvirt.virStoragePool, "createXML"),
        (libvirt.virConnect, "defineXMLFlags"),
        (libvirt.virDomain, "create"),
    ],
    ids=["volume", "definition", "start"],
)
async def test_create_domain_cancelled_at_a_step_leaves_nothing(
    driver: LibvirtDriver, guests: Guests, monkeypatch: pytest.MonkeyPatch, owner: type, call: str
):
    loop, reached, cancelled = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    original = getattr(owner, call)

    def step(self: object, *args: object) -> object:
        loop.call_soon_threadsafe(reached.set)
        cancelled.wait()
        return original(self, *args)

    monkeypatch.setattr(owner, call, step)
    spec = guests.blank(disks=(new(), new(), new()))
    create = asyncio.create_task(driver.create_domain(spec, start=True))
    await reached.wait()
    create.cancel()
    await asyncio.sleep(0)  # the cancellation arrives
    cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await create
    assert await guests.domains() == set()
    assert await guests.volumes() == set()


async def test_default_screen_has_no_port_and_answers_on_a_descriptor(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    made = await driver.create_domain(guests.blank(graphics=GraphicsSpec()), start=True)
    assert made.domain is not None
    assert made.domain.graphics == Graphics(type=GraphicsType.VNC)
    domain = raw.lookupByUUIDString(made.id)
    with socket(fileno=domain.openGraphicsFD(0, 0)) as viewer:
        viewer.settimeout(30)
        assert viewer.recv(12) == b"RFB 003.008\n"


async def test_get_resource_of_a_created_domain_shows_the_spec(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, folder: Path
):
    spec = guests.spec(
        title="Title",
        disks=(new(), new(bus=DiskBus.SATA), new(bus=DiskBus.SCSI)),
        boot_order=(BootDevice.NETWORK, BootDevice.DISK, BootDevice.CDROM),
        networkless=False,
        networks=(NetworkSpec(model=NetworkModel.E1000E, mac_address="52:54:00:aa:bb:cc"),),
        graphics=GraphicsSpec(type=GraphicsType.VNC_LOOPBACK),
        machine="q35",
        autostart=True,
    )
    if not raw.networkLookupByName("default").isActive():
        skip_or_fail("the network 'default' does not run")
    made = await driver.create_domain(spec, start=True)
    shown = made.domain
    assert shown is not None
    assert (shown.virt_type, shown.autostart, domain_spec_of(made).title) == (
        VirtType.QEMU,
        True,
        "Title",
    )
    assert shown.machine.startswith("pc-q35")
    assert domain_spec_of(made).boot_order == spec.boot_order
    assert shown.runtime_id > 0
    assert shown.graphics is not None
    assert shown.graphics.type is GraphicsType.VNC_LOOPBACK
    assert shown.graphics.listen == "127.0.0.1"
    assert shown.graphics.port >= 5900
    (card,) = shown.networks
    assert (card.network, card.mac_address, card.model) == (
        "default",
        "52:54:00:aa:bb:cc",
        "e1000e",
    )
    assert card.host_device.startswith("vnet")
    disks = {disk.target: disk for disk in shown.disks}
    assert {t: d.bus for t, d in disks.items()} == {
        "vda": DiskBus.VIRTIO,
        "sda": DiskBus.SATA,
        "sdb": DiskBus.SCSI,
        "sdc": DiskBus.SATA,
    }
    assert [disks[t].owned for t in ("vda", "sda", "sdb", "sdc")] == [True, True, True, False]
    assert disks["vda"].capacity_bytes == MIB
    volume = disks["vda"].volume
    assert volume is not None
    assert volume.pool == folder.name
    assert volume.name.startswith(f"{spec.name}-vda-")
    medium = disks["sdc"]
    assert (medium.device, medium.path) == (DiskDevice.CDROM, str(folder / "guest.iso"))
    assert medium.capacity_bytes == (folder / "guest.iso").stat().st_size


async def test_get_resource_with_a_lease_shows_the_address(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    if not raw.networkLookupByName("default").isActive():
        skip_or_fail("the network 'default' does not run")
    guest = await guests.boot(networkless=False, networks=(NetworkSpec(),))
    said = await guests.hear(guest.id, rb"IP ([0-9.]+)\r?\n")

    async def addresses() -> list[str]:
        domain = (await driver.get_resource(guest.id)).domain
        assert domain is not None
        return [address.split("/")[0] for address in domain.networks[0].addresses]

    # libvirt writes a lease down after the guest has got it.
    await eventually(addresses)
    assert await addresses() == [said.group(1).decode()]


async def test_delete_uefi_domain_removes_its_nvram(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    made = await driver.create_domain(guests.blank(firmware=Firmware.UEFI), start=True)
    assert domain_spec_of(made).firmware is Firmware.UEFI
    nvram = parse(raw.lookupByUUIDString(made.id).XMLDesc()).findtext("os/nvram", "")
    assert Path(nvram).exists()
    stopped = await driver.stop(made.id, StopOptions(mode=StopMode.FORCE))
    assert stopped.state is ResourceState.STOPPED
    await driver.delete(made.id)
    assert not Path(nvram).exists()
    assert await guests.domains() == set()


async def test_delete_with_volume_used_by_another_domain_keeps_it(
    driver: LibvirtDriver, guests: Guests
):
    owner = await driver.create_domain(guests.blank())
    assert owner.domain is not None
    (disk,) = owner.domain.disks
    other = await driver.create_domain(guests.blank(disks=(DiskSpec(volume=disk.volume),)))
    assert disk.volume is not None
    with pytest.raises(InUseError) as caught:
        await driver.delete_volume(disk.volume.pool, disk.volume.name)
    assert caught.value.metadata["used_by"] == f"domain {owner.name},domain {other.name}"
    await driver.delete(owner.id)
    assert await guests.volumes() == {disk.volume.name}
    await driver.delete(other.id)
    assert await guests.volumes() == {disk.volume.name}  # nor does the other domain own it


async def test_delete_of_domain_copy_keeps_volumes_of_original(
    driver: LibvirtDriver, guests: Guests
):
    made = await driver.create_domain(guests.blank(labels={"a": "b"}))
    xml = await driver.get_domain_xml(made.id)
    name = f"{guests.prefix}-copy"
    xml = xml.replace(f"<name>{made.name}<", f"<name>{name}<").replace(
        made.id, str(secrets.token_hex(16))
    )
    copy = await driver.create_domain_from_xml(DomainXml(xml=xml))
    assert copy.labels == {"a": "b"}
    assert copy.domain is not None
    assert [disk.owned for disk in copy.domain.disks] == [False]
    await driver.delete(copy.id)
    assert len(await guests.volumes()) == 1


async def test_create_domain_with_one_name_concurrently_makes_one(
    driver: LibvirtDriver, guests: Guests
):
    spec = guests.blank()
    answers = await asyncio.gather(
        *(driver.create_domain(spec) for _ in range(4)), return_exceptions=True
    )
    made = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(made) == 1
    assert all(isinstance(a, AlreadyExistsError) for a in answers if a not in made)
    assert len(await guests.volumes()) == 1


@pytest.fixture
def small_pool(raw: libvirt.virConnect) -> Iterator[str]:
    """A pool on a file system of 4 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=True)
    pool = raw.storagePoolCreateXML(
        f"<pool type='dir'><name>{folder.name}</name><target><path>{folder}</path></target></pool>"
    )
    # Fill the file system without libvirt's knowledge, which still expects 4 MiB.
    (folder / "filling").write_bytes(b"x" * 3 * MIB)
    yield folder.name
    pool.destroy()
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


@pytest.mark.parametrize("mib", [2, 64])
async def test_create_volume_in_full_pool_leaves_nothing(
    driver: LibvirtDriver, guests: Guests, small_pool: str, mib: int
):
    spec = VolumeSpec(
        pool=small_pool,
        name=f"{guests.prefix}-big",
        capacity_bytes=mib * MIB,
        format=DiskFormat.RAW,
        preallocate=True,
    )
    with pytest.raises(HostExhaustedError):
        await driver.create_volume(spec)
    assert f"{guests.prefix}-big" not in {v.name for v in await driver.list_volumes(small_pool)}


async def test_create_volume_named_as_new_pool_file_is_refused(
    driver: LibvirtDriver, guests: Guests, folder: Path
):
    await driver.create_domain(guests.blank())  # makes the pool, which then is up to date
    name = f"{guests.prefix}-dropped.img"
    (folder / name).write_bytes(b"\0" * MIB)
    with pytest.raises(AlreadyExistsError):
        await driver.create_volume(VolumeSpec(name=name, capacity_bytes=MIB))
    await driver.delete_volume("", name)
    assert not (folder / name).exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"machine": "sheep"},
        {"networkless": False, "networks": (NetworkSpec(network="proa-test-none"),)},
    ],
)
async def test_create_domain_refusal_command_when_run_works(
    driver: LibvirtDriver, guests: Guests, wrong: dict[str, Any]
):
    with pytest.raises(InvalidArgumentError) as caught:
        await driver.create_domain(guests.spec(**wrong))
    (command,) = re.findall(r"`(virsh [^`]*)`", str(caught.value))
    uri = os.environ.get("PROA_LIBVIRT_URI", "qemu:///system")
    argv = ["virsh", "-c", uri, *shlex.split(command)[1:]]
    told = await asyncio.to_thread(subprocess.run, argv, capture_output=True, check=True)
    assert told.stdout

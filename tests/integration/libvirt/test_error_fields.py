"""Errors that libvirt would report late or without a field are reported early with a field."""

import os
from pathlib import Path

import libvirt
import pytest
from lxml import etree

from integration.libvirt.guests import MIB, Guests
from integration.libvirt.provoking import disk, kernel
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    HostExhaustedError,
    InvalidArgumentError,
)
from proad.model import (
    BootDevice,
    CdromSpec,
    CpuMode,
    DiskFormat,
    DiskSpec,
    DomainXml,
    Firmware,
    NetworkSpec,
    NewDisk,
    ResourceState,
    SnapshotSpec,
    StartOptions,
    StopMode,
    StopOptions,
    VolumeRef,
    VolumeSpec,
)
from updating import domain_update

pytestmark = pytest.mark.libvirt


def one_field(caught: pytest.ExceptionInfo[InvalidArgumentError]) -> str:
    (violation,) = caught.value.violations
    return violation.field


@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"machine": "proa-none"}, "spec.machine"),
        ({"machine": "isapc"}, "spec.machine"),
        ({"vcpus": 1000}, "spec.vcpus"),
        ({"cpu_mode": CpuMode.HOST_PASSTHROUGH}, "spec.cpu_mode"),
        (
            {"networkless": False, "networks": (NetworkSpec(network="proa-test-none"),)},
            "spec.networks[0].network",
        ),
        ({"firmware": Firmware.UEFI, "machine": "isapc"}, "spec.firmware"),
        ({"boot_order": (BootDevice.NETWORK,)}, "spec.boot_order[0]"),
        (
            {"disks": (DiskSpec(new_volume=NewDisk(capacity_bytes=2**60 - 1)),)},
            "spec.disks[0].new_volume.capacity_bytes",
        ),
    ],
)
async def test_create_wrong_value_names_field(
    driver: LibvirtDriver,
    guests: Guests,
    wrong: dict[str, object],
    field: str,
    start: bool,  # noqa: FBT001 - a parameter of the test
):
    with pytest.raises(InvalidArgumentError) as caught:
        await driver.create_domain(guests.blank(**wrong), start=start)
    assert one_field(caught) == field
    assert await guests.domains() == set()
    assert await guests.volumes() == set()


async def test_create_kvm_on_host_without_is_missing_capability(
    raw: libvirt.virConnect, guests: Guests
):
    try:
        raw.getDomainCapabilities(None, None, None, "kvm")
    except libvirt.libvirtError:
        pass
    else:
        pytest.skip("this host has KVM")
    async with LibvirtDriver(virt_type="kvm") as driver:
        with pytest.raises(CapabilityMissingError, match="virt_type"):
            await driver.create_domain(guests.blank())


@pytest.mark.parametrize(
    "change",
    [
        "<memory>x</memory>",
        "<vcpu>1000</vcpu>",
        "<os><type machine='proa-none'>hvm</type></os>",
        "<interface type='network'><source network='proa-test-none'/></interface>",
        (
            "<interface type='network'><mac address='01:00:5e:00:00:01'/><source network='default'/>"
            "</interface>"
        ),
        (
            "<disk type='volume' device='disk'><source pool='proa-test-none' volume='x'/>"
            "<target dev='vdb' bus='virtio'/></disk>"
        ),
        "<cpu><model>proa-none</model></cpu>",
    ],
)
async def test_create_from_xml_wrong_value_names_xml(
    driver: LibvirtDriver, guests: Guests, change: str
):
    element = etree.fromstring(change)
    spec = guests.blank()
    root = etree.fromstring(
        f"<domain type='qemu'><name>{spec.name}</name><memory>32768</memory><vcpu>1</vcpu>"
        "<os><type>hvm</type></os><features><acpi/></features><devices/></domain>"
    )
    for old in root.findall(str(element.tag)):
        root.remove(old)
    devices = root.find("devices")
    assert devices is not None
    (devices if element.tag in {"interface", "disk"} else root).append(element)
    with pytest.raises(InvalidArgumentError) as caught:
        await driver.create_domain_from_xml(
            DomainXml(xml=etree.tostring(root).decode()), start=True
        )
    assert one_field(caught) == "xml"
    assert await guests.domains() == set()


@pytest.mark.parametrize("what", ["disk", "kernel"])
@pytest.mark.parametrize("how", ["missing", "folder", "fifo", "behind a closed door"])
async def test_create_from_xml_unusable_file_is_told_before_start(
    driver: LibvirtDriver, guests: Guests, folder: Path, what: str, how: str
):
    path = folder / f"{guests.prefix}-{how.replace(' ', '')}"
    match how:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "behind a closed door":
            path.mkdir(0o700)
            path /= "image"
            path.write_bytes(b"x" * 512)
    devices, os_ = "", "<os><type>hvm</type></os>"
    if what == "disk":
        devices = disk(str(path))
    else:
        os_ = kernel(str(path))
    xml = (
        f"<domain type='qemu'><name>{guests.blank().name}</name><memory>32768</memory>"
        f"{os_}<devices>{devices}</devices></domain>"
    )
    with pytest.raises(InvalidArgumentError) as caught:
        await driver.create_domain_from_xml(DomainXml(xml=xml))
    assert one_field(caught) == "xml"
    assert str(path) in caught.value.message
    assert ("chmod o+x" in caught.value.message) == (how == "behind a closed door")
    assert await guests.domains() == set()


@pytest.mark.parametrize("drive", ["disk", "cdrom"])
async def test_create_with_volume_unreadable_for_qemu_names_field(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, folder: Path, drive: str
):
    closed = folder / f"{guests.prefix}-closed"
    closed.mkdir(0o700)
    pool = raw.storagePoolCreateXML(
        f"<pool type='dir'><name>{closed.name}</name><target><path>{closed}</path></target></pool>"
    )
    try:
        volume = await driver.create_volume(
            VolumeSpec(pool=closed.name, name="image", capacity_bytes=MIB, format=DiskFormat.RAW)
        )
        ref = VolumeRef(pool=closed.name, name=volume.name)
        wrong = (
            {"disks": (DiskSpec(volume=ref),)}
            if drive == "disk"
            else {"cdroms": (CdromSpec(volume=ref),)}
        )
        spec = guests.spec(**({"cdroms": ()} | wrong))
        with pytest.raises(InvalidArgumentError, match="chmod o\\+x") as caught:
            await driver.create_domain(spec)
        assert one_field(caught) == (
            "spec.disks[0]" if drive == "disk" else "spec.cdroms[0].volume"
        )
        await driver.delete_volume(closed.name, volume.name)
    finally:
        pool.destroy()
        closed.rmdir()


async def test_update_more_vcpus_than_machine_takes_names_field(
    driver: LibvirtDriver, guests: Guests
):
    made = await driver.create_domain(guests.blank())
    with pytest.raises(InvalidArgumentError) as caught:
        await driver.update(made.id, domain_update(vcpus=1000))
    assert one_field(caught) == "domain.vcpus"
    assert await driver.get_resource(made.id) == made


async def test_start_without_memory_on_host_is_host_exhausted(
    driver: LibvirtDriver, guests: Guests
):
    spec = guests.spec(cdroms=(), memory_bytes=2**46)
    with pytest.raises(HostExhaustedError):
        await driver.create_domain(spec, start=True)
    assert await guests.domains() == set()


async def test_snapshot_of_raw_disk_is_missing_capability(driver: LibvirtDriver, guests: Guests):
    raw_disk = DiskSpec(new_volume=NewDisk(capacity_bytes=MIB, format=DiskFormat.RAW))
    made = await driver.create_domain(guests.blank(disks=(raw_disk,)), start=True)
    with pytest.raises(CapabilityMissingError):
        await driver.create_snapshot(made.id, SnapshotSpec(name="one"))


@pytest.mark.parametrize("where", ["header", "memory"])
async def test_start_torn_saved_state_advises_discard(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, where: str
):
    made = await driver.create_domain(guests.blank(), start=True)
    await driver.stop(made.id, StopOptions(mode=StopMode.SAVE))
    saved = Path("/var/lib/libvirt/qemu/save") / f"{made.name}.save"
    with saved.open("r+b") as file:
        if where == "header":
            file.write(b"garbage" * 9)
        else:
            file.truncate(saved.stat().st_size // 2)
    with pytest.raises(EngineConflictError, match="discard_saved_state"):
        await driver.start(made.id)
    assert (await driver.get_resource(made.id)).state is ResourceState.SAVED
    started = await driver.start(made.id, StartOptions(discard_saved_state=True))
    assert started.state is ResourceState.RUNNING


async def test_create_with_inactive_pool_or_network_advises_start(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    name = guests.spec().name
    inactive = (
        raw.networkDefineXML(f"<network><name>{name}</name><bridge name='{name[-8:]}'/></network>"),
        raw.storagePoolDefineXML(
            f"<pool type='dir'><name>{name}</name><target><path>/srv/{name}</path></target></pool>"
        ),
    )
    spec = guests.blank(networkless=False, networks=(NetworkSpec(network=name),))
    xml = (
        f"<domain type='qemu'><name>{name}</name><memory>65536</memory><os><type>hvm</type></os>"
        f"<devices><disk type='volume'><source pool='{name}' volume='x'/><target dev='vda'/></disk>"
        "</devices></domain>"
    )
    try:
        with pytest.raises(EngineConflictError, match="virsh net-start"):
            await driver.create_domain(spec, start=True)
        with pytest.raises(EngineConflictError, match="virsh pool-start"):
            await driver.create_domain_from_xml(DomainXml(xml=xml), start=True)
    finally:
        for each in inactive:
            each.undefine()
    assert await guests.domains() == set()

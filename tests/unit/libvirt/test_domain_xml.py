"""Typed values to domain XML and back, held against golden files.

After a wanted change: PROA_UPDATE_GOLDEN=1 pytest tests/unit/libvirt, and read the diff.
"""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proad.drivers.libvirt.host.virt import HostFacts
from proad.drivers.libvirt.xml.domain_view import domain_of
from proad.drivers.libvirt.xml.domain_xml import Parts, Source, disk_targets, domain_xml
from proad.drivers.libvirt.xml.metadata import Metadata, in_domain
from proad.drivers.libvirt.xml.parser import parse, serialise
from proad.errors import InvalidArgumentError
from proad.model import (
    BootDevice,
    CdromSpec,
    CpuMode,
    DiskBus,
    DiskFormat,
    DiskSpec,
    DomainSpec,
    Firmware,
    GraphicsSpec,
    GraphicsType,
    NetworkModel,
    NetworkSpec,
    NewDisk,
    VideoModel,
    VirtType,
    VolumeRef,
)

GOLDEN = Path(__file__).parents[2] / "golden"
UUID = "5f1c2f2e-3a2b-4d55-9a0e-000000000001"
EMULATED = HostFacts(virt_type=VirtType.QEMU, architecture="x86_64", rng=True)
KVM = replace(EMULATED, virt_type=VirtType.KVM)
ARM = HostFacts(virt_type=VirtType.KVM, architecture="aarch64")
MIB = 2**20

MINIMAL = DomainSpec(name="minimal", memory_bytes=512 * MIB)
RICH = DomainSpec(
    name="rich",
    title="A rich one",
    description="With <everything> & more",
    memory_bytes=2048 * MIB,
    vcpus=4,
    cdroms=(CdromSpec(), CdromSpec(path="/srv/install.iso"), CdromSpec(path="/srv/drivers.iso")),
    disks=(
        DiskSpec(new_volume=NewDisk(capacity_bytes=20 << 30)),
        DiskSpec(volume=VolumeRef(name="data.raw"), bus=DiskBus.SCSI, read_only=True),
        DiskSpec(volume=VolumeRef(name="old.qcow2"), bus=DiskBus.SATA),
    ),
    boot_order=(BootDevice.NETWORK, BootDevice.CDROM, BootDevice.DISK),
    networks=(
        NetworkSpec(mac_address="52:54:00:00:00:01"),
        NetworkSpec(network="lab", model=NetworkModel.E1000E),
    ),
    graphics=GraphicsSpec(type=GraphicsType.VNC_LOOPBACK),
    video=VideoModel.QXL,
    machine="q35",
    cpu_mode=CpuMode.HOST_MODEL,
    labels={"team": "desk", "blank": " "},
)
UEFI = DomainSpec(
    name="uefi", memory_bytes=1024 * MIB, firmware=Firmware.UEFI, cdroms=(CdromSpec(),)
)
BARE = DomainSpec(
    name="bare",
    memory_bytes=64 * MIB,
    diskless=True,
    networkless=True,
    graphics=GraphicsSpec(type=GraphicsType.NONE),
    video=VideoModel.NONE,
    guest_agent=False,
    serial_console=False,
)

QCOW2 = Source(path="/pool/vda.qcow2", format=DiskFormat.QCOW2)
METADATA = Metadata(
    labels=RICH.labels,
    create_time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
)

CASES = {
    "minimal": (MINIMAL, Parts(uuid=UUID, disks=(QCOW2,)), EMULATED),
    "minimal-kvm": (MINIMAL, Parts(uuid=UUID, disks=(QCOW2,)), KVM),
    "minimal-arm": (MINIMAL, Parts(uuid=UUID, disks=(QCOW2,)), ARM),
    "rich": (
        RICH,
        Parts(
            uuid=UUID,
            disks=(
                QCOW2,
                Source(path="/dev/vg/data", block=True),
                Source(path="/pool/old.qcow2", format=DiskFormat.QCOW2),
            ),
            cdroms=(
                None,
                Source(path="/srv/install.iso", keeps_owner=True),
                Source(path="/srv/drivers.iso", keeps_owner=True),
            ),
            metadata=METADATA,
        ),
        EMULATED,
    ),
    "uefi": (UEFI, Parts(uuid=UUID, disks=(QCOW2,), cdroms=(None,)), KVM),
    "bare": (BARE, Parts(uuid=UUID), EMULATED),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[str, DomainSpec, str]:
    spec, parts, host = CASES[request.param]
    return request.param, spec, serialise(domain_xml(spec, parts, host)) + "\n"


def test_domain_xml_of_a_spec_equals_the_golden_file(case: tuple[str, DomainSpec, str]):
    name, _spec, xml = case
    golden = GOLDEN / f"{name}.xml"
    if os.environ.get("PROA_UPDATE_GOLDEN") == "1":
        golden.write_text(xml)
    assert xml == golden.read_text()


def test_domain_of_written_xml_returns_the_spec(case: tuple[str, DomainSpec, str]):
    _name, spec, xml = case
    domain = domain_of(xml)

    assert (domain.max_memory_bytes, domain.vcpus) == (spec.memory_bytes, spec.vcpus)
    disks = [disk for disk in domain.disks if disk.target in disk_targets(spec)]
    assert [disk.bus for disk in disks] == [disk.bus for disk in spec.effective_disks]
    assert [disk.read_only for disk in disks] == [d.read_only for d in spec.effective_disks]
    assert len(domain.disks) == len(disks) + len(spec.cdroms)
    assert [card.network for card in domain.networks] == [
        card.network for card in spec.effective_networks
    ]
    shown = GraphicsType.NONE if domain.graphics is None else domain.graphics.type
    assert shown is spec.graphics.type


def test_domain_xml_with_metadata_is_read_back():
    root = domain_xml(*CASES["rich"])
    assert Metadata.of(in_domain(parse(serialise(root)))) == METADATA


def test_disk_targets_of_mixed_buses_are_unique():
    disks = (DiskSpec(volume=VolumeRef(name="x"), bus=DiskBus.SATA),) * 30
    spec = DomainSpec(
        name="many", memory_bytes=64 * MIB, disks=disks, cdroms=(CdromSpec(path="/a.iso"),)
    )
    parts = Parts(uuid=UUID, disks=(QCOW2,) * 30, cdroms=(Source(path="/a.iso"),))

    targets = [disk.target for disk in domain_of(serialise(domain_xml(spec, parts, KVM))).disks]

    assert len(set(targets)) == 31
    assert {"sda", "sdz", "sdaa", "sdae"} <= set(targets)


@pytest.mark.parametrize("device", [BootDevice.DISK, BootDevice.CDROM, BootDevice.NETWORK])
def test_domain_xml_with_a_missing_boot_device_is_refused(device: BootDevice):
    with pytest.raises(InvalidArgumentError) as caught:
        domain_xml(replace(BARE, boot_order=(device,)), Parts(uuid=UUID), EMULATED)
    assert caught.value.violations[0].field == "spec.boot_order[0]"


def test_domain_xml_with_graphics_listens_on_loopback_at_most(case: tuple[str, DomainSpec, str]):
    _name, _spec, xml = case
    for listen in parse(xml).iterfind("devices/graphics/listen"):
        assert dict(listen.attrib) in (
            {"type": "none"},
            {"type": "address", "address": "127.0.0.1"},
        )

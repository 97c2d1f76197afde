"""Specifications that are read back make such domains again."""

from dataclasses import replace
from typing import Any

import libvirt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from integration.libvirt.guests import MIB, Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.xml.domain_xml import disk_targets
from proad.drivers.libvirt.xml.metadata import NAMESPACE
from proad.drivers.libvirt.xml.parser import parse
from proad.model import (
    BootDevice,
    CdromSpec,
    CpuMode,
    DeleteOptions,
    DiskBus,
    DiskFormat,
    DiskSpec,
    DomainSpec,
    DomainXml,
    Firmware,
    GraphicsSpec,
    GraphicsType,
    Lifetime,
    NetworkModel,
    NetworkSpec,
    NewDisk,
    Resource,
    VideoModel,
)
from resource_details import domain_spec_of

pytestmark = pytest.mark.libvirt

SETTABLE_BUSES = (DiskBus.VIRTIO, DiskBus.SATA, DiskBus.SCSI)
FORMATS = (DiskFormat.QCOW2, DiskFormat.RAW)
KEEP = DeleteOptions(keep_volumes=True)


def texts(alphabet: str) -> st.SearchStrategy[str]:
    return st.text(alphabet=alphabet, max_size=20)


@st.composite
def fields(draw: st.DrawFn) -> dict[str, object]:
    """Return fields of a specification that QEMU here accepts, volumes and network aside."""
    disks = draw(st.lists(st.tuples(st.sampled_from(SETTABLE_BUSES), st.booleans()), max_size=3))
    cards = draw(
        st.lists(st.sampled_from(sorted(set(NetworkModel) - {NetworkModel.OTHER})), max_size=2)
    )
    cdroms = draw(st.integers(0, 3))
    there = [BootDevice.DISK] * bool(disks) + [BootDevice.CDROM] * bool(cdroms)
    there += [BootDevice.NETWORK] * bool(cards)
    order = draw(st.permutations(there))[: draw(st.integers(0, len(there)))]
    return {
        "title": draw(texts("aé <&>\"'")).strip(),
        "description": draw(texts("aé <&>\n")).strip(),
        "memory_bytes": draw(st.integers(32, 4096)) * MIB,
        "vcpus": draw(st.integers(1, 8)),
        "cdroms": (CdromSpec(),) * cdroms,
        "disks": tuple(
            DiskSpec(
                new_volume=NewDisk(capacity_bytes=MIB, format=draw(st.sampled_from(FORMATS))),
                bus=bus,
                read_only=read_only and bus is not DiskBus.SATA,
            )
            for bus, read_only in disks
        ),
        "diskless": not disks,
        "boot_order": tuple(order),
        "networks": tuple(NetworkSpec(model=model) for model in cards),
        "networkless": not cards,
        "graphics": GraphicsSpec(
            type=draw(
                st.sampled_from([GraphicsType.VNC, GraphicsType.VNC_LOOPBACK, GraphicsType.NONE])
            )
        ),
        "video": draw(
            st.sampled_from([None, *sorted(set(VideoModel) - {VideoModel.OTHER, VideoModel.QXL})])
        ),
        "guest_agent": draw(st.booleans()),
        "serial_console": draw(st.booleans()),
        "autostart": draw(st.booleans()),
        "machine": draw(st.sampled_from(["", "q35", "pc"])),
        "cpu_mode": draw(st.sampled_from([None, CpuMode.MAXIMUM])),
        "labels": draw(st.dictionaries(texts("ab").filter(bool), texts("a <"))),
    }


def xml_of(raw: libvirt.virConnect, resource: Resource) -> str:
    """Return what the next start of a domain uses, without the time of its making."""
    domain = raw.lookupByUUIDString(resource.id)
    root = parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    for ours in root.iterfind(f"metadata/{{{NAMESPACE}}}domain"):
        ours.attrib.pop("create_time")
    # The order of controllers in XML follows the order of devices that need them.
    return str(etree.tostring(root, encoding="unicode"))


async def made_again(driver: LibvirtDriver, raw: libvirt.virConnect, made: Resource) -> None:
    """Check that the specification of a domain makes its like, disks included."""
    before, spec = xml_of(raw, made), domain_spec_of(made)
    await driver.delete(made.id, KEEP)
    again = await driver.create_domain(spec)
    assert xml_of(raw, again) == before
    assert (domain_spec_of(again), again.id, again.labels) == (spec, made.id, made.labels)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(wanted=fields())
async def test_spec_of_a_new_domain_makes_the_same_xml(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, wanted: dict[str, Any]
):
    spec = guests.spec(**wanted)
    made = await driver.create_domain(spec)
    try:
        assert made.domain is not None
        assert made.domain.spec_omits == ()
        assert asked(domain_spec_of(made)) == asked(with_defaults(spec))
        await made_again(driver, raw, made)
    finally:
        await driver.delete(made.id)


def with_defaults(spec: DomainSpec) -> DomainSpec:
    return replace(
        spec,
        networks=spec.effective_networks,
        boot_order=spec.effective_boot_order,
    )


def asked(spec: DomainSpec) -> tuple[DomainSpec, object]:
    """Return a specification without what the host adds to it, and what its disks are like."""
    plain = replace(
        spec,
        uuid="",
        machine="",
        video=None,
        cpu_mode=None,
        disks=(),
        networks=tuple(replace(card, mac_address="") for card in spec.networks),
    )
    # Between virtio disks and others, libvirt does not keep the order.
    disks = zip(disk_targets(spec), spec.disks, strict=True)
    return plain, {target: (disk.bus, disk.read_only) for target, disk in disks}


async def test_spec_of_uefi_and_media_makes_the_same_xml(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    made = await driver.create_domain(guests.spec(firmware=Firmware.UEFI, machine="q35"))
    assert made.domain is not None
    assert made.domain.spec_omits == ()
    assert domain_spec_of(made).cdroms == guests.spec().cdroms
    await made_again(driver, raw, made)


async def test_spec_of_a_running_domain_is_that_of_its_next_start(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    made = await driver.create_domain(guests.blank(), start=True)
    assert made.domain is not None
    assert made.domain.spec_omits == ()
    domain = raw.lookupByUUIDString(made.id)
    config = libvirt.VIR_DOMAIN_AFFECT_CONFIG
    domain.setMemoryFlags(65536, config | libvirt.VIR_DOMAIN_MEM_MAXIMUM)
    domain.setMemoryFlags(65536, config)
    changed = await driver.get_resource(made.id)
    assert changed.domain is not None
    assert (domain_spec_of(changed).memory_bytes, changed.domain.memory_bytes) == (
        64 * MIB,
        32 * MIB,
    )


async def test_spec_of_a_transient_domain_says_so(driver: LibvirtDriver, guests: Guests):
    made = await driver.create_domain(guests.blank(lifetime=Lifetime.TRANSIENT))
    assert made.domain is not None
    assert (domain_spec_of(made).lifetime, made.domain.spec_omits) == (Lifetime.TRANSIENT, ())


FOREIGN = """
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <metadata><os:info xmlns:os='urn:proa-test:os'/></metadata>
  <memory unit='MiB'>64</memory>
  <currentMemory unit='MiB'>48</currentMemory>
  <vcpu current='1'>2</vcpu>
  <os><type>hvm</type><boot dev='hd'/><bootmenu enable='yes'/></os>
  <features><acpi/></features>
  <cpu mode='custom'><model>qemu64</model><topology sockets='1' cores='2' threads='1'/></cpu>
  <clock offset='localtime'/>
  <on_poweroff>restart</on_poweroff>
  <pm><suspend-to-mem enabled='no'/></pm>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/><source file='/var/tmp/proa-test-none.raw'/>
      <target dev='vdc' bus='virtio'/>
    </disk>
    <disk type='file' device='cdrom'><target dev='hda' bus='ide'/><readonly/></disk>
    <interface type='network'>
      <source network='default'/><model type='virtio'/><link state='down'/>
    </interface>
    <interface type='user'><model type='virtio'/></interface>
    <graphics type='vnc' port='5931' listen='127.0.0.1' keymap='de'/>
    <video><model type='cirrus'/></video>
    <watchdog model='i6300esb'/>
    <memballoon model='virtio'><stats period='5'/></memballoon>
  </devices>
  <qemu:commandline><qemu:arg value='-nodefaults'/></qemu:commandline>
</domain>
"""


async def test_spec_omits_of_a_domain_of_others_names_what_is_lost(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    domain = raw.defineXML(FOREIGN.format(name=f"{guests.prefix}-foreign"))
    shown = await driver.get_resource(domain.UUIDString())
    assert shown.domain is not None
    omitted = set(shown.domain.spec_omits)
    assert omitted == {
        "/domain/metadata/os:info",
        "/domain/memory",
        "/domain/vcpu/@current",
        "/domain/os/bootmenu",
        "/domain/features/apic",
        "/domain/cpu",
        "/domain/clock/@offset",
        "/domain/clock/timer",
        "/domain/on_poweroff",
        "/domain/pm",
        "/domain/devices/disk",
        "/domain/devices/disk/driver/@cache",
        "/domain/devices/disk/target/@bus",
        "/domain/devices/interface/@type",
        "/domain/devices/interface/link",
        "/domain/devices/input",
        "/domain/devices/graphics/@port",
        "/domain/devices/graphics/@keymap",
        "/domain/devices/video/model",
        "/domain/devices/video/model/@type",
        "/domain/devices/watchdog",
        "/domain/devices/memballoon/stats",
        "/domain/devices/rng",
        "/domain/qemu:commandline",
    }
    assert (domain_spec_of(shown).memory_bytes, domain_spec_of(shown).vcpus) == (48 * MIB, 1)
    assert domain_spec_of(shown).cpu_mode is CpuMode.OTHER


async def test_spec_of_domain_made_from_xml_of_ours_is_the_same(
    driver: LibvirtDriver, guests: Guests
):
    made = await driver.create_domain(guests.blank())
    xml = await driver.get_domain_xml(made.id)
    await driver.delete(made.id, KEEP)
    again = await driver.create_domain_from_xml(DomainXml(xml=xml))
    assert domain_spec_of(again) == domain_spec_of(made)

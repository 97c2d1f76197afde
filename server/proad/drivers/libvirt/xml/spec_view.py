"""Conversion of libvirt's domain XML back to a `DomainSpec`. Pure: makes no call."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proad.drivers.domain_enums import member
from proad.drivers.libvirt.host.virt import HostFacts
from proad.drivers.libvirt.xml.domain_view import AGENT_CHANNEL, boot_order_of, firmware_of
from proad.drivers.libvirt.xml.domain_xml import cdrom_targets, disk_targets
from proad.drivers.libvirt.xml.metadata import Metadata, in_domain
from proad.drivers.libvirt.xml.node import Node
from proad.drivers.libvirt.xml.spec_omits import omissions
from proad.model import (
    BootDevice,
    CdromSpec,
    CpuMode,
    Disk,
    DiskBus,
    DiskDevice,
    DiskFormat,
    DiskSpec,
    Domain,
    DomainSpec,
    Firmware,
    GraphicsSpec,
    GraphicsType,
    Lifetime,
    NetworkModel,
    NetworkSpec,
    VideoModel,
    VirtType,
    VolumeRef,
)

# The model that libvirt writes into a domain without <cpu>, where QEMU emulates: QEMU's default.
_EMULATED = frozenset({"qemu64", "qemu32", "cortex-a15"})
# What a start makes of that model.
_OF_A_RUN = (
    {"fallback": "forbid"},
    {"policy": "require", "name": "hypervisor"},
    {"policy": "require", "name": "lahf_lm"},
)
_CPU_FORMS: Mapping[str, tuple[CpuMode, Mapping[str, str]]] = {
    "host-passthrough": (CpuMode.HOST_PASSTHROUGH, {"check": "none", "migratable": "on"}),
    "host-model": (CpuMode.HOST_MODEL, {"check": "partial"}),
    "maximum": (CpuMode.MAXIMUM, {"check": "none", "migratable": "on"}),
}
_SETTABLE_GRAPHICS = frozenset({GraphicsType.NONE, GraphicsType.VNC, GraphicsType.VNC_LOOPBACK})
_TIMERS = frozenset({"rtc", "pit", "hpet"})


class SpecView(NamedTuple):
    """The specification in a domain's XML, and the paths of what it cannot express."""

    spec: DomainSpec
    omits: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a specification has beside the XML.

    Attributes:
        host: facts about the host, which a new domain would take.
        autostart: whether the domain starts with the host.
        transient: whether the domain ends with its stop.
        volume_of: returns the volume of a disk; None: the disk is in no storage pool.
    """

    host: HostFacts
    autostart: bool
    transient: bool
    volume_of: Callable[[Disk], VolumeRef | None]


def spec_of(root: Node, seen: Domain, outside: Outside) -> SpecView:
    """Return the specification of a domain that its XML for the next start describes.

    Args:
        root: the present `<domain>`.
        seen: what `domain_of` returned for it.
        outside: what is not in the XML.
    """
    element = root.element
    assert element is not None  # noqa: S101 - the caller has looked
    disks = _as_given([disk for disk in seen.disks if disk.device is DiskDevice.DISK])
    drives = _as_given([disk for disk in seen.disks if disk.device is DiskDevice.CDROM])
    made = [each for disk in disks if (each := _disk(disk, outside)) is not None]
    cards = [card for card in seen.networks if card.network]
    video = root.first("devices/video/model").attribute("type").text()
    spec = DomainSpec(
        name=root.first("name").content().text(),
        uuid=root.first("uuid").content().text(),
        title=root.first("title").content().text(),
        description=root.first("description").content().text(),
        memory_bytes=_memory_bytes(root, seen),
        vcpus=seen.vcpus,
        cdroms=tuple(_drive(disk, root, outside) for disk in drives),
        disks=tuple(made),
        diskless=not made,
        boot_order=_boot_order(root, disks=bool(made), cdroms=bool(drives), cards=bool(cards)),
        firmware=firmware_of(root.first("os")),
        networks=tuple(
            NetworkSpec(
                network=card.network,
                model=member(NetworkModel, card.model),
                mac_address=card.mac_address,
            )
            for card in cards
        ),
        networkless=not cards,
        graphics=GraphicsSpec(type=seen.graphics.type if seen.graphics else GraphicsType.NONE),
        video=member(VideoModel, video, VideoModel.NONE),
        guest_agent=_has_agent(root),
        serial_console=bool(root.first("devices/serial")),
        autostart=outside.autostart,
        machine=seen.machine,
        cpu_mode=_cpu_mode(root.first("cpu")),
        labels=Metadata.of(in_domain(element)).labels,
        lifetime=Lifetime.TRANSIENT if outside.transient else Lifetime.PERSISTENT,
    )
    found = dict.fromkeys([*omissions(element), *_differences(root, seen, spec, outside)])
    return SpecView(spec, tuple(found))


def _memory_bytes(root: Node, seen: Domain) -> int:
    """Return the memory that a domain starts with: without a balloon, all that it may have."""
    balloon = root.first("devices/memballoon").attribute("model").text()
    return seen.memory_bytes if balloon not in {"", "none"} else seen.max_memory_bytes


def _as_given(disks: Sequence[Disk]) -> list[Disk]:
    """Return disks in the order of their specification, which gave them their targets.

    libvirt sorts them by bus; the buses stay in the order in which they were first met.
    """
    met = list(dict.fromkeys(disk.bus for disk in disks))
    others = sorted((disk for disk in disks if disk.bus is not DiskBus.VIRTIO), key=_place)
    if DiskBus.VIRTIO not in met:
        return others
    before = set(met[: met.index(DiskBus.VIRTIO)])
    at = next((n for n, disk in enumerate(others) if disk.bus not in before), len(others))
    others[at:at] = sorted((disk for disk in disks if disk.bus is DiskBus.VIRTIO), key=_place)
    return others


def _place(disk: Disk) -> tuple[int, str]:
    return len(disk.target), disk.target


def _disk(disk: Disk, outside: Outside) -> DiskSpec | None:
    volume = outside.volume_of(disk)
    if volume is None:
        return None
    ref = VolumeRef(pool=volume.pool, name=volume.name, format=disk.format)
    return DiskSpec(volume=ref, bus=disk.bus or DiskBus.OTHER, read_only=disk.read_only)


def _drive(disk: Disk, root: Node, outside: Outside) -> CdromSpec:
    if not disk.path and disk.volume is None:
        return CdromSpec()
    # A medium that was named by its path keeps its owner.
    kept = any(
        each.first("source").attribute("file").text() == disk.path
        and each.first("source/seclabel").attribute("relabel").text() == "no"
        for each in root.each("devices/disk")
    )
    volume = None if kept else outside.volume_of(disk)
    if volume is None:
        return CdromSpec(path=disk.path)
    return CdromSpec(volume=VolumeRef(pool=volume.pool, name=volume.name))


def _boot_order(root: Node, *, disks: bool, cdroms: bool, cards: bool) -> tuple[BootDevice, ...]:
    present = {BootDevice.DISK: disks, BootDevice.CDROM: cdroms, BootDevice.NETWORK: cards}
    # libvirt writes <boot dev='hd'/> into a domain that boots from nothing.
    return tuple(device for device in boot_order_of(root) if present.get(device, True))


def _has_agent(root: Node) -> bool:
    targets = root.each("devices/channel/target")
    return any(each.attribute("name").text() == AGENT_CHANNEL for each in targets)


def _cpu_mode(cpu: Node) -> CpuMode | None:
    if not cpu:
        return None
    known = _CPU_FORMS.get(cpu.attribute("mode").text())
    if known is not None:
        return known[0]
    return None if _is_default(cpu) else CpuMode.OTHER


def _is_default(cpu: Node) -> bool:
    """Return whether libvirt wrote a `<cpu>` that the domain did not have."""
    element = cpu.element
    if element is None or cpu.first("model").content().text() not in _EMULATED:
        return False
    found = [dict(child.attrib) for child in element]
    match element.get("check"):
        case "none":
            known = found == [{"fallback": "forbid"}]
        case "full":  # of a transient domain, the XML is that of the run
            known = all(each in _OF_A_RUN for each in found)
        case _:
            known = False
    return known and (element.get("mode"), element.get("match")) == ("custom", "exact")


def _differences(root: Node, seen: Domain, spec: DomainSpec, outside: Outside) -> Iterator[str]:
    """Yield the paths of what a new domain would have otherwise, though its form is known."""
    host = outside.host
    if seen.virt_type is not host.virt_type and seen.virt_type is not VirtType.TEST:
        yield "/domain/@type"
    architecture = root.first("os/type").attribute("arch").text()
    if architecture not in {"", host.architecture}:
        yield "/domain/os/type/@arch"
    if root.first("vcpu").attribute("current"):
        yield "/domain/vcpu/@current"
    if spec.memory_bytes != seen.max_memory_bytes:
        yield "/domain/memory"
    if spec.firmware is not Firmware.BIOS and not root.first("os").attribute("firmware").text():
        yield "/domain/os/loader"
    yield from _of_cpu(root, spec)
    if seen.virt_type is not VirtType.TEST:
        yield from _lacking(root, spec, host)
    yield from _of_disks(root, seen, spec)
    yield from _of_devices(root, spec)


def _of_devices(root: Node, spec: DomainSpec) -> Iterator[str]:
    if spec.graphics.type not in _SETTABLE_GRAPHICS:
        yield "/domain/devices/graphics"
    if any(card.model is NetworkModel.OTHER for card in spec.networks):
        yield "/domain/devices/interface/model/@type"
    if spec.video is VideoModel.OTHER:
        yield "/domain/devices/video/model/@type"
    if any(card.first("boot") for card in [*root.each("devices/interface")][1:]):
        yield "/domain/devices/interface/boot"
    if BootDevice.OTHER in spec.boot_order:
        yield "/domain/os/boot"


def _of_cpu(root: Node, spec: DomainSpec) -> Iterator[str]:
    element = root.first("cpu").element
    if element is None or (spec.cpu_mode is None and root.attribute("type").text() != "kvm"):
        return
    _, added = _CPU_FORMS.get(element.get("mode", ""), (None, {}))
    extra = {name: value for name, value in element.attrib.items() if name != "mode"}
    if spec.cpu_mode in {None, CpuMode.OTHER} or len(element) or extra.items() - added.items():
        yield "/domain/cpu"


def _lacking(root: Node, spec: DomainSpec, host: HostFacts) -> Iterator[str]:
    """Yield the paths of what every new domain gets, and this one lacks."""
    if not root.first("features/acpi"):
        yield "/domain/features/acpi"
    if host.is_x86:
        if not root.first("features/apic"):
            yield "/domain/features/apic"
        names = {timer.attribute("name").text() for timer in root.each("clock/timer")}
        if not names >= _TIMERS:
            yield "/domain/clock/timer"
    tablet = any(each.attribute("type").text() == "tablet" for each in root.each("devices/input"))
    if tablet is (spec.graphics.type is GraphicsType.NONE):
        yield "/domain/devices/input"
    if host.rng and not root.first("devices/rng"):
        yield "/domain/devices/rng"


def _of_disks(root: Node, seen: Domain, spec: DomainSpec) -> Iterator[str]:
    disks = _as_given([disk for disk in seen.disks if disk.device is DiskDevice.DISK])
    drives = _as_given([disk for disk in seen.disks if disk.device is DiskDevice.CDROM])
    if len(disks) != len(spec.disks):
        yield "/domain/devices/disk"
        return
    if any(disk.format not in {DiskFormat.QCOW2, DiskFormat.RAW} for disk in disks):
        yield "/domain/devices/disk/driver/@type"
    if any(drive.bus is not DiskBus.SATA for drive in drives):
        yield "/domain/devices/disk/target/@bus"
    unknown = {DiskBus.VIRTIO, DiskBus.SATA, DiskBus.SCSI}.isdisjoint
    if any(unknown({disk.bus}) for disk in disks):
        yield "/domain/devices/disk/target/@bus"
        return
    wanted = [*disk_targets(spec), *cdrom_targets(spec)]
    if [disk.target for disk in (*disks, *drives)] != wanted:
        yield "/domain/devices/disk/target/@dev"
        return
    bootable = {*disk_targets(spec)[:1], *cdrom_targets(spec)[spec.boot_cdrom :][:1]}
    for disk in root.each("devices/disk"):
        if disk.first("boot") and disk.first("target").attribute("dev").text() not in bootable:
            yield "/domain/devices/disk/boot"

"""Conversion of typed values to libvirt's domain XML. Pure: makes no call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from string import ascii_lowercase

from lxml import etree

from proad.drivers.libvirt.host.virt import HostFacts
from proad.drivers.libvirt.xml.domain_view import AGENT_CHANNEL
from proad.drivers.libvirt.xml.metadata import Metadata
from proad.errors import InvalidArgumentError
from proad.model import (
    BootDevice,
    CpuMode,
    DiskBus,
    DiskFormat,
    DiskSpec,
    DomainSpec,
    Firmware,
    GraphicsType,
    NetworkSpec,
    VideoModel,
    VirtType,
)

_KIB = 1024
_CPU_MODES = {
    CpuMode.HOST_PASSTHROUGH: "host-passthrough",
    CpuMode.HOST_MODEL: "host-model",
    CpuMode.MAXIMUM: "maximum",
}
# virtio disks are vda, vdb, …; all others share sda, sdb, …
_PREFIX = {DiskBus.VIRTIO: "vd", DiskBus.SATA: "sd", DiskBus.SCSI: "sd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The source of a disk: a file or a block device.

    Attributes:
        path: its path.
        format: its format.
        block: whether it is a block device.
        below: its backing chain, the nearest image first.
        keeps_owner: whether libvirt must not change its owner.
    """

    path: str
    format: DiskFormat = DiskFormat.RAW
    block: bool = False
    below: "tuple[Source, ...]" = ()
    keeps_owner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The resolved parts of a specification, in its order."""

    uuid: str
    disks: tuple[Source, ...] = ()
    cdroms: tuple[Source | None, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)


def disk_targets(spec: DomainSpec) -> tuple[str, ...]:
    """Return the target names of the disks, in the order of the specification."""
    names = {"vd": _names("vd"), "sd": _names("sd")}
    return tuple(next(names[_PREFIX[disk.bus]]) for disk in spec.effective_disks)


def cdrom_targets(spec: DomainSpec) -> tuple[str, ...]:
    """Return the target names of the optical drives, after those of the disks."""
    taken = disk_targets(spec)
    free = (name for name in _names("sd") if name not in taken)
    return tuple(islice(free, len(spec.cdroms)))


def domain_xml(spec: DomainSpec, parts: Parts, host: HostFacts) -> etree._Element:
    """Return the `<domain>` of a specification.

    Raises:
        InvalidArgumentError: the boot order names a device that the specification lacks.
    """
    _check_boot_order(spec)
    root = etree.Element("domain", type=host.virt_type.lower())
    _text(root, "name", spec.name)
    _text(root, "uuid", parts.uuid)
    if spec.title:
        _text(root, "title", spec.title)
    if spec.description:
        _text(root, "description", spec.description)
    etree.SubElement(root, "metadata").append(parts.metadata.element())
    _text(root, "memory", str(spec.memory_bytes // _KIB), unit="KiB")
    _text(root, "vcpu", str(spec.vcpus))
    os_ = etree.SubElement(root, "os")
    if spec.firmware is Firmware.UEFI:
        os_.set("firmware", "efi")
    _text(os_, "type", "hvm", **({"machine": spec.machine} if spec.machine else {}))
    features = etree.SubElement(root, "features")
    etree.SubElement(features, "acpi")  # required for the power button
    if host.is_x86:
        etree.SubElement(features, "apic")
    _add_cpu(root, spec, host)
    _add_clock(root, host)
    _text(root, "on_poweroff", "destroy")
    _text(root, "on_reboot", "restart")
    _text(root, "on_crash", "destroy")
    devices = etree.SubElement(root, "devices")
    _add_disks(devices, spec, parts)
    for index, network in enumerate(spec.effective_networks):
        order = _place(spec, BootDevice.NETWORK) if index == 0 else None
        _add_network(devices, network, order)
    _add_consoles(devices, spec)
    _add_screen(devices, spec)
    etree.SubElement(devices, "memballoon", model="virtio")
    if host.rng:
        rng = etree.SubElement(devices, "rng", model="virtio")
        _text(rng, "backend", "/dev/urandom", model="random")
    return root


def _check_boot_order(spec: DomainSpec) -> None:
    present = {
        BootDevice.DISK: bool(spec.effective_disks),
        BootDevice.CDROM: bool(spec.cdroms),
        BootDevice.NETWORK: bool(spec.effective_networks),
    }
    for index, device in enumerate(spec.boot_order):
        if not present[device]:
            raise InvalidArgumentError.of(
                f"spec.boot_order[{index}]", f"the domain has no {device} to boot from"
            )


def _place(spec: DomainSpec, device: BootDevice) -> int | None:
    order = spec.effective_boot_order
    return order.index(device) + 1 if device in order else None


def _add_cpu(root: etree._Element, spec: DomainSpec, host: HostFacts) -> None:
    mode = spec.cpu_mode
    if mode is None and host.virt_type is VirtType.KVM:
        mode = CpuMode.HOST_PASSTHROUGH
    if mode is not None:
        etree.SubElement(root, "cpu", mode=_CPU_MODES[mode])


def _add_clock(root: etree._Element, host: HostFacts) -> None:
    clock = etree.SubElement(root, "clock", offset="utc")
    if host.is_x86:
        # Guests catch up on lost ticks; without an HPET they choose better clocks.
        etree.SubElement(clock, "timer", name="rtc", tickpolicy="catchup")
        etree.SubElement(clock, "timer", name="pit", tickpolicy="delay")
        etree.SubElement(clock, "timer", name="hpet", present="no")


def _add_disks(devices: etree._Element, spec: DomainSpec, parts: Parts) -> None:
    targets = disk_targets(spec)
    disks = spec.effective_disks
    for index, (disk, source) in enumerate(zip(disks, parts.disks, strict=True)):
        order = _place(spec, BootDevice.DISK) if index == 0 else None
        _add_disk(devices, disk, source, targets[index], order)
    if any(disk.bus is DiskBus.SCSI for disk in disks):
        etree.SubElement(devices, "controller", type="scsi", model="virtio-scsi")
    drives = zip(parts.cdroms, cdrom_targets(spec), strict=True)
    for index, (medium, target) in enumerate(drives):
        order = _place(spec, BootDevice.CDROM) if index == spec.boot_cdrom else None
        _add_cdrom(devices, medium, target, order)


def _add_disk(
    devices: etree._Element, disk: DiskSpec, source: Source, target: str, order: int | None
) -> None:
    element = etree.SubElement(
        devices, "disk", type="block" if source.block else "file", device="disk"
    )
    etree.SubElement(element, "driver", name="qemu", type=source.format.lower())
    _add_source(element, source)
    etree.SubElement(element, "target", dev=target, bus=disk.bus.lower())
    if disk.read_only:
        etree.SubElement(element, "readonly")
    _add_boot(element, order)


def _add_cdrom(
    devices: etree._Element,
    source: Source | None,
    target: str,
    order: int | None,
) -> None:
    block = source is not None and source.block
    element = etree.SubElement(devices, "disk", type="block" if block else "file", device="cdrom")
    etree.SubElement(element, "driver", name="qemu", type="raw")
    if source is not None:
        _add_source(element, source)
    # SATA: every guest has a driver, and every machine type a controller.
    etree.SubElement(element, "target", dev=target, bus="sata")
    etree.SubElement(element, "readonly")
    _add_boot(element, order)


def _add_source(element: etree._Element, source: Source) -> None:
    """Add the source of a disk with its whole backing chain.

    If the chain has no end in the XML, libvirt probes the image for the next one, and lets QEMU
    open whatever the image names.
    """
    _add_path(element, source)
    add_chain(element, source.below)


def add_chain(element: etree._Element, below: Sequence[Source]) -> None:
    """Add a whole backing chain to a disk, or to an image of one."""
    for layer in below:
        element = etree.SubElement(element, "backingStore", type="block" if layer.block else "file")
        etree.SubElement(element, "format", type=layer.format.lower())
        _add_path(element, layer)
    etree.SubElement(element, "backingStore")


def _add_path(element: etree._Element, source: Source) -> None:
    place = etree.SubElement(element, "source", {"dev" if source.block else "file": source.path})
    if source.keeps_owner:
        etree.SubElement(place, "seclabel", model="dac", relabel="no")


def _add_boot(element: etree._Element, order: int | None) -> None:
    if order is not None:
        etree.SubElement(element, "boot", order=str(order))


def _add_network(devices: etree._Element, network: NetworkSpec, order: int | None) -> None:
    element = etree.SubElement(devices, "interface", type="network")
    if network.mac_address:
        etree.SubElement(element, "mac", address=network.mac_address)
    etree.SubElement(element, "source", network=network.network)
    etree.SubElement(element, "model", type=network.model.lower())
    _add_boot(element, order)


def _add_consoles(devices: etree._Element, spec: DomainSpec) -> None:
    if spec.guest_agent:
        channel = etree.SubElement(devices, "channel", type="unix")
        etree.SubElement(channel, "target", type="virtio", name=AGENT_CHANNEL)
    if spec.serial_console:
        serial = etree.SubElement(devices, "serial", type="pty")
        etree.SubElement(serial, "target", port="0")
        console = etree.SubElement(devices, "console", type="pty")
        etree.SubElement(console, "target", type="serial", port="0")


def _add_screen(devices: etree._Element, spec: DomainSpec) -> None:
    video = spec.video
    if video is None:
        video = VideoModel.VIRTIO if spec.firmware is Firmware.UEFI else VideoModel.VGA
    if spec.graphics.type is not GraphicsType.NONE:
        # Absolute coordinates keep the pointer at the viewer's position.
        etree.SubElement(devices, "input", type="tablet", bus="usb")
        graphics = etree.SubElement(devices, "graphics", type="vnc")
        if spec.graphics.type is GraphicsType.VNC_LOOPBACK:
            graphics.attrib.update({"port": "-1", "autoport": "yes", "listen": "127.0.0.1"})
            etree.SubElement(graphics, "listen", type="address", address="127.0.0.1")
        else:
            etree.SubElement(graphics, "listen", type="none")
    element = etree.SubElement(devices, "video")
    etree.SubElement(element, "model", type=video.lower())


def _names(prefix: str) -> Iterator[str]:
    """Yield sda, …, sdz, sdaa, … as the kernel does."""
    for first in ("", *ascii_lowercase):
        for letter in ascii_lowercase:
            yield f"{prefix}{first}{letter}"


def _text(parent: etree._Element, tag: str, text: str, **attributes: str) -> None:
    etree.SubElement(parent, tag, attributes).text = text

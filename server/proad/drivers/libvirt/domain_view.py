"""From libvirt's domain XML to our Domain. Pure: asks no engine."""

from enum import StrEnum
from typing import TypeVar

from lxml import etree

from proad.drivers.libvirt.node import Node
from proad.drivers.tolerant import MOST, UINT32, Omissions, Value
from proad.model import (
    BootDevice,
    Disk,
    DiskBus,
    DiskDevice,
    DiskFormat,
    Domain,
    Firmware,
    Graphics,
    GraphicsType,
    NetworkInterface,
    VirtType,
    VolumeRef,
)

AGENT_CHANNEL = "org.qemu.guest_agent.0"

_BOOT = {
    "hd": BootDevice.DISK,
    "disk": BootDevice.DISK,
    "lun": BootDevice.DISK,
    "cdrom": BootDevice.CDROM,
    "network": BootDevice.NETWORK,
}
_UNITS = {
    "b": 1,
    "bytes": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "k": 2**10,
    "KiB": 2**10,
    "M": 2**20,
    "MiB": 2**20,
    "G": 2**30,
    "GiB": 2**30,
    "T": 2**40,
    "TiB": 2**40,
}


_PORT = 2**16 - 1


def domain_of(
    source: str | etree._Element, omissions: Omissions | None = None, id: str = ""
) -> Domain:
    """Read a `<domain>` as libvirt gives it.

    What is not in the XML keeps its default: autostart, saved state, snapshots, the
    volumes and sizes of disks, leased addresses.
    """
    if isinstance(source, str):
        root = Node.of(source, omissions, id)
    else:
        root = Node(source, omissions, id)
    maximum = _bytes(root.first("memory"))
    vcpu, boot = root.first("vcpu"), root.first("os")
    return Domain(
        memory_bytes=_bytes(root.first("currentMemory")) or maximum,
        max_memory_bytes=maximum,
        vcpus=vcpu.attribute("current").count(UINT32) or vcpu.content().count(UINT32) or 1,
        title=root.first("title").content().text(),
        description=root.first("description").content().text(),
        virt_type=_member(VirtType, root.attribute("type")),
        machine=boot.first("type").attribute("machine").text(),
        firmware=_firmware(boot),
        boot_order=_boot_order(root),
        disks=tuple(_disk(each) for each in root.each("devices/disk")),
        networks=tuple(_interface(each) for each in root.each("devices/interface")),
        graphics=_graphics(root),
        guest_agent_connected=agent_connected(root.element),
        runtime_id=root.attribute("id").count(UINT32),
    )


def agent_connected(root: etree._Element | None) -> bool:
    """Tell whether something in the guest has opened the agent's channel."""
    return root is not None and any(
        target.get("name") == AGENT_CHANNEL and target.get("state") == "connected"
        for target in root.iterfind("devices/channel/target")
    )


def _bytes(memory: Node) -> int:
    unit = memory.attribute("unit").one_of(_UNITS) or _UNITS["KiB"]
    return memory.content().count(MOST // unit) * unit


E = TypeVar("E", bound=StrEnum)


def _member(enum: type[E], value: Value) -> E | None:
    """Give the member that libvirt's word stands for, if we have one."""
    name = value.text().upper()
    return enum(name) if name in enum.__members__ else None


def _firmware(boot: Node) -> Firmware | None:
    if boot.first("type").content().text() != "hvm":
        return None
    pflash = boot.first("loader").attribute("type").text() == "pflash"
    efi = boot.attribute("firmware").text() == "efi"
    return Firmware.UEFI if pflash or efi else Firmware.BIOS


def _boot_order(root: Node) -> tuple[BootDevice, ...]:
    """Either each device has its place, or `<os>` names kinds of device."""
    placed: list[tuple[int, str]] = []
    for device in root.each("devices/*"):
        if boot := device.first("boot"):
            kind = device.attribute("device").text() or "disk"
            placed.append(
                (boot.attribute("order").count(), kind if device.tag == "disk" else "network")
            )
    words = [kind for _, kind in sorted(placed)] or [
        boot.attribute("dev").text() for boot in root.each("os/boot")
    ]
    return tuple(dict.fromkeys(_BOOT[word] for word in words if word in _BOOT))


def _disk(disk: Node) -> Disk:
    source, target = disk.first("source"), disk.first("target")
    volume = None
    if source and disk.attribute("type").text() == "volume":
        pool, name = source.attribute("pool").text(), source.attribute("volume").text()
        volume = VolumeRef(pool=pool, name=name)
    return Disk(
        target=target.attribute("dev").text(),
        device=_member(DiskDevice, disk.attribute("device")) or DiskDevice.DISK,
        bus=_member(DiskBus, target.attribute("bus")),
        format=_member(DiskFormat, disk.first("driver").attribute("type")),
        path=source.attribute("file").text() or source.attribute("dev").text(),
        volume=volume,
        read_only=bool(disk.first("readonly")),
    )


def _interface(interface: Node) -> NetworkInterface:
    return NetworkInterface(
        network=interface.first("source").attribute("network").text(),
        mac_address=interface.first("mac").attribute("address").text(),
        model=interface.first("model").attribute("type").text(),
        host_device=interface.first("target").attribute("dev").text(),
    )


def _graphics(root: Node) -> Graphics | None:
    for each in root.each("devices/graphics"):
        kind = _member(GraphicsType, each.attribute("type"))
        if kind is not None:
            listen = each.attribute("listen").text()
            listen = listen or each.first("listen").attribute("address").text()
            # libvirt writes -1 for a port that QEMU has yet to pick.
            port = max(each.attribute("port").number(-1, _PORT) or 0, 0)
            return Graphics(type=kind, listen=listen, port=port)
    return None

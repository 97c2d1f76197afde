"""From libvirt's domain XML to our Domain. Pure: asks no engine."""

from enum import StrEnum
from typing import TypeVar

from lxml import etree

from proad.drivers.libvirt.xml import parse
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


def domain_of(xml: str | etree._Element) -> Domain:
    """Read a `<domain>` as libvirt gives it.

    What is not in the XML keeps its default: autostart, saved state, snapshots, the
    volumes and sizes of disks, leased addresses.
    """
    root = parse(xml) if isinstance(xml, str) else xml
    maximum = _bytes(root.find("memory"))
    vcpu = root.find("vcpu")
    vcpus = 1 if vcpu is None else int(vcpu.get("current") or vcpu.text or 1)
    return Domain(
        memory_bytes=_bytes(root.find("currentMemory")) or maximum,
        max_memory_bytes=maximum,
        vcpus=vcpus,
        title=root.findtext("title", ""),
        description=root.findtext("description", ""),
        virt_type=_member(VirtType, root.get("type")),
        machine=_attribute(root, "os/type", "machine"),
        firmware=_firmware(root),
        boot_order=_boot_order(root),
        disks=tuple(_disk(e) for e in root.iterfind("devices/disk")),
        networks=tuple(_interface(e) for e in root.iterfind("devices/interface")),
        graphics=_graphics(root),
        guest_agent_connected=agent_connected(root),
        runtime_id=int(root.get("id", "0")),
    )


def agent_connected(root: etree._Element) -> bool:
    """Tell whether something in the guest has opened the agent's channel."""
    return any(
        target.get("name") == AGENT_CHANNEL and target.get("state") == "connected"
        for target in root.iterfind("devices/channel/target")
    )


def _bytes(element: etree._Element | None) -> int:
    if element is None or not element.text:
        return 0
    return int(element.text) * _UNITS[element.get("unit", "KiB")]


def _attribute(root: etree._Element, path: str, name: str) -> str:
    element = root.find(path)
    return "" if element is None else element.get(name, "")


E = TypeVar("E", bound=StrEnum)


def _member(enum: type[E], value: str | None) -> E | None:
    """Give the member that libvirt's word stands for, if we have one."""
    name = (value or "").upper()
    return enum(name) if name in enum.__members__ else None


def _firmware(root: etree._Element) -> Firmware | None:
    if root.findtext("os/type") != "hvm":
        return None
    pflash = _attribute(root, "os/loader", "type") == "pflash"
    efi = _attribute(root, "os", "firmware") == "efi"
    return Firmware.UEFI if pflash or efi else Firmware.BIOS


def _boot_order(root: etree._Element) -> tuple[BootDevice, ...]:
    """Either each device has its place, or `<os>` names kinds of device."""
    placed: list[tuple[int, str]] = []
    for device in root.iterfind("devices/*"):
        boot = device.find("boot")
        if boot is not None:
            kind = device.get("device", "disk") if device.tag == "disk" else "network"
            placed.append((int(boot.get("order", "0")), kind))
    words = [kind for _, kind in sorted(placed)] or [
        boot.get("dev", "") for boot in root.iterfind("os/boot")
    ]
    return tuple(dict.fromkeys(_BOOT[word] for word in words if word in _BOOT))


def _disk(element: etree._Element) -> Disk:
    source = element.find("source")
    volume = None
    path = ""
    if source is not None:
        path = source.get("file") or source.get("dev") or ""
        if element.get("type") == "volume":
            volume = VolumeRef(pool=source.get("pool", ""), name=source.get("volume", ""))
    return Disk(
        target=_attribute(element, "target", "dev"),
        device=_member(DiskDevice, element.get("device")) or DiskDevice.DISK,
        bus=_member(DiskBus, _attribute(element, "target", "bus")),
        format=_member(DiskFormat, _attribute(element, "driver", "type")),
        path=path,
        volume=volume,
        read_only=element.find("readonly") is not None,
    )


def _interface(element: etree._Element) -> NetworkInterface:
    return NetworkInterface(
        network=_attribute(element, "source", "network"),
        mac_address=_attribute(element, "mac", "address"),
        model=_attribute(element, "model", "type"),
        host_device=_attribute(element, "target", "dev"),
    )


def _graphics(root: etree._Element) -> Graphics | None:
    for element in root.iterfind("devices/graphics"):
        kind = _member(GraphicsType, element.get("type"))
        if kind is not None:
            listen = element.get("listen") or _attribute(element, "listen", "address")
            # libvirt writes -1 for a port that QEMU has yet to pick.
            port = max(int(element.get("port", "-1")), 0)
            return Graphics(type=kind, listen=listen, port=port)
    return None

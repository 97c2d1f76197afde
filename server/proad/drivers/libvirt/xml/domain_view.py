"""Conversion of libvirt's domain XML to the model. Pure: makes no call."""

from lxml import etree

from proad.drivers.domain_enums import boot_device, graphics_type, member, preferred_graphics
from proad.drivers.libvirt.xml.node import Node
from proad.drivers.tolerant import INT32, MOST, Omissions
from proad.model import (
    BootDevice,
    Disk,
    DiskBus,
    DiskDevice,
    DiskFormat,
    Domain,
    Firmware,
    Graphics,
    NetworkInterface,
    VirtType,
    VolumeRef,
)

AGENT_CHANNEL = "org.qemu.guest_agent.0"

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
    """Convert a `<domain>` of libvirt.

    Fields that the XML does not contain keep their defaults: autostart, saved state, snapshots,
    volumes and sizes of disks, leased addresses. The specification is that of `spec_view`.
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
        vcpus=vcpu.attribute("current").count(INT32) or vcpu.content().count(INT32) or 1,
        virt_type=member(VirtType, root.attribute("type").text()),
        machine=boot.first("type").attribute("machine").text(),
        disks=tuple(_disk(each) for each in root.each("devices/disk")),
        networks=tuple(_interface(each) for each in root.each("devices/interface")),
        graphics=_graphics(root),
        guest_agent_connected=agent_connected(root.element),
        runtime_id=root.attribute("id").count(INT32),
    )


def agent_connected(root: etree._Element | None) -> bool:
    """Return whether a program in the guest has opened the agent's channel."""
    return root is not None and any(
        target.get("name") == AGENT_CHANNEL and target.get("state") == "connected"
        for target in root.iterfind("devices/channel/target")
    )


def _bytes(memory: Node) -> int:
    unit = memory.attribute("unit").one_of(_UNITS) or _UNITS["KiB"]
    return memory.content().count(MOST // unit) * unit


def firmware_of(boot: Node) -> Firmware:
    """Return the firmware that an `<os>` states, BIOS where it states none."""
    loader = boot.first("loader")
    stated, kind = boot.attribute("firmware").text(), loader.attribute("type").text()
    if stated == "efi" or kind == "pflash":
        return Firmware.UEFI
    # A loader that is no flash may be any firmware, not only a BIOS.
    return Firmware.BIOS if stated == "bios" or not loader else Firmware.OTHER


def boot_order_of(root: Node) -> tuple[BootDevice, ...]:
    """Return the boot order: that of the devices, or else the types of device in `<os>`."""
    placed = [
        (boot.attribute("order").count(), _boot_word(device))
        for device in root.each("devices/*")
        if (boot := device.first("boot"))
    ]
    words = [kind for _, kind in sorted(placed)] or [
        boot.attribute("dev").text() for boot in root.each("os/boot")
    ]
    return tuple(dict.fromkeys(boot_device(word) for word in words))


def _boot_word(device: Node) -> str:
    if device.tag == "disk":
        return device.attribute("device").text() or "disk"
    return "network" if device.tag == "interface" else device.tag


def _disk(disk: Node) -> Disk:
    source, target = disk.first("source"), disk.first("target")
    volume = None
    if source and disk.attribute("type").text() == "volume":
        pool, name = source.attribute("pool").text(), source.attribute("volume").text()
        volume = VolumeRef(pool=pool, name=name)
    return Disk(
        target=target.attribute("dev").text(),
        device=member(DiskDevice, disk.attribute("device").text(), DiskDevice.DISK),
        bus=member(DiskBus, target.attribute("bus").text()),
        # libvirt probes no image: without a stated format it is raw.
        format=member(DiskFormat, disk.first("driver").attribute("type").text(), DiskFormat.RAW),
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
    return preferred_graphics([_screen(each) for each in root.each("devices/graphics")])


def _screen(graphics: Node) -> Graphics:
    place = graphics.first("listen")
    listen = graphics.attribute("listen").text() or place.attribute("address").text()
    return Graphics(
        type=graphics_type(
            graphics.attribute("type").text(), place.attribute("type").text(), listen
        ),
        listen=listen,
        # libvirt writes -1 for a port that QEMU has yet to pick.
        port=max(graphics.attribute("port").number(-1, _PORT) or 0, 0),
    )

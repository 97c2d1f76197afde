"""The model's view of domains as virsh reports them, independent of the driver's code."""

import asyncio
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from proad.model import (
    BootDevice,
    Disk,
    DiskBus,
    DiskDevice,
    DiskFormat,
    Domain,
    DomainSpec,
    Firmware,
    Graphics,
    GraphicsType,
    Lifetime,
    NetworkInterface,
    Resource,
    ResourceKind,
    ResourceState,
    VirtType,
    VolumeRef,
)

_MARK = "proa-test-end-of-answer"
_OURS = "{urn:proa:domain:1}"
_BUSES = {
    "virtio": DiskBus.VIRTIO,
    "sata": DiskBus.SATA,
    "scsi": DiskBus.SCSI,
    "ide": DiskBus.IDE,
    "usb": DiskBus.USB,
    "fdc": DiskBus.FDC,
}
_DEVICES = {
    "disk": DiskDevice.DISK,
    "cdrom": DiskDevice.CDROM,
    "floppy": DiskDevice.FLOPPY,
    "lun": DiskDevice.OTHER,
}
_FORMATS = {None: DiskFormat.RAW, "raw": DiskFormat.RAW, "qcow2": DiskFormat.QCOW2}
_BOOTS = {
    "hd": BootDevice.DISK,
    "disk": BootDevice.DISK,
    "lun": BootDevice.DISK,
    "cdrom": BootDevice.CDROM,
    "network": BootDevice.NETWORK,
    "interface": BootDevice.NETWORK,
}
_STATES = {
    "running": ResourceState.RUNNING,
    "paused": ResourceState.PAUSED,
    "shut off": ResourceState.STOPPED,
}


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A volume of a pool."""

    ref: VolumeRef
    path: str
    capacity_bytes: int

    @property
    def allocation_bytes(self) -> int:
        """Return the allocation that the file system reports."""
        return Path(self.path).stat().st_blocks * 512


async def virsh(uri: str, *commands: str) -> list[str]:
    """Run commands in one virsh and return the output of each."""
    line = "; ".join(f"{command}; echo '{_MARK}'" for command in commands)
    process = await asyncio.create_subprocess_exec(
        *("virsh", "--quiet", "--connect", uri, line), stdout=subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().split(_MARK)[:-1]


async def as_virsh_shows(uri: str, ids: list[str], volumes: list[Volume]) -> dict[str, Resource]:
    """Return all domains as virsh shows them."""
    ask = ("dumpxml", "dominfo", "domblklist", "snapshot-list --name")
    output = await virsh(uri, *(f"{command} {id}" for id in ids for command in ask))
    resources = {}
    for number, id in enumerate(ids):
        xml, info, drives, snapshots = output[number * len(ask) : (number + 1) * len(ask)]
        resources[id] = _resource(id, xml, info, drives, snapshots, volumes)
    return resources


def _resource(
    id: str, xml: str, info: str, drives: str, snapshots: str, volumes: list[Volume]
) -> Resource:
    root = ET.fromstring(xml)
    facts = dict(re.split(r":\s+", line, maxsplit=1) for line in info.strip().splitlines())
    saved = facts["Managed save"] == "yes"
    ours = root.find(f"metadata/{_OURS}domain")
    labels = {} if ours is None else {e.get("key", ""): e.get("value", "") for e in ours}
    created = None if ours is None else ours.get("create_time")
    disks = tuple(_disk(each, volumes) for each in root.iterfind("devices/disk"))
    listed = dict(line.split(maxsplit=1) for line in drives.strip().splitlines())
    assert [each.target for each in disks] == list(listed)
    for each in disks:
        if each.path and each.volume is None:
            assert listed[each.target] == each.path
    return Resource(
        id=id,
        kind=ResourceKind.DOMAIN,
        name=facts["Name"],
        state=ResourceState.SAVED if saved else _STATES[facts["State"]],
        labels=labels,
        create_time=datetime.fromisoformat(created) if created else None,
        lifetime=Lifetime.PERSISTENT if facts["Persistent"] == "yes" else Lifetime.TRANSIENT,
        domain=Domain(
            spec=DomainSpec(
                name=facts["Name"],
                memory_bytes=_memory(root, facts),
                title=root.findtext("title", ""),
                description=root.findtext("description", ""),
                firmware=_firmware(root),
                boot_order=tuple(
                    each for each in _boot_order(root) if each not in _absent(root, disks)
                ),
            ),
            memory_bytes=_memory(root, facts),
            max_memory_bytes=_kib(facts["Max memory"]),
            vcpus=int(facts["CPU(s)"]),
            autostart=facts["Autostart"] == "enable",
            virt_type=VirtType(root.get("type", "").upper()),
            machine=_find(root, "os/type").attrib["machine"],
            disks=disks,
            networks=tuple(_card(each) for each in root.iterfind("devices/interface")),
            graphics=_screen(root),
            has_saved_state=saved,
            snapshot_count=len(snapshots.split()),
            runtime_id=int(facts["Id"]) if facts["Id"] != "-" else 0,
        ),
    )


def _find(element: ET.Element, path: str) -> ET.Element:
    found = element.find(path)
    assert found is not None, path
    return found


def _memory(root: ET.Element, facts: dict[str, str]) -> int:
    """Return the memory of a domain; libvirt reports a wrong value for a stopped one without balloon."""
    balloon = root.find("devices/memballoon")
    if balloon is None or balloon.get("model") == "none":
        return _kib(facts["Max memory"])
    return _kib(facts["Used memory"])


def _kib(text: str) -> int:
    count, unit = text.split()
    assert unit == "KiB"
    return int(count) * 1024


def _firmware(root: ET.Element) -> Firmware:
    loader = root.find("os/loader")
    if _find(root, "os").get("firmware") == "efi":
        return Firmware.UEFI
    if loader is None:
        return Firmware.BIOS
    return Firmware.UEFI if loader.get("type") == "pflash" else Firmware.OTHER


def _boot_order(root: ET.Element) -> tuple[BootDevice, ...]:
    placed = {}
    for element in _find(root, "devices"):
        if (boot := element.find("boot")) is not None:
            word = element.attrib["device"] if element.tag == "disk" else element.tag
            placed[int(boot.attrib["order"])] = word
    words = [placed[place] for place in sorted(placed)]
    words = words or [boot.attrib["dev"] for boot in root.iterfind("os/boot")]
    order: list[BootDevice] = []
    for word in words:
        device = _BOOTS.get(word, BootDevice.OTHER)
        if device not in order:
            order.append(device)
    return tuple(order)


def _absent(root: ET.Element, disks: Sequence[Disk]) -> set[BootDevice]:
    """Return the boot devices that a specification of the domain has none of."""
    there = {BootDevice.OTHER}
    if any(each.device is DiskDevice.DISK and each.volume for each in disks):
        there.add(BootDevice.DISK)
    if any(each.device is DiskDevice.CDROM for each in disks):
        there.add(BootDevice.CDROM)
    if root.find("devices/interface[@type='network']") is not None:
        there.add(BootDevice.NETWORK)
    return set(BootDevice) - there


def _disk(disk: ET.Element, volumes: list[Volume]) -> Disk:
    source, target, driver = disk.find("source"), _find(disk, "target"), disk.find("driver")
    form = None if driver is None else driver.get("type")
    path, ref = "", None
    if source is not None:
        path = source.get("file") or source.get("dev") or ""
        if disk.get("type") == "volume":
            ref = VolumeRef(pool=source.attrib["pool"], name=source.attrib["volume"])
    known = next((each for each in volumes if path == each.path or ref == each.ref), None)
    return Disk(
        target=target.attrib["dev"],
        device=_DEVICES[disk.attrib["device"]],
        bus=_BUSES.get(target.attrib["bus"], DiskBus.OTHER),
        format=_FORMATS.get(form, DiskFormat.OTHER),
        path=known.path if known else path,
        volume=known.ref if known else ref,
        capacity_bytes=known.capacity_bytes if known else 0,
        allocation_bytes=known.allocation_bytes if known else 0,
        read_only=disk.find("readonly") is not None,
    )


def _card(card: ET.Element) -> NetworkInterface:
    def attribute(tag: str, name: str) -> str:
        found = card.find(tag)
        return "" if found is None else found.get(name, "")

    return NetworkInterface(
        network=attribute("source", "network"),
        mac_address=attribute("mac", "address"),
        model=attribute("model", "type"),
        host_device=attribute("target", "dev"),
    )


def _screen_type(protocol: str, listen: Mapping[str, str]) -> GraphicsType:
    match protocol, dict(listen):
        case "spice", _:
            return GraphicsType.SPICE
        case "vnc", {"type": "none"}:
            return GraphicsType.VNC
        case "vnc", {"type": "address", "address": "127.0.0.1"}:
            return GraphicsType.VNC_LOOPBACK
        case "vnc", _:
            return GraphicsType.VNC_OTHER
    return GraphicsType.OTHER


def _screen(root: ET.Element) -> Graphics | None:
    found = root.findall("devices/graphics")
    for kind in ("vnc", "spice"):
        if chosen := [each for each in found if each.get("type") == kind]:
            found = chosen
            break
    if not found:
        return None
    graphics = found[0]
    listen = graphics.find("listen")
    return Graphics(
        type=_screen_type(graphics.attrib["type"], {} if listen is None else listen.attrib),
        listen="" if listen is None else listen.get("address", ""),
        port=max(int(graphics.get("port", "0")), 0),
    )

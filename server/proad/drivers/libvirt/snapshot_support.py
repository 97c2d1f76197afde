"""Support of a domain for snapshots that it can be reverted to. Pure: makes no call.

With libvirt 9.0 to 12.8, internal snapshots are stored in the disks: each writable disk must be
qcow2, and there must be one. For a running guest, QEMU stores the memory in one of the disks, and
treats the variables of UEFI as one more disk.
"""

from dataclasses import dataclass

from proad.drivers.libvirt.xml.node import Node

_KEEPS_SNAPSHOTS = "qcow2"
_INTERNAL = frozenset({"", "internal"})


@dataclass(frozen=True, slots=True)
class Obstacle:
    """The reason why snapshots of a domain are impossible now.

    Attributes:
        what: the unsupported operation.
        way_out: what the caller can do.
    """

    what: str
    way_out: str


def obstacle(root: Node) -> Obstacle | None:
    """Return why snapshots of a domain are impossible; None: no reason in its XML.

    Args:
        root: the present `<domain>`.
    """
    if root.attribute("type").text() == "test" or not root:  # needs no disks
        return None
    written = [
        disk
        for disk in root.each("devices/disk")
        if disk.first("source") and not disk.first("readonly")
    ]
    for disk in written:
        if found := _of_disk(disk):
            return found
    if not written:
        return Obstacle(
            "a snapshot of a domain without a disk that its guest can write",
            "give it one on a qcow2 volume",
        )
    runs = bool(root.attribute("id").text())
    return _of_firmware(root.first("os")) if runs else None


def _of_disk(disk: Node) -> Obstacle | None:
    target = disk.first("target").attribute("dev").text()
    form = disk.first("driver").attribute("type").text() or "raw"
    if form != _KEEPS_SNAPSHOTS:
        return Obstacle(
            f"a snapshot of a domain with the disk {target} in format {form}",
            "all disks that the guest can write must be qcow2; `qemu-img convert -O qcow2` makes "
            "such a copy of one",
        )
    place = disk.attribute("snapshot").text()
    if place not in _INTERNAL:
        return Obstacle(
            f"a snapshot inside of the disk {target}, which has snapshot={place!r} in its XML",
            "take that out of the XML of the domain",
        )
    return None


def _of_firmware(boot: Node) -> Obstacle | None:
    flash = boot.first("loader").attribute("type").text() == "pflash"
    if not flash or boot.first("nvram").attribute("format").text() == _KEEPS_SNAPSHOTS:
        return None
    return Obstacle(
        "a snapshot of a domain with UEFI while it runs",
        "stop it first: of a stopped one there can be snapshots",
    )

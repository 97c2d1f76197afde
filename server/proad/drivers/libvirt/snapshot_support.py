"""What libvirt needs of a domain for a snapshot that can be gone back to. Pure: asks no engine.

Seen with libvirt 9.0 to 12.8: a snapshot is kept inside of the disks, so that each one that the
guest can write has to be qcow2, and there has to be one. With a guest that runs, QEMU keeps its
memory in one of them, and takes the variables of a UEFI for one more disk.
"""

from dataclasses import dataclass

from proad.drivers.libvirt.xml.node import Node

_KEEPS_SNAPSHOTS = "qcow2"
_INTERNAL = frozenset({"", "internal"})


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a domain can have no snapshot now.

    Attributes:
        what: what libvirt cannot do.
        way_out: what the caller can do.
    """

    what: str
    way_out: str


def obstacle(root: Node) -> Obstacle | None:
    """Return what stands in the way of a snapshot of a domain; None: nothing that it tells of.

    Args:
        root: the `<domain>` as it is now.
    """
    if root.attribute("type").text() == "test" or not root:  # has no disks to keep them in
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

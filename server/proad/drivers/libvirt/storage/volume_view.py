"""Conversion of volumes to libvirt's XML, and from it."""

import libvirt
from lxml import etree

from proad.drivers.domain_enums import member
from proad.drivers.libvirt.storage import pools
from proad.model import DiskFormat, Volume, VolumeSpec


def volume_xml(spec: VolumeSpec, base: Volume | None) -> etree._Element:
    """Return libvirt's XML for a new volume."""
    capacity = spec.capacity_bytes or (base.capacity_bytes if base is not None else 0)
    root = etree.Element("volume")
    etree.SubElement(root, "name").text = spec.name
    etree.SubElement(root, "capacity", unit="bytes").text = str(capacity)
    allocation = capacity if spec.preallocate else 0
    etree.SubElement(root, "allocation", unit="bytes").text = str(allocation)
    target = etree.SubElement(root, "target")
    etree.SubElement(target, "format", type=spec.format.lower())
    if spec.format is DiskFormat.QCOW2:
        etree.SubElement(target, "compat").text = "1.1"  # libvirt's default is the old version 2
    if base is not None:
        backing = etree.SubElement(root, "backingStore")
        etree.SubElement(backing, "path").text = base.path
        etree.SubElement(backing, "format", type=(base.format or DiskFormat.RAW).lower())
    return root


def view_of(
    volume: libvirt.virStorageVol, pool: str, made: DiskFormat | None = None, record_id: str = ""
) -> Volume:
    """Convert a volume of libvirt; leave out what libvirt cannot tell.

    Args:
        volume: the volume.
        pool: its pool.
        made: its recorded format; None: use the probed one.
        record_id: id of its record; empty: Proa did not make it.
    """
    root = pools.volume_document(volume)
    if root is None:
        _, capacity, allocation = pools.unless_undescribed(volume.info) or (0, 0, 0)
        return Volume(
            pool=pool,
            name=volume.name(),
            path=volume.path(),
            format=made or DiskFormat.OTHER,
            capacity_bytes=capacity,
            allocation_bytes=allocation,
            record_id=record_id,
        )
    kind = root.find("target/format")
    looks = member(DiskFormat, "" if kind is None else kind.get("type", ""))
    capacity = root.findtext("capacity", "0")
    if made is DiskFormat.RAW and looks is not made:  # a guest wrote another header
        capacity = root.findtext("physical", capacity)
    return Volume(
        pool=pool,
        name=volume.name(),
        path=root.findtext("target/path", ""),
        format=made or looks,
        capacity_bytes=int(capacity),
        allocation_bytes=int(root.findtext("allocation", "0")),
        base_path="" if made is DiskFormat.RAW else root.findtext("backingStore/path", ""),
        record_id=record_id,
    )

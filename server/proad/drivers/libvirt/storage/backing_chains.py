"""Formats and backing chains of volumes: as recorded, stated, or written by the host's tools.

Formats that libvirt probes are never used: a guest may have written a qcow2 header into its raw
disk, so that the host's files would be opened for it.
"""

from collections.abc import Callable

import libvirt
from lxml import etree

from proad.drivers.libvirt.errors import code_of, seek
from proad.drivers.libvirt.storage import pools
from proad.drivers.libvirt.storage.catalog import VolumeCatalog
from proad.drivers.libvirt.storage.image_files import ImageFile, ImageFiles, is_block
from proad.drivers.libvirt.storage.pools import NO_POOL, NO_VOLUME
from proad.drivers.libvirt.storage.qcow2 import printable
from proad.drivers.libvirt.xml.parser import UNWRITABLE
from proad.errors import InvalidArgumentError
from proad.model import DiskFormat
from proad.ports.records import Layer, VolumeRecord

_FORMATS = {format.lower(): format for format in (DiskFormat.QCOW2, DiskFormat.RAW)}


class BackingChains:
    """Determines the formats and backing chains of volumes.

    Args:
        catalog: the records of the volumes that Proa created.
    """

    def __init__(self, catalog: VolumeCatalog) -> None:
        self._catalog = catalog

    def format_of(
        self,
        connection: libvirt.virConnect,
        volume: libvirt.virStorageVol,
        stated: DiskFormat | None,
        field: str,
    ) -> DiskFormat:
        """Return the format of a volume.

        Args:
            connection: to libvirt.
            volume: the volume.
            stated: the format that the caller states; None: none.
            field: the field with the stated format, for errors.

        Raises:
            InvalidArgumentError: the caller must state the format, or states another one than
                the recorded one.
        """
        name = volume.name()
        record = self._catalog.of_volume(connection, volume)
        if record is None:
            if stated is None:
                raise InvalidArgumentError.of(
                    field,
                    f"is required: the volume {name!r} was not made by Proa, and what is in it "
                    "does not tell, because a guest may have written that; say QCOW2 or RAW",
                )
            return stated
        if stated not in {None, record.format}:
            raise InvalidArgumentError.of(
                field,
                f"is {stated}, but the volume {name!r} is recorded as {record.format}; "
                "say that or nothing",
            )
        return record.format

    def backing_chain(
        self,
        connection: libvirt.virConnect,
        volume: libvirt.virStorageVol,
        format: DiskFormat,
        field: str,
    ) -> tuple[Layer, ...]:
        """Return the backing chain of a volume, the nearest image first.

        Args:
            connection: to libvirt.
            volume: the volume.
            format: its format.
            field: the field that names the volume, for errors.

        Raises:
            InvalidArgumentError: the chain is unreadable, or leaves the storage pools.
        """
        if format is DiskFormat.RAW:
            return ()
        path = volume.path()
        images = pools.images(connection, path, recorded=self._catalog.files(connection))
        below = self.layers(images, path, field)
        if below:
            _check_places(connection, images, tuple(layer.path for layer in below), field)
        return below

    def layers(self, images: ImageFiles, path: str, field: str = "xml") -> tuple[Layer, ...]:
        """Return the backing chain of a qcow2 image, the nearest image first, wherever it leads.

        Args:
            images: the image files of the host.
            path: path of the image.
            field: the field that names the image, for errors.

        Raises:
            InvalidArgumentError: the chain is unreadable, or an image has its data in another
                file, which nothing in a domain's XML could prevent.
        """
        record = images.record(path)
        chain = images.chain(path, "qcow2")
        if chain.data_files:
            raise InvalidArgumentError.of(
                field,
                f"the volume has its data in another file, {printable(chain.data_files[0])!r}; "
                "`qemu-img convert -O qcow2` makes an image that has them itself",
            )
        if chain.broken and record is None:
            raise InvalidArgumentError.of(
                field, f"cannot be told what the volume is based on: {chain.broken}"
            )
        if chain.broken and record is not None:
            return record.base_chain
        known = {} if record is None else {each.path: each.format for each in record.base_chain}
        return tuple(_layer(image, known, field) for image in chain.layers[1:])

    def check_xml(self, connection: libvirt.virConnect, root: etree._Element) -> None:
        """Check the formats in a caller's domain XML against the records.

        Raises:
            InvalidArgumentError: a disk states another format than the recorded one.
        """
        records = self._catalog.files(connection)
        if not records:
            return
        images = pools.images(connection)
        files = {images.identity(record.path): record for record in records}
        names = {(record.pool, record.name): record for record in records}

        def record_of(source: etree._Element) -> VolumeRecord | None:
            pool, name = source.get("pool", ""), source.get("volume", "")
            path = path_of(connection, source)
            return (files.get(images.identity(path)) if path else None) or names.get((pool, name))

        for disk in root.iter("disk"):
            _check_format(disk, disk.find("driver"), record_of)
            for store in disk.iter("backingStore"):
                _check_format(store, store.find("format"), record_of)


def _layer(image: ImageFile, known: dict[str, DiskFormat], field: str) -> Layer:
    format = _FORMATS.get(image.format) or known.get(image.path)
    name = printable(image.path)
    if format is None:
        said = f"names {image.format!r} as" if image.format else "does not name"
        raise InvalidArgumentError.of(
            field,
            f"the volume is based on {name!r}, and {said} the format of that, which has to be "
            "qcow2 or raw; `qemu-img rebase -u -b … -F …` writes it",
        )
    if UNWRITABLE.search(image.path):
        raise InvalidArgumentError.of(field, f"the volume is based on {name!r}: an odd name")
    return Layer(path=image.path, format=format)


def _check_places(
    connection: libvirt.virConnect, images: ImageFiles, paths: tuple[str, ...], field: str
) -> None:
    """Refuse a chain with a file outside of all storage pools."""
    if not paths:
        return
    known = pools.all_pools(connection)
    for path in paths:
        inside = any(pool.holds(path, local=images.local) for pool in known)
        # Block devices have many paths.
        if not inside and not (is_block(path, local=images.local) and _is_volume(connection, path)):
            raise InvalidArgumentError.of(
                field,
                f"the volume needs the file {printable(path)!r}, which is in no storage pool; "
                "define a pool where it is, if guests may read that",
            )


def _is_volume(connection: libvirt.virConnect, path: str) -> bool:
    try:
        seek(connection.storageVolLookupByPath, path)
    except libvirt.libvirtError as error:
        if code_of(error) not in NO_VOLUME:
            raise
        return False
    return True


def path_of(connection: libvirt.virConnect, source: etree._Element) -> str:
    """Return the path that the source of a disk leads to; empty: none, or none that is known."""
    path = source.get("file") or source.get("dev")
    return path or _path_in(connection, source.get("pool", ""), source.get("volume", ""))


def _path_in(connection: libvirt.virConnect, pool: str, name: str) -> str:
    """Return the path of a volume; empty if libvirt knows none of that name."""
    if not pool:
        return ""
    try:
        found = pools.find(seek(connection.storagePoolLookupByName, pool), name)
    except libvirt.libvirtError as error:
        if code_of(error) not in NO_POOL:
            raise
        return ""
    return "" if found is None else pools.decoded(found.path) or ""


def _check_format(
    element: etree._Element,
    driver: etree._Element | None,
    record_of: Callable[[etree._Element], VolumeRecord | None],
) -> None:
    source = element.find("source")
    if source is None:
        return
    record = record_of(source)
    taken = "raw" if driver is None else driver.get("type", "raw")
    if record is not None and taken != record.format.lower():
        raise InvalidArgumentError.of(
            "xml",
            f"takes the volume {record.name!r} for {taken}, but it is recorded as {record.format}",
        )

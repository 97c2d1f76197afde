"""The images of the disks in domain XML: inspected before they become disks.

If the chain of backing files has no end in the XML, libvirt probes the image for the next one, and
lets QEMU open whatever the image names. Hence the chain is read here, by the rules of
`backing_chains`, written into the XML, and judged there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libvirt
from lxml import etree

from proad.drivers.libvirt.host.virt import is_test
from proad.drivers.libvirt.storage import pools
from proad.drivers.libvirt.storage.backing_chains import BackingChains, path_of
from proad.drivers.libvirt.storage.catalog import VolumeCatalog
from proad.drivers.libvirt.storage.image_files import ImageFiles, is_block
from proad.drivers.libvirt.storage.plain_paths import obstacle
from proad.drivers.libvirt.xml.domain_xml import Source, add_chain
from proad.errors import InvalidArgumentError, Violation
from proad.model import DiskFormat
from proad.ports.records import Layer

BACKING_STORE = "allow_backing_stores"
_CHAINED = "qcow2"


@dataclass(frozen=True, slots=True)
class _Stated:
    """The chain of backing files in the XML of a disk.

    Attributes:
        layers: path and format of each image.
        last: the element that would have the next one.
        ended: whether the XML says that there is no next one.
    """

    layers: tuple[tuple[str, str], ...]
    last: etree._Element
    ended: bool


class DiskImages:
    """Inspects the images of domain XML.

    Args:
        catalog: the records of the volumes that Proa created.
        chains: reads backing chains.
    """

    def __init__(self, catalog: VolumeCatalog, chains: BackingChains) -> None:
        self._catalog = catalog
        self._chains = chains

    def complete(
        self, connection: libvirt.virConnect, root: etree._Element, path: str = "/domain"
    ) -> list[Violation]:
        """Write the backing chains that the XML of a domain leaves open.

        Args:
            connection: to libvirt.
            root: the `<domain>`, which is changed.
            path: its XPath.

        Returns:
            What may not be in a disk, each with the setting that would allow it.
        """
        if is_test(connection):  # has no files
            return []
        disks = root.findall("devices/disk")
        images: ImageFiles | None = None
        found: list[Violation] = []
        for number, disk in enumerate(disks, 1):
            source = disk.find("source")
            if source is None:
                continue
            place = f"{path}/devices/disk" + (f"[{number}]" if len(disks) > 1 else "")
            file = path_of(connection, source)
            if images is None:
                recorded = self._catalog.files(connection)
                images = pools.images(connection, file, recorded=recorded)
            found += self._complete(connection, images, disk, file, place)
        return found

    def _complete(
        self,
        connection: libvirt.virConnect,
        images: ImageFiles,
        disk: etree._Element,
        file: str,
        place: str,
    ) -> Iterator[Violation]:
        driver = disk.find("driver")
        format = "raw" if driver is None else driver.get("type", "raw")
        stated = _stated(disk)
        layers: tuple[Layer, ...] = ()
        if file and format == _CHAINED:
            try:
                layers = self._chains.layers(images, file)
            except InvalidArgumentError as error:
                yield _violation(place, error.violations[0].description)
                return
        # A medium that keeps its owner is read by QEMU's user alone, and written by nobody.
        if images.local and disk.find("source/seclabel[@relabel='no']") is None:
            known = pools.all_pools(connection)
            for each in filter(None, (file, *(layer.path for layer in layers))):
                yield from _of_place(known, each, place)
        real = [(images.identity(each.path), each.format.lower()) for each in layers]
        if stated.layers and [(images.identity(p), f) for p, f in stated.layers] != real:
            yield _violation(
                f"{place}/backingStore",
                "the image is not based on what <backingStore> says: leave that out",
            )
            return
        if not stated.layers and not stated.ended:
            add_chain(disk, [_source(each, images) for each in layers])
        elif stated.layers and not stated.ended:
            add_chain(stated.last, [])
        elif stated.ended and not stated.layers and real:
            yield _violation(
                f"{place}/backingStore",
                "the image is based on another one: leave <backingStore> out",
            )


def _of_place(known: Sequence[pools.StoragePool], file: str, place: str) -> Iterator[Violation]:
    """Yield the violation of a file that others may replace, or that leads out of the pools."""
    if is_block(file, local=True):
        return
    why = obstacle(file)
    if any(file.rpartition("/")[0] == pool.path.rstrip("/") for pool in known):
        inside = any(pool.holds(file, local=True) for pool in known)
        why = "" if inside else "it is a link that leads out of the storage pools"
    if why:
        yield Violation(
            field=f"{place}/source",
            rule="disk file not safe",
            message=f"the file may be another one when the domain starts: {why}",
        )


def _violation(place: str, message: str) -> Violation:
    return Violation(field=place, rule="backing store", setting=BACKING_STORE, message=message)


def _stated(disk: etree._Element) -> _Stated:
    layers: list[tuple[str, str]] = []
    last = disk
    while (store := last.find("backingStore")) is not None:
        source, format = store.find("source"), store.find("format")
        if source is None:
            return _Stated(tuple(layers), last, ended=True)
        path = source.get("file") or source.get("dev") or ""
        layers.append((path, "" if format is None else format.get("type", "")))
        last = store
    return _Stated(tuple(layers), last, ended=False)


def _source(layer: Layer, images: ImageFiles) -> Source:
    return Source(
        path=layer.path,
        format=DiskFormat(layer.format),
        block=is_block(layer.path, local=images.local),
    )

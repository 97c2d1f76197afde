"""What Proa notes in a domain's `<metadata>`, under its own XML namespace."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import libvirt
from lxml import etree

from proad.drivers.libvirt.errors import code_of
from proad.model import VolumeRef

NAMESPACE = "urn:proa:domain:1"
PREFIX = "proa"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Proa's notes on a domain.

    Attributes:
        labels: its labels.
        create_time: when Proa created it; None: somebody else did.
        volumes: the volumes that Proa made for it, which go with it.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    create_time: datetime | None = None
    volumes: tuple[VolumeRef, ...] = ()

    def element(self) -> etree._Element:
        """Give it as the element that goes into `<metadata>`."""
        root = self.bare_element()
        named = etree.Element(_ours(root), root.attrib, {PREFIX: NAMESPACE})
        for child in root:
            etree.SubElement(named, _ours(child), child.attrib)
        return named

    def bare_element(self) -> etree._Element:
        """Give it without the namespace, which libvirt's setMetadata adds by itself."""
        root = etree.Element("domain")
        if self.create_time is not None:
            root.set("create_time", self.create_time.isoformat())
        # Attributes, because libvirt drops text that is nothing but blanks.
        for key, value in sorted(self.labels.items()):
            etree.SubElement(root, "label", key=key, value=value)
        for volume in self.volumes:
            etree.SubElement(root, "volume", pool=volume.pool, name=volume.name)
        return root

    @classmethod
    def of(cls, root: etree._Element | None) -> "Metadata":
        """Read the element; None: there is none."""
        if root is None:
            return cls()
        created = root.get("create_time")
        return cls(
            labels={e.get("key", ""): e.get("value", "") for e in root.iterfind("{*}label")},
            create_time=datetime.fromisoformat(created) if created else None,
            volumes=tuple(
                VolumeRef(pool=e.get("pool", ""), name=e.get("name", ""))
                for e in root.iterfind("{*}volume")
            ),
        )


def _ours(element: etree._Element) -> etree.QName:
    return etree.QName(NAMESPACE, str(element.tag))


def in_domain(root: etree._Element) -> etree._Element | None:
    """Find Proa's notes in a `<domain>`."""
    return root.find(f"metadata/{{{NAMESPACE}}}domain")


def read(domain: libvirt.virDomain) -> Metadata:
    """Ask libvirt for the notes on a domain."""
    try:
        text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)
    except libvirt.libvirtError as error:
        if code_of(error) == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return Metadata()
        raise
    return Metadata.of(etree.fromstring(text))


def write(domain: libvirt.virDomain, metadata: Metadata, flags: int) -> None:
    """Replace the notes on a domain; `flags` say in which of its configurations."""
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        etree.tostring(metadata.bare_element(), encoding="unicode"),
        PREFIX,
        NAMESPACE,
        flags,
    )

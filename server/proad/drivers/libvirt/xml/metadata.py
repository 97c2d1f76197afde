"""What Proa notes in a domain's `<metadata>`, under its own XML namespace."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import libvirt
from lxml import etree

from proad.drivers.libvirt.errors import code_of
from proad.drivers.libvirt.xml.parser import parse

NAMESPACE = "urn:proa:domain:1"
PREFIX = "proa"
_ELEMENT = "domain"


# More than a request may carry.
_LABELS_LIMIT = 2**18


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Proa's notes on a domain: hints for people, which anybody may write who may define
    domains, and which a copy of the domain carries along. Nothing is decided by them.

    Attributes:
        labels: its labels.
        create_time: when Proa created it; None: somebody else did.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    create_time: datetime | None = None

    def element(self) -> etree._Element:
        """Give it as the element that goes into `<metadata>`."""
        root = self.bare_element()
        named = etree.Element(_ours(root), root.attrib, {PREFIX: NAMESPACE})
        for child in root:
            etree.SubElement(named, _ours(child), child.attrib)
        return named

    def bare_element(self) -> etree._Element:
        """Give it without the namespace, which libvirt's setMetadata adds by itself."""
        root = etree.Element(_ELEMENT)
        if self.create_time is not None:
            root.set("create_time", self.create_time.isoformat())
        # Attributes, because libvirt drops text that is nothing but blanks.
        for key, value in sorted(self.labels.items()):
            etree.SubElement(root, "label", key=key, value=value)
        return root

    @classmethod
    def of(cls, root: etree._Element | None) -> "Metadata":
        """Read the element; None: there is none. What makes no sense in it is left out."""
        if root is None or etree.QName(root).localname != _ELEMENT:
            return cls()
        return cls(labels=_labels(root), create_time=_time(root.get("create_time", "")))


def _labels(root: etree._Element) -> dict[str, str]:
    labels: dict[str, str] = {}
    size = 0
    for element in root.iterfind("{*}label"):
        key, value = element.get("key", ""), element.get("value", "")
        size += len(key) + len(value)
        if size > _LABELS_LIMIT:
            break
        if key:
            labels[key] = value
    return labels


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
        # A time without a zone is none of ours; at the ends of the calendar some have no UTC.
        return time.astimezone(UTC) if time.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _ours(element: etree._Element) -> etree.QName:
    return etree.QName(NAMESPACE, str(element.tag))


def in_domain(root: etree._Element) -> etree._Element | None:
    """Find Proa's notes in a `<domain>`: as libvirt does, the first element of our namespace."""
    return next(root.iterfind(f"metadata/{{{NAMESPACE}}}*"), None)


def read(domain: libvirt.virDomain) -> Metadata:
    """Ask libvirt for the notes on a domain."""
    try:
        text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)
    except libvirt.libvirtError as error:
        if code_of(error) == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return Metadata()
        raise
    try:
        return Metadata.of(parse(text))
    except (etree.XMLSyntaxError, ValueError):  # larger or deeper than is worth reading
        return Metadata()


def write(domain: libvirt.virDomain, metadata: Metadata, flags: int) -> None:
    """Replace the notes on a domain; `flags` say in which of its configurations."""
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        etree.tostring(metadata.bare_element(), encoding="unicode"),
        PREFIX,
        NAMESPACE,
        flags,
    )

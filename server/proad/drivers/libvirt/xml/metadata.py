"""Proa's part of a domain's `<metadata>`, under its own XML namespace."""

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


# Above the limit of a request.
_LABELS_LIMIT = 2**18


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Proa's metadata of a domain.

    Whoever may define domains may write it, and a copy of a domain has it too. Hence no decision
    depends on it.

    Attributes:
        labels: labels of the domain.
        create_time: when Proa created the domain; None: somebody else did.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    create_time: datetime | None = None

    def element(self) -> etree._Element:
        """Return the element for `<metadata>`."""
        root = self.bare_element()
        named = etree.Element(_ours(root), root.attrib, {PREFIX: NAMESPACE})
        for child in root:
            etree.SubElement(named, _ours(child), child.attrib)
        return named

    def bare_element(self) -> etree._Element:
        """Return the element without namespace, which libvirt's setMetadata adds."""
        root = etree.Element(_ELEMENT)
        if self.create_time is not None:
            root.set("create_time", self.create_time.isoformat())
        # Attributes, because libvirt drops blank text.
        for key, value in sorted(self.labels.items()):
            etree.SubElement(root, "label", key=key, value=value)
        return root

    @classmethod
    def of(cls, root: etree._Element | None) -> "Metadata":
        """Read an element, or None for no element; leave out invalid parts."""
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
        # Proa writes a time zone; at the ends of the calendar conversion to UTC overflows.
        return time.astimezone(UTC) if time.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _ours(element: etree._Element) -> etree.QName:
    return etree.QName(NAMESPACE, str(element.tag))


def in_domain(root: etree._Element) -> etree._Element | None:
    """Return the first element of our namespace in a `<domain>`, as libvirt does."""
    return next(root.iterfind(f"metadata/{{{NAMESPACE}}}*"), None)


def read(domain: libvirt.virDomain) -> Metadata:
    """Read the metadata of a domain from libvirt."""
    try:
        text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)
    except libvirt.libvirtError as error:
        if code_of(error) == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return Metadata()
        raise
    try:
        return Metadata.of(parse(text))
    except (etree.XMLSyntaxError, ValueError):  # too large or too deep
        return Metadata()


def write(domain: libvirt.virDomain, metadata: Metadata, flags: int) -> None:
    """Replace the metadata of a domain; `flags` select the live or the persistent one."""
    domain.setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        etree.tostring(metadata.bare_element(), encoding="unicode"),
        PREFIX,
        NAMESPACE,
        flags,
    )

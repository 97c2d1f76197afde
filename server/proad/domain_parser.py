"""Parser of a caller's domain XML, so that the engine reads exactly what was checked.

libvirt joins the texts around a comment, takes the first of two names, and ignores nested elements.
Hence the parser refuses everything that two readers could read differently, and writes name and UUID
back as plain text.
"""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lxml import etree

from proad.errors import InvalidArgumentError
from proad.model import validate
from proad.model.checks import Name

# Elements whose content is opaque, or that the driver checks by itself.
_LEFT_ALONE = frozenset({"metadata", "emulator"})
NODES_LIMIT = 20_000
DEPTH_LIMIT = 64


@dataclass(frozen=True, slots=True)
class ParsedDomain:
    """A parsed `<domain>` of a caller.

    Attributes:
        root: the element, without comments and processing instructions.
        name: the name in the element.
        id: the UUID in the element: the caller's in canonical form, or a new one.
    """

    root: etree._Element
    name: str
    id: str


@dataclass(frozen=True, slots=True)
class DomainName:
    """The name of a domain, checked as in a specification."""

    name: Name


def parse_domain(xml: str) -> ParsedDomain:
    """Parse and check domain XML. Takes some milliseconds, hence not for an event loop.

    Raises:
        InvalidArgumentError: with the field "xml".
    """
    root = _parsed(xml)
    _check_size(root)
    _clear_between(root)
    if root.tag != "domain":
        raise invalid_xml(f"must be a <domain>, not <{root.tag!s}>")
    name = _only(root, "name")
    if name is None:
        raise invalid_xml("has no <name>")
    checked = _checked_name(_text_of(name))
    _write(name, checked)
    element = _only(root, "uuid")
    if element is None:
        element = etree.Element("uuid")
        # At the end, libvirt's schema would refuse it beside <memoryBacking>.
        root.insert(root.index(name) + 1, element)
        id = str(uuid.uuid4())
    else:
        id = _checked_uuid(_text_of(element))
    _write(element, id)
    return ParsedDomain(root, checked, id)


def parse_described(xml: str) -> etree._Element:
    """Parse libvirt's XML of a domain or a snapshot, and leave the metadata out.

    Raises:
        InvalidArgumentError: with the field "xml".
    """
    root = _parsed(xml)
    for metadata in [*root.iter("metadata")]:
        parent = metadata.getparent()
        if parent is not None:
            parent.remove(metadata)
    _check_size(root)
    _clear_between(root)
    return root


def sources_of(root: etree._Element) -> Iterator[str]:
    """Yield what the disks in XML are on, with their backing files.

    Args:
        root: a `<domain>`, or what has some.

    Yields:
        Paths, which are absolute, and volumes as POOL/NAME.
    """
    return _named(source for disk in root.iter("disk") for source in disk.iter("source"))


def read_sources_of(root: etree._Element) -> Iterator[str]:
    """Yield those of `sources_of` that no disk writes to."""
    disks = [*root.iter("disk")]
    sources = {each for disk in disks for each in disk.iter("source")}
    media = {each for disk in disks if disk.get("device") == "cdrom" for each in disk.iter()}
    below = {each for store in root.iter("backingStore") for each in store.iter()}
    written = {*_named(sources - media - below)}
    return (each for each in _named(sources) if each not in written)


def _named(sources: Iterable[etree._Element]) -> Iterator[str]:
    for source in sources:
        if path := source.get("file") or source.get("dev"):
            yield path
        if (pool := source.get("pool")) and (volume := source.get("volume")):
            yield f"{pool}/{volume}"


def invalid_xml(what: str) -> InvalidArgumentError:
    """Return the error for the field "xml"."""
    return InvalidArgumentError.of("xml", what)


def _parsed(xml: str) -> etree._Element:
    # This encoding overrides a declared one: the document came as a text.
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_blank_text=True,
    )
    try:
        root = etree.fromstring(xml.encode(), parser)
    except (etree.XMLSyntaxError, UnicodeEncodeError) as error:
        raise invalid_xml(f"is not well-formed XML: {error}") from None
    if root.getroottree().docinfo.doctype:
        raise invalid_xml("must not have a DOCTYPE")
    if root.getprevious() is not None or root.getnext() is not None:
        raise _comment(root)
    return root


def _check_size(root: etree._Element) -> None:
    """Refuse comments, processing instructions, and oversized trees."""
    nodes = depth = 0
    for event, element in etree.iterwalk(root, events=("start", "end", "comment", "pi")):
        if event == "end":
            depth -= 1
            continue
        if event != "start":
            raise _comment(element)
        depth += 1
        nodes += 1 + len(element.attrib)
        if depth > DEPTH_LIMIT:
            raise invalid_xml(f"must not have elements more than {DEPTH_LIMIT} deep")
        if nodes > NODES_LIMIT:
            raise invalid_xml(f"must not have more than {NODES_LIMIT} elements and attributes")


def _clear_between(root: etree._Element) -> None:
    """Remove invisible text between elements, and refuse visible text.

    libvirt's parser ignores both, but its schema permits neither.
    """
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        children = [child for child in parent if child.tag not in _LEFT_ALONE]
        if len(parent):
            _check_between(parent, parent.text)
            parent.text = None
        for child in parent:
            _check_between(child, child.tail)
            child.tail = None
        waiting.extend(children)


def _check_between(element: etree._Element, text: str | None) -> None:
    seen = "".join(char for char in text or "" if char.isprintable() and not char.isspace())
    if seen:
        raise invalid_xml(
            f"has the text {seen[:40]!r} between elements, after line {element.sourceline or 1}: "
            "take it out"
        )


def _comment(element: etree._Element) -> InvalidArgumentError:
    return invalid_xml(
        "must not have comments or processing instructions, which libvirt reads over: "
        f"take them out (one is at line {element.sourceline or 1})"
    )


def _only(root: etree._Element, tag: str) -> etree._Element | None:
    found = root.findall(tag)
    if len(found) > 1:
        raise invalid_xml(f"must not have more than one <{tag}>")
    return found[0] if found else None


def _text_of(element: etree._Element) -> str:
    if len(element):
        raise invalid_xml(f"must have nothing but text in <{element.tag!s}>")
    return (element.text or "").strip()


def _write(element: etree._Element, text: str) -> None:
    element.clear()
    element.text = text


def _checked_name(text: str) -> str:
    if not text:
        raise invalid_xml("has no <name>")
    try:
        return validate(DomainName, {"name": text}).name
    except InvalidArgumentError as error:
        raise invalid_xml(f"<name> {error.violations[0].description}") from None


def _checked_uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise invalid_xml("<uuid> must be a UUID") from None

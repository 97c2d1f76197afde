"""Judges documents: domain XML of a caller, and libvirt's own of an existing domain."""

from collections.abc import Iterator

from lxml import etree

from proad.domain_parser import parse_described, parse_domain, read_sources_of, sources_of
from proad.errors import InvalidArgumentError, Violation
from proad.model import DomainDocument, DomainFacts
from proad.policy.domains.xml.domain import DOMAIN
from proad.policy.domains.xml.grammar import DocumentContext
from proad.policy.domains.xml.judge import XmlJudge
from proad.policy.profile import Profile
from proad.policy.violation import without_setting

_LOOPBACK = "127.0.0.1"
# What libvirt chooses for an interface on a network, by the type that it says.
_LED_TO = {"bridge": ("bridge",), "direct": ("dev", "mode")}


def judge_xml(xml: str, profile: Profile, facts: DomainFacts) -> tuple[list[Violation], str]:
    """Judge domain XML of a caller. Takes some milliseconds, hence not for an event loop.

    Returns:
        The violations; and the XML of what is allowed, with what a domain gets that says
        nothing else, which is to go to libvirt if there are no violations.

    Raises:
        InvalidArgumentError: with the field "xml": the text is no domain XML.
    """
    parsed = parse_domain(xml)
    judge = XmlJudge(DocumentContext(profile=profile, facts=facts, name=parsed.name, id=parsed.id))
    made = judge.judged(parsed.root, DOMAIN, "/domain")
    if made is None:
        return judge.violations, ""
    _fill_listeners(made)
    _drop_unused_features(made)
    etree.cleanup_namespaces(made)
    return judge.violations, etree.tostring(made, encoding="unicode")


def judge_document(
    document: DomainDocument, profile: Profile, facts: DomainFacts
) -> list[Violation]:
    """Judge what an existing domain, or a snapshot of one, runs by.

    What callers and guests have noted in its metadata decides nothing.
    """
    found = without_setting(document.found, profile)
    try:
        root = parse_described(document.xml)
    except InvalidArgumentError as error:
        message = error.violations[0].description
        return [Violation(field="/domain", rule="unreadable XML", message=message), *found]
    if root.tag == "domainsnapshot":
        return [*_of_snapshot(root, profile, facts), *found]
    return [*_of_domain(root, profile, facts, f"/{root.tag!s}"), *found]


def disks_of(document: DomainDocument) -> frozenset[str]:
    """Return what the disks of an existing domain write to: paths, and volumes as POOL/NAME."""
    try:
        root = parse_described(document.xml)
    except InvalidArgumentError:
        return frozenset()  # `judge_document` denies it
    return frozenset(sources_of(root)) - frozenset(read_sources_of(root))


def _of_snapshot(root: etree._Element, profile: Profile, facts: DomainFacts) -> Iterator[Violation]:
    """Yield the violations of a snapshot: a revert brings back its domains, and its memory."""
    for place in ("memory", "disks/disk"):
        for each in root.findall(place):
            if each.get("snapshot") == "external":
                yield Violation(
                    field=f"/domainsnapshot/{place}",
                    rule="external snapshot",
                    message="a revert would bring in a file that is not a disk of the domain",
                )
    domains = [child for child in root if child.tag in {"domain", "inactiveDomain"}]
    for child in domains:
        yield from _of_domain(child, profile, facts, f"/domainsnapshot/{child.tag!s}")
    if not domains:
        yield Violation(
            field="/domainsnapshot",
            rule="unreadable XML",
            message="the snapshot does not tell what domain a revert would bring back",
        )


def _of_domain(
    root: etree._Element, profile: Profile, facts: DomainFacts, path: str
) -> list[Violation]:
    around = DocumentContext(
        profile=profile,
        facts=facts,
        name=root.findtext("name", ""),
        id=root.findtext("uuid", ""),
        live=True,
    )
    _name_networks(root)
    judge = XmlJudge(around)
    judge.judged(root, DOMAIN, path)
    return judge.violations


def _name_networks(root: etree._Element) -> None:
    """Judge interfaces by the networks that they are on, also where a network is on a bridge.

    Of a running domain libvirt tells what a network with another forward mode than NAT has led
    to: a bridge, or a device of the host. It tells of the network beside only if the domain was
    defined with that.
    """
    for interface in root.iterfind("devices/interface"):
        source = interface.find("source")
        if source is None or interface.get("type") not in _LED_TO or "network" not in source.attrib:
            continue
        for name in _LED_TO[interface.get("type", "")]:
            source.attrib.pop(name, None)
        interface.set("type", "network")


def _drop_unused_features(root: etree._Element) -> None:
    """Leave out the wanted features of firmware that is not wanted, but named by its path.

    libvirt 9 says so of a running domain, and refuses the same at define.
    """
    for boot in root.iterfind("os"):
        for wanted in boot.findall("firmware") if boot.get("firmware") is None else ():
            boot.remove(wanted)


def _fill_listeners(root: etree._Element) -> None:
    """Let screens that state no address listen on loopback, whatever the host's default is."""
    for screen in root.iterfind("devices/graphics"):
        listeners = screen.findall("listen")
        stated = [screen.get("listen"), *(each.get("address") for each in listeners)]
        if any(stated) or any(each.get("type") == "none" for each in listeners):
            continue
        for each in listeners:
            screen.remove(each)
        screen.set("listen", _LOOPBACK)

"""Domain XML that the default policy allows, and what becomes of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from hostile_xml.allowed import document
from hostile_xml.host import FACTS
from proad.domain_parser import parse_domain
from proad.model import DomainDocument
from proad.policy import Profile
from proad.policy.domains.xml import judge_document, judge_xml

GOLDEN = Path(__file__).parents[2] / "golden"
SEEDS = st.integers(min_value=0, max_value=2**32)


def allowed(xml: str) -> str:
    """Return what goes to libvirt of a document that is allowed."""
    violations, made = judge_xml(xml, Profile(), FACTS)
    assert violations == []
    return made


def flat(root: etree._Element) -> object:
    """Return all that libvirt can read in a tree."""
    return (
        root.tag,
        sorted(root.attrib.items()),
        root.text or "",
        [flat(each) for each in root],
    )


@pytest.mark.parametrize("name", ["virt-install-linux", "virt-install-windows11"])
def test_judge_xml_of_virt_install_is_allowed(name: str):
    made = etree.fromstring(allowed((GOLDEN / f"{name}.xml").read_text()))

    assert made.find("devices/emulator") is None
    screens = made.findall("devices/graphics")
    assert [each.get("listen") for each in screens] == ["127.0.0.1"]


@pytest.mark.parametrize("name", ["minimal", "minimal-kvm", "minimal-arm", "rich", "uefi", "bare"])
def test_judge_xml_of_typed_domain_denies_nothing_but_its_places(name: str):
    violations, _ = judge_xml((GOLDEN / f"{name}.xml").read_text(), Profile(), FACTS)

    assert {each.rule for each in violations} <= {"disk file not listed", "device disk"}


@given(SEEDS)
def test_judge_xml_of_what_it_made_makes_the_same(seed: int):
    made = allowed(document(seed))

    assert allowed(made) == made
    again = parse_domain(made)
    assert flat(again.root) == flat(parse_domain(allowed(made)).root)
    assert flat(etree.fromstring(made)) == flat(again.root)
    assert judge_document(DomainDocument(xml=made), Profile(), FACTS) == []


@given(SEEDS, st.data())
def test_judge_xml_with_something_inserted_anywhere_is_denied(seed: int, data: st.DataObject):
    root = etree.fromstring(document(seed))
    places = [each for each in root.iter() if not each.text]
    place = places[data.draw(st.integers(0, len(places) - 1))]
    if data.draw(st.booleans()):
        etree.SubElement(place, "x-inserted")
    else:
        place.set("x-inserted", "x")

    violations, _ = judge_xml(etree.tostring(root, encoding="unicode"), Profile(), FACTS)

    assert "x-inserted" in " ".join(each.field for each in violations)


def test_judge_xml_drops_what_libvirt_chooses_again():
    xml = (
        "<domain type='kvm' id='7'><name>web</name><memory>2048</memory>"
        "<resource><partition>/machine</partition></resource>"
        "<os firmware='efi'><type>hvm</type>"
        "<nvram>/var/lib/libvirt/qemu/nvram/web_VARS.fd</nvram></os>"
        "<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>"
        "<interface type='network'><source network='default' bridge='virbr0'/>"
        "<target dev='vnet3'/></interface>"
        "<serial type='pty'><source path='/dev/pts/3'/></serial></devices>"
        "<seclabel type='dynamic' model='dac' relabel='yes'><label>+1:+1</label></seclabel>"
        "</domain>"
    )

    made = allowed(xml)

    for word in ("virbr0", "vnet3", "pts", "emulator", "seclabel", "nvram", "partition", "id="):
        assert word not in made
    assert "<source network" in made


@pytest.mark.parametrize("graphics", ["vnc", "spice"])
@pytest.mark.parametrize("inner", ["", "<listen type='address'/>"])
def test_judge_xml_of_screen_without_address_listens_on_loopback(graphics: str, inner: str):
    xml = (
        "<domain type='kvm'><name>web</name><memory>2048</memory><devices>"
        f"<graphics type='{graphics}'>{inner}</graphics></devices></domain>"
    )

    assert 'listen="127.0.0.1"' in allowed(xml)


def test_judge_document_ignores_the_metadata():
    xml = (
        "<domain type='kvm'><name>web</name><metadata><x:a xmlns:x='urn:x'><!-- y --><hostdev/>"
        "</x:a></metadata><memory>2048</memory></domain>"
    )

    assert judge_document(DomainDocument(xml=xml), Profile(), FACTS) == []
    assert judge_document(DomainDocument(xml=""), Profile(), FACTS)[0].rule == "unreadable XML"


@pytest.mark.parametrize(
    ("inside", "rules"),
    [
        ("<domain type='kvm'><name>a</name></domain>", []),
        ("", ["unreadable XML"]),
        ("<domain type='kvm'><devices><hostdev/></devices></domain>", ["host device"]),
        (
            "<domain type='kvm'/><inactiveDomain type='kvm'><devices><hostdev/></devices></inactiveDomain>",
            ["host device"],
        ),
        ("<memory snapshot='external'/><domain type='kvm'/>", ["external snapshot"]),
        (
            "<disks><disk name='vda' snapshot='external'/></disks><domain type='kvm'/>",
            ["external snapshot"],
        ),
    ],
)
def test_judge_document_of_snapshot_judges_what_a_revert_brings(inside: str, rules: list[str]):
    found = judge_document(
        DomainDocument(xml=f"<domainsnapshot>{inside}</domainsnapshot>"), Profile(), FACTS
    )

    assert [each.rule for each in found] == rules

from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.create import write_metadata
from proad.drivers.libvirt.xml.metadata import NAMESPACE, Metadata, in_domain
from proad.drivers.libvirt.xml.parser import parse, serialise
from proad.model import ResourceView

NOW = datetime(2026, 5, 6, tzinfo=UTC)
NOTES = Metadata(
    labels={"a": "", "b": " <&\"'> ", "ö\nü": "\tx"},
    create_time=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
)


def domain_with(element: etree._Element) -> etree._Element:
    root = etree.Element("domain")
    etree.SubElement(root, "name").text = "web"
    etree.SubElement(root, "metadata").append(element)
    return parse(serialise(root))


def test_metadata_written_and_read_is_equal():
    assert Metadata.of(in_domain(domain_with(NOTES.element()))) == NOTES
    assert Metadata.of(parse(serialise(NOTES.bare_element()))) == NOTES


def test_metadata_of_nothing_is_empty():
    assert Metadata.of(None) == Metadata()
    assert in_domain(parse("<domain><metadata/></domain>")) is None


def test_write_metadata_into_a_copy_keeps_labels():
    root = domain_with(NOTES.element())
    write_metadata(root, NOW)
    noted = Metadata.of(in_domain(root))
    assert noted.labels == NOTES.labels
    assert noted.create_time == NOW
    assert len(root.findall(f"metadata/{{{NAMESPACE}}}domain")) == 1


def test_write_metadata_keeps_metadata_of_others():
    root = parse("<domain><metadata><x:y xmlns:x='urn:else'/></metadata></domain>")
    write_metadata(root, NOW)
    assert root.find("metadata/{urn:else}y") is not None
    assert in_domain(root) is not None


def test_write_metadata_removes_our_namespace_at_any_depth():
    root = parse(
        f"<domain xmlns:q='{NAMESPACE}'><q:domain/><devices><q:x>a<b/></q:x><disk/></devices>"
        f"<metadata><q:y/><e:y xmlns:e='urn:else'>kept<q:z/> text</e:y>"
        f"<domain xmlns='{NAMESPACE}'><label key='a' value='b'/><volume/></domain>"
        "<q:domain><q:label key='c' value='d'/></q:domain></metadata></domain>"
    )
    write_metadata(root, NOW)
    root = parse(serialise(root))
    (ours,) = root.findall(f"metadata/{{{NAMESPACE}}}*")
    assert list(root.iter(f"{{{NAMESPACE}}}*")) == [ours, *ours]
    assert ours is in_domain(root)
    # The first of them was no notes of ours.
    assert Metadata.of(ours) == Metadata(create_time=NOW)
    assert root.findtext("metadata/{urn:else}y") == "kept text"
    assert root.find("devices/disk") is not None


@pytest.mark.parametrize(
    "notes",
    [
        "<p:domain create_time='yesterday'/>",
        "<p:domain create_time='0001-01-01T00:00:00+14:00'><p:label/></p:domain>",
        "<p:domain>" + "<p:label key='a'>" * 100 + "</p:label>" * 100 + "</p:domain>",
        f"<p:domain><p:label key='a' value='{'x' * 2_000_000}'/></p:domain>",
        "<p:other/><p:domain><p:label key='a' value='b'/></p:domain>",
    ],
)
async def test_list_with_one_domain_of_odd_metadata_shows_all_domains(notes: str, tmp_path: Path):
    host = tmp_path / "host.xml"  # the domains of a test hypervisor
    host.write_text(
        "<node><domain type='test'><name>plain</name><memory>1024</memory>"
        "<os><type>hvm</type></os></domain>"
        "<domain type='test'><name>odd</name><memory>1024</memory>"
        f"<metadata xmlns:p='{NAMESPACE}'>{notes}</metadata><os><type>hvm</type></os></domain></node>"
    )
    async with LibvirtDriver(f"test://{host}") as driver:
        for view in ResourceView:
            listed = {each.name: each for each in await driver.list_resources(view)}
            assert set(listed) == {"plain", "odd"}
            assert listed["odd"].create_time is None

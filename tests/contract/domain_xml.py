"""Obligations of `Domains` with XML from a caller."""

import pytest
from lxml import etree

from contract.announced import Announced
from contract.domains import MEMORY
from contract.harness import SCRAP, DriverHarness
from contract.lifecycle import unknown_id
from proad.errors import AlreadyExistsError, InvalidArgumentError, ResourceNotFoundError
from proad.model import (
    DomainSpec,
    DomainXml,
    Lifetime,
    ResourceKind,
    ResourceState,
    ResourceView,
)
from resource_details import domain_spec_of

# Where a reader that stops at a comment, or takes the last of two, sees another identity
# than libvirt does.
TRICKS = [
    "<name>{n}<!-- -->{ame}</name><uuid>{id}</uuid>",
    "<name>{n}<?pi?>{ame}</name><uuid>{id}</uuid>",
    "<name>{name}</name><uuid>{i}<!-- -->{d}</uuid>",
    "<name>{name}</name><uuid>{i}<?pi?>{d}</uuid>",
    "<name><![CDATA[{n}]]>{ame}</name><uuid><![CDATA[{id}]]></uuid>",
    "<name>{n}<x>{ame}</x></name><uuid>{id}</uuid>",
    "<name>{name}</name><name>other</name><uuid>{id}</uuid>",
    "<name>{name}</name><uuid>{id}</uuid><uuid>11111111-1111-1111-1111-111111111111</uuid>",
    "<name>other</name><name>{name}</name><uuid>{id}</uuid>",
    "<name xmlns='urn:x'>other</name><name>{name}</name><uuid>{id}</uuid>",
    "<x:name xmlns:x='urn:x'>other</x:name><name xml:space='preserve'>{name}</name><uuid>{id}</uuid>",
    "<name> {name}\n</name><uuid>\t{id} </uuid>",
    "<name>{name}</name><uuid>{{{id}}}</uuid>",
    "<name>{name}</name><uuid>urn:uuid:{id}</uuid>",
    "<name>&#x70;{name}</name><!-- --><uuid>{id}</uuid>",
]
AMBIGUOUS = [
    "<!-- --><domain><name>x</name><memory>65536</memory></domain>",
    "<domain><name>x</name><memory>65536</memory></domain><?pi?>",
    "<domain><name>x</name><memory>65536</memory><os><!-- --></os></domain>",
    "<domain><name>x/../y</name><memory>65536</memory></domain>",
    "<domain><name>x y</name><memory>65536</memory></domain>",
    f"<domain><name>{'x' * 201}</name><memory>65536</memory></domain>",
    "<domain><name>x</name><uuid>1</uuid><memory>65536</memory></domain>",
    "<domain><name>x</name><uuid/><memory>65536</memory></domain>",
    "<domain xmlns='urn:x'><name>x</name><memory>65536</memory></domain>",
    "<domain><name>x</name><memory>65536</memory>" + "<a>" * 64 + "</a>" * 64 + "</domain>",
    "<domain><name>x</name><memory>65536</memory>" + "<a/>" * 20_000 + "</domain>",
    "<domain><name>x</name><memory>65536</memory><a "
    + " ".join(f"a{n}=''" for n in range(20_000))
    + "/></domain>",
]


class DomainXmlContract:
    async def test_create_from_xml_of_a_domain_gives_the_same_domain(self, harness: DriverHarness):
        spec = DomainSpec(
            name=harness.new_name(),
            title="A title",
            memory_bytes=MEMORY,
            vcpus=2,
            diskless=True,
            networkless=True,
            labels={"tier": "gold"},
        )
        made = await harness.domains.create_domain(spec)
        xml = await harness.domains.get_domain_xml(made.id)
        root = etree.fromstring(xml)
        assert (root.tag, root.findtext("name")) == ("domain", spec.name)
        assert root.findtext("uuid") == made.id
        await harness.driver.delete(made.id, SCRAP)
        again = await harness.domains.create_domain_from_xml(DomainXml(xml=xml), start=True)
        assert (again.id, again.name, again.labels) == (made.id, made.name, made.labels)
        assert again.state is ResourceState.RUNNING
        assert again.domain is not None
        assert domain_spec_of(again).title == "A title"
        assert (again.domain.memory_bytes, again.domain.vcpus) == (MEMORY, 2)
        await harness.check(again)
        inactive = etree.fromstring(await harness.domains.get_domain_xml(again.id, inactive=True))
        assert inactive.get("id") is None

    @pytest.mark.parametrize("uuid", ["as it was", "in capitals", "none"])
    @pytest.mark.parametrize("lifetime", Lifetime)
    async def test_create_from_xml_reports_its_id(
        self, harness: DriverHarness, uuid: str, lifetime: Lifetime
    ):
        root = etree.fromstring(await self._xml(harness))
        element = root.find("uuid")
        assert element is not None
        assert element.text is not None
        if uuid == "none":
            root.remove(element)
        elif uuid == "in capitals":
            element.text = element.text.upper().replace("-", "")
        announced = Announced()
        source = DomainXml(xml=etree.tostring(root, encoding="unicode"), lifetime=lifetime)
        made = await harness.domains.create_domain_from_xml(source, announce=announced)
        assert announced.marks == [made.id]

    async def test_create_from_xml_transient_is_running(self, harness: DriverHarness):
        xml = await self._xml(harness)
        made = await harness.domains.create_domain_from_xml(
            DomainXml(xml=xml, lifetime=Lifetime.TRANSIENT)
        )
        assert (made.state, made.lifetime) == (ResourceState.RUNNING, Lifetime.TRANSIENT)

    @pytest.mark.parametrize("trick", TRICKS)
    @pytest.mark.parametrize("start", [False, True])
    async def test_create_from_xml_with_a_hidden_identity_changes_no_domain(
        self, harness: DriverHarness, trick: str, *, start: bool
    ):
        existing = await harness.make(start=start)
        before = await harness.domains.get_domain_xml(existing.id, inactive=True)
        name, id = existing.name, existing.id
        xml = (
            "<domain type='test'>"
            + trick.format(name=name, n=name[:3], ame=name[3:], id=id, i=id[:3], d=id[3:])
            + "<memory>65536</memory><os><type>hvm</type></os></domain>"
        )
        with pytest.raises((InvalidArgumentError, AlreadyExistsError)):
            await harness.domains.create_domain_from_xml(DomainXml(xml=xml), start=True)
        after = await harness.driver.get_resource(existing.id, ResourceView.SUMMARY)
        assert after.state is existing.state
        assert await harness.domains.get_domain_xml(existing.id, inactive=True) == before
        assert len(await harness.named(name)) == 1

    @pytest.mark.parametrize("lifetime", Lifetime)
    @pytest.mark.parametrize("start", [False, True])
    @pytest.mark.parametrize("given", Lifetime)
    async def test_create_from_xml_of_an_existing_domain_changes_nothing(
        self, harness: DriverHarness, lifetime: Lifetime, given: Lifetime, *, start: bool
    ):
        existing = await harness.make(start=start, lifetime=lifetime)
        before = await harness.domains.get_domain_xml(existing.id)
        root = etree.fromstring(before)
        etree.SubElement(root, "description").text = "changed"
        source = DomainXml(xml=etree.tostring(root, encoding="unicode"), lifetime=given)
        with pytest.raises(AlreadyExistsError) as caught:
            await harness.domains.create_domain_from_xml(source, start=True)
        assert caught.value.metadata["existing_id"] == existing.id
        assert await harness.domains.get_domain_xml(existing.id) == before

    @pytest.mark.parametrize("what", ["name", "uuid"])
    async def test_create_from_xml_never_changes_an_existing_domain(
        self, harness: DriverHarness, what: str
    ):
        xml = await self._xml(harness)
        root = etree.fromstring(xml)
        existing = await harness.make()
        for tag, value in (("name", existing.name), ("uuid", existing.id)):
            element = root.find(tag)
            assert element is not None
            if tag == what:
                element.text = value
        source = DomainXml(xml=etree.tostring(root, encoding="unicode"))
        announced = Announced()
        with pytest.raises(AlreadyExistsError) as caught:
            await harness.domains.create_domain_from_xml(source, announce=announced)
        assert announced.marks == []
        assert caught.value.metadata["existing_id"] == existing.id
        assert f"another {'UUID' if what == 'uuid' else what}" in str(caught.value)
        after = await harness.driver.get_resource(existing.id)
        assert after == existing

    @pytest.mark.parametrize(
        "xml",
        [
            "not xml",
            "<domain>",
            "<network><name>x</name></network>",
            "<domain type='test'/>",
            "<!DOCTYPE domain [<!ENTITY x 'y'>]><domain><name>&x;</name></domain>",
            "<domain><name>x</name><memory>many</memory></domain>",
            "\ud800",
            *AMBIGUOUS,
        ],
    )
    async def test_create_from_xml_wrong_is_refused(self, harness: DriverHarness, xml: str):
        with pytest.raises(InvalidArgumentError) as caught:
            await harness.domains.create_domain_from_xml(DomainXml(xml=xml), start=True)
        assert {violation.field for violation in caught.value.violations} == {"xml"}
        assert await harness.named("x") == []

    async def test_domain_xml_unknown_id_is_not_found(self, harness: DriverHarness):
        with pytest.raises(ResourceNotFoundError):
            await harness.domains.get_domain_xml(unknown_id(ResourceKind.DOMAIN))

    async def _xml(self, harness: DriverHarness) -> str:
        """Return the XML of a domain that was deleted."""
        spec = DomainSpec(
            name=harness.new_name(), memory_bytes=MEMORY, diskless=True, networkless=True
        )
        made = await harness.domains.create_domain(spec)
        xml = await harness.domains.get_domain_xml(made.id)
        await harness.driver.delete(made.id)
        return xml

"""Obligations of `Domains` towards who judges the XML that domains are made of and run by."""

from collections.abc import Sequence

import pytest
from lxml import etree

from contract.announced import Announced
from contract.domains import MEMORY
from contract.harness import SCRAP, DriverHarness
from proad.errors import PolicyDeniedError, SnapshotNotFoundError, Violation
from proad.model import DomainSpec, DomainXml, Lifetime, Resource
from proad.ports import JudgeXml

DENIED = Violation(rule="test", message="the test denies it")


class Judging:
    """Hears what is judged, and when."""

    def __init__(self, announced: Announced, *, denies: bool = False) -> None:
        self.heard: list[str] = []
        self._announced = announced
        self._denies = denies

    async def __call__(self, xml: str, found: Sequence[Violation]) -> None:
        assert self._announced.marks == []
        assert not found
        self.heard.append(xml)
        if self._denies:
            raise PolicyDeniedError([DENIED], profile="test")


def new_spec(harness: DriverHarness, lifetime: Lifetime) -> DomainSpec:
    return DomainSpec(
        name=harness.new_name(),
        memory_bytes=MEMORY,
        diskless=True,
        networkless=True,
        lifetime=lifetime,
    )


class JudgedXmlContract:
    @pytest.mark.parametrize("typed", [True, False], ids=["typed", "xml"])
    @pytest.mark.parametrize("lifetime", Lifetime)
    async def test_create_is_judged_once_before_it_is_announced(
        self, harness: DriverHarness, lifetime: Lifetime, *, typed: bool
    ):
        announced = Announced()
        judging = Judging(announced)

        spec = new_spec(harness, lifetime)
        made = await self._create(harness, announced, judging, spec, typed=typed)

        (xml,) = judging.heard
        root = etree.fromstring(xml)
        assert (root.tag, root.findtext("name")) == ("domain", made.name)
        assert root.findtext("uuid") == made.id
        assert announced.marks == [made.id]

    @pytest.mark.parametrize("typed", [True, False], ids=["typed", "xml"])
    async def test_create_that_is_denied_makes_nothing(
        self, harness: DriverHarness, *, typed: bool
    ):
        announced = Announced()
        judging = Judging(announced, denies=True)
        spec = new_spec(harness, Lifetime.PERSISTENT)

        with pytest.raises(PolicyDeniedError):
            await self._create(harness, announced, judging, spec, typed=typed)

        assert announced.marks == []
        assert await harness.named(spec.name) == []

    async def test_domain_facts_name_the_type_of_a_new_domain(self, harness: DriverHarness):
        facts = await harness.domains.domain_facts()
        made = await harness.make(start=False)

        root = etree.fromstring(await harness.domains.get_domain_xml(made.id))

        assert root.get("type") in facts.types

    @pytest.mark.parametrize("start", [False, True])
    async def test_domain_documents_are_what_a_start_would_run(
        self, harness: DriverHarness, *, start: bool
    ):
        made = await harness.make(start=start)

        documents = await harness.domains.domain_documents(made.id)

        assert documents
        for document in documents:
            root = etree.fromstring(document.xml)
            assert (root.tag, root.findtext("uuid")) == ("domain", made.id)
            assert document.found == ()
        with pytest.raises(SnapshotNotFoundError):
            await harness.domains.domain_documents(made.id, snapshot="none")

    async def _create(
        self,
        harness: DriverHarness,
        announced: Announced,
        judge: JudgeXml,
        spec: DomainSpec,
        *,
        typed: bool,
    ) -> Resource:
        if typed:
            return await harness.domains.create_domain(spec, announce=announced, judge=judge)
        made = await harness.domains.create_domain(spec)
        xml = await harness.domains.get_domain_xml(made.id, inactive=True)
        await harness.driver.delete(made.id, SCRAP)
        return await harness.domains.create_domain_from_xml(
            DomainXml(xml=xml, lifetime=spec.lifetime), announce=announced, judge=judge
        )

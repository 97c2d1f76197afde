"""Hostile domain XML against the default policy, and against each setting by itself."""

import re
from collections import Counter

import pytest
from lxml import etree

from hostile_xml import Hostile, every
from hostile_xml.host import FACTS
from proad.errors import InvalidArgumentError, Violation
from proad.model import DomainSpec
from proad.policy import Profile, domains
from proad.policy.domains.xml import judge_xml
from relaxed_policy import RELAXED

DOCUMENTS = every()
SMALL = [each for each in DOCUMENTS if len(each.xml) < 10_000]
SETTINGS = sorted({each.setting for each in DOCUMENTS} - {""})


def judged(document: Hostile, profile: Profile) -> list[Violation] | None:
    """Return the violations; None: it is no domain XML."""
    try:
        violations, _ = judge_xml(document.named("web"), profile, FACTS)
    except InvalidArgumentError as error:
        assert {each.field for each in error.violations} == {"xml"}  # noqa: PT017 - one of many
        return None
    return violations


def test_hostile_documents_are_many_and_differ():
    assert len(DOCUMENTS) >= 300
    for part in ("id", "xml"):
        found = Counter(getattr(each, part) for each in DOCUMENTS)
        assert [each for each, times in found.items() if times > 1] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.id)
def test_judge_xml_of_hostile_document_names_rule_and_setting(document: Hostile):
    violations = judged(document, Profile())

    if not document.rule:
        assert violations is None
        return
    assert violations
    assert (violations[0].rule, violations[0].setting) == (document.rule, document.setting)


def test_judge_xml_names_the_hostile_part_by_its_xpath():
    told = 0
    for document in SMALL:
        for violation in judged(document, Profile()) or ():
            element = re.sub(r"/@[^/]*$", "", violation.field).replace("//", "/")
            if ":" in element or "…" in element:
                continue
            root = etree.fromstring(document.named("web").encode())
            assert len(root.getroottree().xpath(element)) == 1, violation.field
            told += 1
    assert told > 500


@pytest.mark.parametrize("setting", SETTINGS)
def test_setting_relaxes_exactly_its_own_rules(setting: str):
    profile = Profile.model_validate({setting: RELAXED[setting]})

    wrong = [
        (document.id, violations)
        for document in SMALL
        if (violations := judged(document, profile)) is not None
        and (
            bool(violations) is (document.setting == setting)
            or any(each.setting == setting for each in violations)
        )
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("settings", "part", "rule"),
    [
        ({"allowed_pools": ("lab",)}, "<source pool='default' volume='x'/>", "pool not listed"),
        ({"max_memory_bytes": 2**20}, "", "too much memory"),
        ({"max_cpus": 0.5}, "", "too many CPUs"),
        ({"allowed_domain_networks": ("lab",)}, "", "network not listed"),
        ({"display_addresses": ()}, "", "display address not listed"),
    ],
)
def test_judge_xml_beyond_a_narrower_profile_is_denied(
    settings: dict[str, object], part: str, rule: str
):
    source = part or "<source pool='lab' volume='x'/>"
    xml = (
        "<domain type='kvm'><name>web</name><memory unit='MiB'>2</memory><vcpu>1</vcpu>"
        "<os><type>hvm</type></os><devices>"
        f"<disk type='volume'><driver type='raw'/>{source}<target dev='vda'/></disk>"
        "<interface type='network'><source network='default'/></interface>"
        "<graphics type='vnc' listen='127.0.0.1'/></devices></domain>"
    )

    assert judge_xml(xml, Profile(), FACTS)[0] == []
    found = judge_xml(xml, Profile.model_validate(settings), FACTS)[0]
    assert [(each.rule, each.setting) for each in found] == [(rule, next(iter(settings)))]


@pytest.mark.parametrize(
    ("settings", "field"),
    [({"max_memory_bytes": 2**25}, "memory_bytes"), ({"max_cpus": 3}, "vcpus")],
)
def test_judge_of_typed_domain_beyond_its_sizes_is_denied(settings: dict[str, object], field: str):
    spec = DomainSpec(name="web", memory_bytes=2**26, vcpus=4)

    assert domains.judge(spec, Profile()) == []
    found = domains.judge(spec, Profile.model_validate(settings))
    assert [(each.field, each.setting) for each in found] == [(field, next(iter(settings)))]


def test_judge_xml_of_file_in_pool_needs_the_pool():
    xml = (
        "<domain type='kvm'><name>web</name><memory>2048</memory><devices><disk type='file'>"
        "<driver type='qcow2'/><source file='/var/lib/libvirt/images/x'/><target dev='vda'/>"
        "</disk></devices></domain>"
    )

    assert judge_xml(xml, Profile(), FACTS)[0] == []
    found = judge_xml(xml, Profile(allowed_pools=("lab",)), FACTS)[0]
    assert [each.rule for each in found] == ["pool not listed"]


@pytest.mark.parametrize(
    ("root", "path", "allowed"),
    [
        ("/data", "/data/x.img", True),
        ("/data", "/data/a/x.img", True),
        ("/data", "/data", False),
        ("/data", "/datax/x.img", False),
        ("/data/a", "/data/x.img", False),
    ],
)
def test_judge_xml_of_file_below_a_root_is_allowed(root: str, path: str, *, allowed: bool):
    xml = (
        "<domain type='kvm'><name>web</name><memory>2048</memory><devices><disk type='file'>"
        f"<driver type='raw'/><source file='{path}'/><target dev='vda'/></disk></devices></domain>"
    )

    found = judge_xml(xml, Profile(disk_roots=(root,)), FACTS)[0]

    assert (found == []) is allowed

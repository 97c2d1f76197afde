"""What libvirt and Docker say of what runs, where they say more than was asked for."""

import pytest

from hostile_containers import Foreign
from hostile_xml.document import whole
from hostile_xml.host import FACTS
from proad.model import DomainDocument
from proad.policy import Profile
from proad.policy.domains.xml import judge_document
from unit.policy.judging import judged_live


@pytest.mark.parametrize(
    ("type", "source"),
    [
        ("bridge", "network='lab' bridge='br0'"),
        ("direct", "network='lab' dev='eth0' mode='bridge'"),
    ],
)
def test_judge_document_of_interface_on_a_bridged_network_judges_the_network(
    type: str, source: str
):
    """As libvirt says of a running domain on a network whose forward mode is "bridge"."""
    card = f"<interface type='{type}'><source {source}/><target dev='vnet0'/></interface>"
    document = DomainDocument(xml=whole(card).replace("@NAME@", "web"))

    assert judge_document(document, Profile(), FACTS) == []
    found = judge_document(document, Profile(allowed_domain_networks=("own",)), FACTS)
    assert [(each.rule, each.setting) for each in found] == [
        ("network not listed", "allowed_domain_networks")
    ]


def test_judge_document_of_interface_beside_the_networks_is_denied():
    card = "<interface type='bridge'><source bridge='br0'/></interface>"
    document = DomainDocument(xml=whole(card).replace("@NAME@", "web"))

    found = judge_document(document, Profile(), FACTS)
    assert {each.setting for each in found} == {"allow_bridges"}


def test_judge_live_of_privileged_container_needs_one_setting():
    """As Docker says of one: it adds what being privileged implies."""
    options = ["no-new-privileges", "label=disable"]
    privileged = Foreign({"Privileged": True, "SecurityOpt": options}, "privileged")
    plain = Foreign({"SecurityOpt": options}, "unconfined")

    assert {each.setting for each in judged_live(privileged, Profile())} == {"allow_privileged"}
    assert judged_live(privileged, Profile(allow_privileged=True)) == []
    assert {each.setting for each in judged_live(plain, Profile())} == {"allow_unconfined"}

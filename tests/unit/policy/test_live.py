"""What libvirt and Docker say of what runs, where they say more than was asked for."""

import pytest

from hostile_containers import Foreign
from hostile_xml.document import whole
from hostile_xml.host import FACTS
from proad.model import DomainDocument
from proad.policy import Profile
from proad.policy.containers import judge_live
from proad.policy.domains.xml import judge_document
from unit.docker.engine_answers import full, inspected
from unit.policy.judging import FINE, around, judged_live


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


@pytest.mark.parametrize("place", ["/proc/self/fd/8", "/sys", "/tmp/../proc/1/root"])
def test_judge_live_of_what_the_image_gives_is_as_of_a_specification(place: str):
    given = {"WorkingDir": place, "Volumes": {place: {}}}
    volume = {"Type": "volume", "Name": "0" * 64, "Destination": place, "Driver": "local"}
    answer = inspected(HostConfig=FINE, Config={"Image": "busybox:1", **given})
    container = full(answer | {"Mounts": [{**volume, "RW": True}]}, image=given).container

    assert container is not None
    assert container.spec is not None
    assert container.spec.working_dir is None
    found = judge_live(container, Profile(), around(Profile()))
    assert {(each.field, each.setting) for each in found} == {
        ("container.working_dir", "allow_unmasked_paths"),
        ("container.mounts[0].target", "allow_unmasked_paths"),
    }
    allowed = Profile(allow_unmasked_paths=True)
    assert judge_live(container, allowed, around(allowed)) == []

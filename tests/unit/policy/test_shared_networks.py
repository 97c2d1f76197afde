"""Networks on which everybody's workloads are, and callers without access to all."""

import pytest

from hostile_xml.host import FACTS
from proad.model import ContainerNetwork, DomainSpec, NetworkSpec
from proad.policy import Policy, Profile, containers, domains
from proad.policy.containers import JoinedContainer, Surroundings
from proad.policy.domains.xml import judge_xml
from unit.policy.judging import spec_of

ID = "8a9340ef8c432eac72471cc07c81ba2682cd06595479fbc6c9485b24af803f8e"
BRIDGE = ContainerNetwork(name="bridge", driver="bridge", is_default=True)
LAB = ContainerNetwork(name="lab", driver="bridge")
AROUND = Surroundings(
    log_driver="json-file",
    networks={
        "bridge": BRIDGE,
        ID: BRIDGE,
        ID[:12]: BRIDGE,
        "docker0": BRIDGE,
        "lab": LAB,
        "ab12": LAB,
    },
    joined={
        "container:on-bridge": JoinedContainer(id="1", is_own=True, networks=("bridge",)),
        "container:on-both": JoinedContainer(id="2", is_own=True, networks=("lab", "bridge")),
        "container:on-lab": JoinedContainer(id="3", is_own=True, networks=("lab",)),
    },
)
TENANT = Profile().of_tenant()
SHARED = {("shared network", "allow_shared_networks")}
CARD = "<interface type='network'><source network='{}'/><model type='virtio'/></interface>"


def judged(networks, profile):
    spec = spec_of({"networks": [{"network": each} for each in networks]})
    spec = containers.with_defaults(spec, profile)
    return {(each.rule, each.setting) for each in containers.judge(spec, profile, AROUND)}


def judged_xml(network, profile):
    xml = (
        "<domain type='kvm'><name>web</name><memory unit='MiB'>2</memory><vcpu>1</vcpu>"
        f"<os><type>hvm</type></os><devices>{CARD.format(network)}</devices></domain>"
    )
    return {(each.rule, each.setting) for each in judge_xml(xml, profile, FACTS)[0]}


@pytest.mark.parametrize(
    "networks",
    [
        *([], ["bridge"], ["default"], [ID], [ID[:12]], ["docker0"], ["lab", "bridge"]),
        *(["lab", ID], ["container:on-bridge"], ["container:on-both"]),
    ],
)
def test_default_network_by_any_name_is_denied_to_tenants_alone(networks):
    assert judged(networks, TENANT) == SHARED
    assert judged(networks, Profile()) == set()
    assert judged(networks, Profile(allow_shared_networks=True).of_tenant()) == set()


@pytest.mark.parametrize("networks", [["lab"], ["none"], ["ab12"], ["container:on-lab"]])
def test_other_network_is_allowed_to_tenants(networks):
    assert judged(networks, TENANT) == set()


def test_default_network_that_a_profile_names_is_denied_to_tenants():
    named = Profile(allowed_container_networks=("bridge",), allowed_domain_networks=("default",))
    assert judged(["bridge"], named.of_tenant()) == judged([], named.of_tenant()) == SHARED
    assert judged_xml("default", named.of_tenant()) == SHARED


@pytest.mark.parametrize("names", [("*", "lab"), ("bridge", "lab", "other"), ("default", "lab")])
def test_tenant_who_names_no_network_gets_the_first_own_one(names):
    profile = Profile(allowed_container_networks=names, allowed_domain_networks=names)
    spec = containers.with_defaults(spec_of({}), profile.of_tenant())
    assert [each.network for each in spec.networks] == ["lab"]
    machine = domains.with_defaults(DomainSpec(name="vm", memory_bytes=2**26), profile.of_tenant())
    if "default" in names or "*" in names:
        assert [each.network for each in machine.networks] == ["lab"]


@pytest.mark.parametrize(
    "spec", [{"networkless": True}, {"networks": (NetworkSpec(network="other"),)}]
)
def test_domain_that_says_where_it_is_stays_there(spec):
    profile = Profile(allowed_domain_networks=("lab",)).of_tenant()
    asked = DomainSpec(name="vm", memory_bytes=2**26, **spec)
    assert domains.with_defaults(asked, profile) is asked


def test_default_network_of_libvirt_is_denied_to_tenants_alone():
    assert judged_xml("default", TENANT) == SHARED
    assert judged_xml("lab", TENANT) == judged_xml("default", Profile()) == set()
    assert judged_xml("default", Profile(allow_shared_networks=True).of_tenant()) == set()


def test_network_by_its_id_is_named_by_its_name():
    """What else it is called may be another's by the time that the engine reads it."""
    spec = spec_of({"networks": [{"network": "ab12"}, {"network": "lab"}]})
    named = containers.with_joined(spec, AROUND)
    assert [each.network for each in named.networks] == ["lab", "lab"]


def test_setting_of_a_profile_counts_within_the_ceiling():
    policy = Policy.model_validate({"allow_shared_networks": True})
    assert policy.effective()["default"].of_tenant().keeps_apart
    both = {"allow_shared_networks": True, "profiles": {"p": {"allow_shared_networks": True}}}
    assert not Policy.model_validate(both).effective()["p"].of_tenant().keeps_apart
    with pytest.raises(ValueError, match="goes beyond the ceiling"):
        Policy.model_validate({"profiles": {"p": {"allow_shared_networks": True}}})

"""Tenants have networks of their own, on every path that attaches something."""

import pytest

from proad.model import Access
from proad.store.teams import TeamStore
from rpc.daemon import BOTH, IMAGE, MEMORY_BYTES, RPCS, refusal
from rpc.tenants import tenant

SPEC = {"image": IMAGE}
XML = (
    "<domain type='kvm'><name>xml</name><memory unit='MiB'>2</memory><vcpu>1</vcpu>"
    "<os><type>hvm</type></os><devices><interface type='network'><source network='default'/>"
    "</interface></devices></domain>"
)


@pytest.fixture
async def strict(serve):
    return await serve(policy={})


@pytest.fixture(params=[Access.OWN, Access.TEAM])
async def tim(request, strict):
    """A user who made a container and a domain while all was to be seen, and is a tenant now."""
    tim = await tenant(strict, "tim", access=Access.ALL)
    await tim.container("web")
    await tim.domain("vm", start=False)
    await tim.call("CreateSnapshot", id="vm", name="first")
    team = await TeamStore(strict.users._database).add("red")
    user = await strict.users.set_access("tim", request.param, team.id)
    strict.versions["tim"] = user.token_version
    return tim


def denied(refused):
    assert refused.reason == "POLICY_DENIED", refused
    assert refused.metadata["rule"] == "shared network"
    assert refused.metadata["setting"] == "allow_shared_networks"


async def test_default_network_is_denied_on_every_path(strict, tim):
    recreate = {"spec": {"env": {"A": "1"}}, "update_mask": {"paths": ["env"]}}
    networked = {
        "spec": {"networks": [{"network": "default"}]},
        "update_mask": {"paths": ["networks"]},
    }
    machine = {"name": "new", "memory_bytes": MEMORY_BYTES}
    await strict.call("StopResource", id="web")
    for name, request in (
        ("CreateContainer", {"spec": SPEC}),
        ("CreateContainer", {"spec": {**SPEC, "networks": [{"network": "bridge"}]}}),
        ("CreateContainer", {"spec": {**SPEC, "networks": [{"network": "container:web"}]}}),
        ("CreateContainer", {"spec": SPEC, "validate_only": True}),
        ("StartResource", {"id": "web"}),
        ("RecreateContainer", {"id": "web", **networked}),
        ("CreateDomain", {"spec": machine}),
        ("CreateDomain", {"spec": {**machine, "networks": [{"network": "default"}]}}),
        ("CreateDomainFromXml", {"xml": XML}),
        ("StartResource", {"id": "vm"}),
        ("StartResource", {"id": "vm", "from_snapshot": "first"}),
        ("RevertSnapshot", {"id": "vm", "name": "first"}),
    ):
        denied(await tim.refused(name, **request))
    denied(await tim.refused("RecreateContainer", id="web", **recreate))
    assert sorted(await strict.names()) == ["vm", "web"]
    for id in ("web", "vm"):
        assert await strict.state(id) == "STOPPED"


async def test_running_container_on_the_default_network_is_stopped_but_not_restarted(strict, tim):
    denied(await tim.refused("RestartResource", id="web"))
    await tim.call("PauseResource", id="web")
    await tim.call("ResumeResource", id="web")
    await tim.call("StopResource", id="web")
    await tim.call("DeleteResource", id="web")


async def test_token_that_is_narrowed_is_a_tenants(strict):
    await strict.container("of-all")
    user = await strict.users.get("ann")
    token = strict.tokens.issue("ann", BOTH, user.token_version, access=Access.OWN).token
    rpc = RPCS["CreateContainer"]
    denied(await refusal(strict.send(rpc, rpc.request(spec=SPEC), token=token)))


async def test_profile_gives_the_network_of_its_own(serve):
    lab = {
        "allowed_container_networks": ["bridge", "lab"],
        "allowed_domain_networks": ["default", "lab"],
    }
    daemon = await serve(policy={"profiles": {"default": lab}})
    tim = await tenant(daemon, "tim")

    box, machine = await tim.container("web"), await tim.domain("vm")

    assert [each.network for each in box.container.networks] == ["lab"]
    assert [each.network for each in machine.domain.networks] == ["lab"]
    of_all = await daemon.container("of-all"), await daemon.domain("vm-of-all", start=False)
    assert [each.network for each in of_all[0].container.networks] == ["bridge"]
    assert [each.network for each in of_all[1].domain.networks] == ["default"]


async def test_setting_allows_it(serve):
    allowed = {"allow_shared_networks": True}
    daemon = await serve(policy={**allowed, "profiles": {"default": allowed}})
    tim = await tenant(daemon, "tim")
    box, machine = await tim.container("web"), await tim.domain("vm", start=True)
    assert [each.network for each in box.container.networks] == ["bridge"]
    assert [each.network for each in machine.domain.networks] == ["default"]

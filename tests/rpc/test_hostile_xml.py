"""Hostile domain XML to a daemon under the default policy, whose engine never hears of it."""

import pytest

from hostile_xml import devices, disks, documents, domains, every, interfaces, values
from rpc.daemon import refusal, running
from rpc.engines import domain_engine
from rpc.policed import READS

MODULES = (documents, domains, devices, disks, interfaces, values)
# What a string of the contract can hold.
SENDABLE = {each.id for each in every() if "\ud800" not in each.xml}


@pytest.fixture
def machines():
    return domain_engine()


async def fault(daemon, document, **options):
    """Return what is wrong with the refusal of a document; empty: nothing."""
    call = daemon.call("CreateDomainFromXml", xml=document.named("web"), start=True, **options)
    refused = await refusal(call)
    if not document.rule:
        right = refused.reason == "INVALID_ARGUMENT" and [*refused.fields] == ["xml"]
    else:
        right = (
            refused.reason == "POLICY_DENIED"
            and refused.metadata["rule"] == document.rule
            and refused.metadata["setting"] == document.setting
        )
    return "" if right else f"{document.id}: {refused.reason} {refused.metadata}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("module", MODULES, ids=lambda each: each.__name__.rpartition(".")[2])
async def test_create_from_hostile_xml_is_refused_before_the_engine(serve, machines, quick, module):
    daemon = await serve(("local", machines), timing=quick, policy={})
    machines.asked.clear()
    wrong = []
    for number, document in enumerate(each for each in module.hostile() if each.id in SENDABLE):
        options = {"validate_only": True} if number % 2 else {}
        wrong.append(await fault(daemon, document, **options))

    assert [*filter(None, wrong)] == []
    assert set(machines.asked) <= READS
    assert await daemon.names() == []


async def test_create_from_allowed_xml_is_made_and_can_be_made_again(serve, machines, quick):
    daemon = await serve(("local", machines), timing=quick, policy={})
    xml = (
        "<domain type='kvm'><name>web</name><memory>65536</memory><os><type>hvm</type></os>"
        "<devices><graphics type='vnc'/></devices></domain>"
    )

    made = (await daemon.call("CreateDomainFromXml", xml=xml, start=True)).resource
    assert made.domain.graphics.listen == "127.0.0.1"
    own = (await daemon.call("GetDomainXml", id=made.id)).xml
    await daemon.call("DeleteResource", id=made.id, force=True)
    again = (await daemon.call("CreateDomainFromXml", xml=own, start=True)).resource
    assert again.id == made.id


async def test_create_domain_with_network_that_is_not_listed_is_denied(serve, machines, quick):
    daemon = await serve(
        ("local", machines), timing=quick, policy={"allowed_domain_networks": ["lab"]}
    )
    spec = {"name": "web", "memory_bytes": 2**26, "networks": [{"network": "default"}]}

    refused = await refusal(daemon.call("CreateDomain", spec=spec))

    assert refused.reason == "POLICY_DENIED"
    assert refused.metadata["setting"] == "allowed_domain_networks"
    assert await daemon.names() == []


async def test_start_and_revert_under_a_narrower_policy_are_denied(
    serve, settings, machines, quick
):
    async with running(settings(policy={}), [("local", machines)], timing=quick) as daemon:
        made = await daemon.domain("web", start=False, networks=[{"network": "default"}])
        await daemon.call("CreateSnapshot", id="web", name="first")
    id = made.id
    narrower = await serve(
        ("local", machines),
        timing=quick,
        policy={
            "allowed_domain_networks": ["lab"],
            "foreign": "full",
            "profiles": {"default": {"foreign": "full"}},
        },
    )

    for name, request in (
        ("StartResource", {"id": id}),
        ("StartResource", {"id": id, "from_snapshot": "first"}),
        ("RevertSnapshot", {"id": id, "name": "first"}),
    ):
        refused = await refusal(narrower.call(name, **request))
        assert refused.metadata.get("setting") == "allowed_domain_networks", name
    await narrower.call("DeleteResource", id=id, force=True, delete_snapshots=True)

"""A tenant and libvirt's own network, by every name and way that there is."""

from collections.abc import AsyncIterator

import libvirt
import pytest

from integration.core_harness import CoreHarness
from integration.libvirt.guests import Guests
from proad.core.actor import act_for
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import InvalidArgumentError, PolicyDeniedError
from proad.model import Access, DomainSpec, DomainXml, NetworkSpec, StartOptions, Subject
from proad.policy import Policy

pytestmark = pytest.mark.libvirt

XML = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64'>hvm</type></os><devices><interface type='network'>
<source network='{network}'/></interface></devices></domain>"""


@pytest.fixture
async def core(driver: LibvirtDriver) -> AsyncIterator[CoreHarness]:
    act_for(Subject("tim", user_id="tim", access=Access.OWN))
    async with CoreHarness.of(driver, policy=Policy()) as core:
        yield core


async def test_default_network_is_denied_and_nothing_is_defined(
    core: CoreHarness, guests: Guests, raw: libvirt.virConnect
):
    name = f"{guests.prefix}-shared"
    typed = DomainSpec(name=name, memory_bytes=2**25)
    cards = (NetworkSpec(network="default"),)

    for spec in (typed, DomainSpec(name=name, memory_bytes=2**25, networks=cards)):
        with pytest.raises(PolicyDeniedError) as denied:
            await core.provisioning.create_domain(spec, start=True, host="")
        assert denied.value.metadata["rule"] == "shared network"
    source = DomainXml(xml=XML.format(name=name, network="default"))
    with pytest.raises(PolicyDeniedError) as denied:
        await core.provisioning.create_domain_from_xml(source, start=True, host="")
    assert denied.value.metadata["setting"] == "allow_shared_networks"
    # libvirt looks for a network by its name alone.
    uuid = raw.networkLookupByName("default").UUIDString()
    source = DomainXml(xml=XML.format(name=name, network=uuid))
    with pytest.raises(InvalidArgumentError, match=uuid):
        await core.provisioning.create_domain_from_xml(source, start=True, host="")
    assert not [each for each in raw.listAllDomains() if each.name().startswith(guests.prefix)]


async def test_domain_of_before_is_not_started(
    core: CoreHarness, guests: Guests, raw: libvirt.virConnect
):
    name = f"{guests.prefix}-before"
    act_for(Subject("tim", user_id="tim"))
    spec = DomainSpec(name=name, memory_bytes=2**25)
    made = await core.provisioning.create_domain(spec, start=False, host="")
    act_for(Subject("tim", user_id="tim", access=Access.OWN))

    with pytest.raises(PolicyDeniedError) as denied:
        await core.lifecycle.start(made.id, StartOptions())

    assert denied.value.metadata["rule"] == "shared network"
    assert not raw.lookupByName(name).isActive()

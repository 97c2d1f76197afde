"""A domain with the UUID of an earlier one."""

import libvirt
import pytest

from proad.drivers.libvirt import LibvirtDriver
from proad.model import DomainSpec, DomainXml, ResourceView


async def test_create_with_the_uuid_of_a_deleted_domain_shows_nothing_of_it_without_events(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(libvirt.virConnect, "domainEventRegisterAny", lambda *_: 0)
    async with LibvirtDriver("test:///default") as driver:
        spec = DomainSpec(
            name="proa-test-anew", memory_bytes=16 << 20, vcpus=1, diskless=True, networkless=True
        )
        before = await driver.create_domain(spec)
        xml = await driver.get_domain_xml(before.id)
        await driver.delete(before.id)

        made = await driver.create_domain_from_xml(DomainXml(xml=xml))

        summary = await driver.get_resource(made.id, ResourceView.SUMMARY)
        assert summary.id == before.id
        assert summary.create_time == made.create_time != before.create_time
        await driver.delete(made.id)

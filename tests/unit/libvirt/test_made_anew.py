"""A domain that has the UUID of one that was there before."""

from proad.drivers.libvirt import LibvirtDriver
from proad.model import DomainSpec, DomainXml, ResourceView


async def test_nothing_is_left_of_the_one_before_where_events_are_late(monkeypatch):
    async with LibvirtDriver("test:///default") as driver:
        await driver.probe()
        monkeypatch.setattr(driver._connection, "_on_event", lambda _: None)
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

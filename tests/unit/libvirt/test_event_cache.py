import uuid

import libvirt
import pytest

from proad.drivers.libvirt.event_cache import EventCache
from proad.drivers.libvirt.events import start_event_loop


@pytest.fixture
def domain():
    start_event_loop()
    connection = libvirt.open("test:///default")
    name = f"proa-test-{uuid.uuid4()}"
    yield connection.defineXML(
        f"<domain type='test'><name>{name}</name><memory>1024</memory><os><type>hvm</type></os></domain>"
    )
    connection.lookupByName(name).undefine()
    connection.close()


def title(domain: libvirt.virDomain) -> str:
    return str(domain.XMLDesc()).partition("<title>")[2].partition("<")[0]


def test_it_is_good_until_an_event(domain: libvirt.virDomain):
    cache = EventCache(title)
    assert cache.get(domain) == ""
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "new", None, None)
    assert cache.get(domain) == ""
    cache.forget(domain.UUIDString())
    assert cache.get(domain) == "new"


@pytest.mark.parametrize("how", ["all", "gone"])
def test_it_ends(domain: libvirt.virDomain, how: str):
    cache = EventCache(title)
    cache.get(domain)
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "new", None, None)
    cache.forget_all() if how == "all" else cache.keep_only([])
    assert cache.get(domain) == "new"


def test_a_change_while_it_is_read_is_not_missed(domain: libvirt.virDomain):
    def read(domain: libvirt.virDomain) -> str:
        seen = title(domain)
        if not seen:
            domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "new", None, None)
            cache.forget(domain.UUIDString())  # the event overtakes the answer
        return seen

    cache = EventCache(read)
    assert cache.get(domain) == ""
    assert cache.get(domain) == "new"


def test_what_a_call_made_of_it_counts_more_than_what_was_read_meanwhile(
    domain: libvirt.virDomain,
):
    cache = EventCache(title)
    id = domain.UUIDString()
    cache.get(domain)
    begun = cache.changes
    cache.change(id, "made", begun)
    cache.put(id, "read before it was made", begun)
    assert cache.get(domain) == "made"


def test_what_a_call_made_of_it_may_be_old_when_more_has_happened(domain: libvirt.virDomain):
    cache = EventCache(title)
    id = domain.UUIDString()
    begun = cache.changes
    cache.forget(id)
    cache.put(id, "read before it was made", cache.changes)
    cache.change(id, "made", begun)
    assert cache.get(domain) == ""  # asked again


def test_other_domains_events_cost_nothing(domain: libvirt.virDomain):
    cache = EventCache(title)
    begun = cache.changes
    cache.forget("other")
    cache.put(domain.UUIDString(), "read", begun)
    assert cache.get(domain) == "read"


def test_what_was_being_read_of_one_that_is_gone_is_not_kept(domain: libvirt.virDomain):
    cache = EventCache(title)
    id = domain.UUIDString()
    begun = cache.changes
    cache.forget(id)
    cache.keep_only([])  # nothing is kept of its changes either
    cache.put(id, "old", begun)
    assert cache.get(domain) == ""

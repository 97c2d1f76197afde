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


def test_get_before_an_event_returns_the_cached_value(domain: libvirt.virDomain):
    cache = EventCache(title)
    assert cache.get(domain) == ""
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "new", None, None)
    assert cache.get(domain) == ""
    cache.forget(domain.UUIDString())
    assert cache.get(domain) == "new"


@pytest.mark.parametrize("how", ["all", "gone"])
def test_get_after_an_event_reads_again(domain: libvirt.virDomain, how: str):
    cache = EventCache(title)
    cache.get(domain)
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "new", None, None)
    cache.forget_all() if how == "all" else cache.keep_only([])
    assert cache.get(domain) == "new"


def test_put_after_a_change_during_the_read_stores_nothing(domain: libvirt.virDomain):
    def read(domain: libvirt.virDomain) -> str:
        seen = title(domain)
        if not seen:
            domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "new", None, None)
            cache.forget(domain.UUIDString())  # the event overtakes the answer
        return seen

    cache = EventCache(read)
    assert cache.get(domain) == ""
    assert cache.get(domain) == "new"


def test_change_during_a_read_wins_over_the_value_read(
    domain: libvirt.virDomain,
):
    cache = EventCache(title)
    id = domain.UUIDString()
    cache.get(domain)
    begun = cache.changes
    cache.change(id, "made", begun)
    cache.put(id, "read before it was made", begun)
    assert cache.get(domain) == "made"


def test_change_after_another_change_stores_nothing(domain: libvirt.virDomain):
    cache = EventCache(title)
    id = domain.UUIDString()
    begun = cache.changes
    cache.forget(id)
    cache.put(id, "read before it was made", cache.changes)
    cache.change(id, "made", begun)
    assert cache.get(domain) == ""  # asked again


def test_forget_of_another_domain_keeps_the_value(domain: libvirt.virDomain):
    cache = EventCache(title)
    begun = cache.changes
    cache.forget("other")
    cache.put(domain.UUIDString(), "read", begun)
    assert cache.get(domain) == "read"


def test_put_after_the_domain_has_gone_stores_nothing(domain: libvirt.virDomain):
    cache = EventCache(title)
    id = domain.UUIDString()
    begun = cache.changes
    cache.forget(id)
    cache.keep_only([])  # nothing is kept of its changes either
    cache.put(id, "old", begun)
    assert cache.get(domain) == ""

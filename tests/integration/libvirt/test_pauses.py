"""Own and external pauses: each is known after its event, and refused rightly."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import libvirt
import pytest

from event_queue import EventQueue
from integration.libvirt.conftest import URI
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.timing import LibvirtTiming
from proad.errors import StateError
from proad.model import Resource, ResourceState, ResourceView

pytestmark = pytest.mark.libvirt

SUMMARY = ResourceView.SUMMARY
Domains = tuple[libvirt.virDomain, libvirt.virDomain]
PAUSED, RUNNING = ResourceState.PAUSED, ResourceState.RUNNING
LONG = 30.0


@pytest.fixture
async def driver(raw: libvirt.virConnect) -> AsyncIterator[LibvirtDriver]:
    # No polling besides the test's own calls, and each lookup is made once.
    async with LibvirtDriver(
        URI, virt_type="qemu", threads=1, timing=LibvirtTiming(poll_interval=timedelta(hours=1))
    ) as driver:
        yield driver


@pytest.fixture(scope="module")
def running(raw: libvirt.virConnect) -> Iterator[Domains]:
    name = f"proa-test-{secrets.token_hex(4)}"
    one, other = (
        raw.createXML(
            f"<domain type='qemu'><name>{name}-{number}</name>"
            "<memory unit='MiB'>64</memory><vcpu>1</vcpu>"
            "<os><type arch='x86_64'>hvm</type></os></domain>"
        )
        for number in range(2)
    )
    yield one, other
    one.destroy()
    other.destroy()


@pytest.fixture
def domains(running: Domains) -> Domains:
    """Two domains that run their firmware."""
    if running[0].state()[0] == libvirt.VIR_DOMAIN_PAUSED:
        running[0].resume()
    return running


@pytest.fixture
def domain(domains: Domains) -> libvirt.virDomain:
    return domains[0]


class EventCounter:
    """Counts the events of one domain; an event of the other one follows all before it."""

    def __init__(self, events: EventQueue, domains: Domains) -> None:
        self._events = events
        self._id = domains[0].UUIDString()
        self._marker = domains[1]

    async def count_new(self) -> int:
        """Return the number of events that have come since the last call."""
        title = secrets.token_hex(4)
        self._marker.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, title, None, None)
        number = 0
        async with asyncio.timeout(LONG):
            async for event in self._events:
                number += event.id == self._id
                if event.id == self._marker.UUIDString():
                    break
        return number


async def test_pause_and_resume_return_listed_summary(
    driver: LibvirtDriver, domain: libvirt.virDomain
):
    id = domain.UUIDString()

    async def listed() -> Resource:
        (found,) = [each for each in await driver.list_resources() if each.id == id]
        return found

    before = await listed()
    paused = await driver.pause(id)
    assert paused.state is PAUSED
    assert paused == await listed()
    assert await driver.resume(id) == before == await listed()


async def test_resume_after_another_resumed_is_refused(driver: LibvirtDriver, domains: Domains):
    domain = domains[0]
    id = domain.UUIDString()
    async with EventQueue.of(driver) as queue:
        events = EventCounter(queue, domains)
        for _ in range(20):
            await driver.pause(id)
            await events.count_new()
            await asyncio.to_thread(domain.resume)
            assert await events.count_new() > 0
            assert (await driver.get_resource(id, SUMMARY)).state is RUNNING
            with pytest.raises(StateError):
                await driver.resume(id)


async def test_pause_after_another_paused_is_refused(driver: LibvirtDriver, domains: Domains):
    domain = domains[0]
    id = domain.UUIDString()
    async with EventQueue.of(driver) as queue:
        events = EventCounter(queue, domains)
        await driver.pause(id)
        await driver.resume(id)
        await events.count_new()
        await asyncio.to_thread(domain.suspend)
        assert await events.count_new() > 0
        with pytest.raises(StateError):
            await driver.pause(id)

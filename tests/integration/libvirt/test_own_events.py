"""Pauses whose caller knows the state before: one call, no event, and nothing missed."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import libvirt
import pytest

from event_queue import EventQueue
from eventually import eventually
from integration.libvirt.conftest import URI
from integration.libvirt.counted import Counted
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import StateError
from proad.model import EngineEvent, Resource, ResourceState, ResourceView

pytestmark = pytest.mark.libvirt

SUMMARY = ResourceView.SUMMARY
Domains = tuple[libvirt.virDomain, libvirt.virDomain]
PAUSED, RUNNING = ResourceState.PAUSED, ResourceState.RUNNING
LONG = 30.0


@pytest.fixture
async def driver(raw: libvirt.virConnect) -> AsyncIterator[LibvirtDriver]:
    # Nothing is asked but what the test does, and what is looked up is so once.
    async with LibvirtDriver(
        URI, virt_type="qemu", threads=1, poll_interval=timedelta(hours=1)
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
    """Two that run their firmware."""
    if running[0].state()[0] == libvirt.VIR_DOMAIN_PAUSED:
        running[0].resume()
    return running


@pytest.fixture
def domain(domains: Domains) -> libvirt.virDomain:
    return domains[0]


class Heard:
    """The hints of one domain; an event of the other tells that all before it have come."""

    def __init__(
        self,
        events: AsyncIterator[EngineEvent],
        domains: Domains,
    ) -> None:
        self._hints: list[str] = []
        self._one = domains[0].UUIDString()
        self._mark = domains[1]
        self._listening = asyncio.create_task(self._listen(events))

    async def by_now(self) -> int:
        """Count the hints that have come since the last time."""
        self._hints = [id for id in self._hints if id == self._one]
        title = secrets.token_hex(4)
        self._mark.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, title, None, None)

        async def marked() -> bool:
            return self._mark.UUIDString() in self._hints

        await eventually(marked, within=LONG)
        count = self._hints.count(self._one)
        self._hints.clear()
        return count

    async def _listen(self, events: AsyncIterator[EngineEvent]) -> None:
        async for event in events:
            self._hints.append(event.id)


async def test_it_is_one_call_and_no_news(
    driver: LibvirtDriver, domains: Domains, monkeypatch: pytest.MonkeyPatch
):
    domain = domains[0]
    id = domain.UUIDString()
    async with EventQueue.of(driver) as events:
        heard = Heard(events, domains)
        now = await driver.get_resource(id, SUMMARY)
        now = await driver.resume(id, before=await driver.pause(id, before=now))
        await heard.by_now()
        counted = Counted(libvirt.libvirtmod)
        with monkeypatch.context() as patch:
            patch.setattr(libvirt, "libvirtmod", counted)
            paused = await driver.pause(id, before=now)
            running = await driver.resume(id, before=paused)
        assert counted.calls == ["virDomainSuspend", "virDomainResume"]
        assert (paused.state, running.state) == (PAUSED, RUNNING)
        assert await heard.by_now() == 0
        # Who does not say what it knows is told.
        await driver.pause(id)
        assert await heard.by_now() > 0


async def test_it_says_what_a_list_says(driver: LibvirtDriver, domain: libvirt.virDomain):
    id = domain.UUIDString()

    async def listed() -> Resource:
        (found,) = [each for each in await driver.list_resources() if each.id == id]
        return found

    before = await listed()
    paused = await driver.pause(id, before=before)
    assert paused == await listed()
    assert await driver.resume(id, before=paused) == before == await listed()


async def test_what_another_does_right_after_it_is_told(driver: LibvirtDriver, domains: Domains):
    domain = domains[0]
    id = domain.UUIDString()
    async with EventQueue.of(driver) as events:
        heard = Heard(events, domains)
        now = await driver.get_resource(id, SUMMARY)
        for _ in range(20):
            paused = await driver.pause(id, before=now)
            await asyncio.to_thread(domain.resume)
            assert await heard.by_now() > 0
            now = await driver.get_resource(id, SUMMARY)
            assert now.state is RUNNING
            with pytest.raises(StateError):
                await driver.resume(id, before=paused)
            assert await heard.by_now() == 0


async def test_what_is_paused_already_is_refused_whatever_the_caller_knows(
    driver: LibvirtDriver, domains: Domains
):
    domain = domains[0]
    id = domain.UUIDString()
    async with EventQueue.of(driver) as events:
        heard = Heard(events, domains)
        now = await driver.get_resource(id, SUMMARY)
        await driver.resume(id, before=await driver.pause(id, before=now))
        await asyncio.to_thread(domain.suspend)
        assert await heard.by_now() > 0
        with pytest.raises(StateError):
            await driver.pause(id, before=now)


async def test_what_fails_hands_on_what_it_kept_back(
    driver: LibvirtDriver, domains: Domains, monkeypatch: pytest.MonkeyPatch
):
    domain = domains[0]
    id = domain.UUIDString()
    other = domain.suspend

    def overtaken(_self: libvirt.virDomain) -> int:
        other()
        raise libvirt.libvirtError("it says no")

    async with EventQueue.of(driver) as events:
        heard = Heard(events, domains)
        now = await driver.get_resource(id, SUMMARY)
        with monkeypatch.context() as patch:
            patch.setattr(libvirt.virDomain, "suspend", overtaken)
            with pytest.raises(StateError):
                await driver.pause(id, before=now)
        assert await heard.by_now() > 0
        assert (await driver.get_resource(id, SUMMARY)).state is PAUSED

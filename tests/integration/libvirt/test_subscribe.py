"""Events of a subscription for changes that virsh makes to a real domain."""

import asyncio
import secrets
import statistics
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import libvirt
import pytest

from event_queue import EventQueue
from eventually import eventually
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.xml.metadata import NAMESPACE
from proad.model import EngineEvent, Resource, ResourceState, ResourceView

pytestmark = pytest.mark.libvirt

URI = "qemu:///system"
# Seconds; another test checks how soon an event comes.
SOON = 30.0
SUMMARY = ResourceView.SUMMARY


async def virsh(*arguments: str) -> None:
    """Run a virsh command, external to the driver."""
    command = ["virsh", "-q", "-c", URI, *arguments]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=30, capture_output=True)


async def hear(
    events: AsyncIterator[EngineEvent], id: str, *, seconds: float = SOON, **flags: bool
) -> None:
    """Wait for an event of one domain with at least these flags."""
    async with asyncio.timeout(seconds):
        async for event in events:
            if event.id == id and all(getattr(event, name) for name in flags):
                return


async def quiet(events: AsyncIterator[EngineEvent], id: str, *, seconds: float = 0.3) -> None:
    """Drop the events that are still under way, until none has come for a while."""
    while True:
        try:
            await hear(events, id, seconds=seconds)
        except TimeoutError:
            return


@pytest.fixture
async def blank(raw: libvirt.virConnect, tmp_path: Path) -> AsyncIterator[Path]:
    """The XML file of an undefined domain that gets no further than its firmware."""
    name = f"proa-test-{secrets.token_hex(4)}"
    file = tmp_path / name
    file.write_text(
        f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory>"
        "<currentMemory unit='MiB'>48</currentMemory><vcpu>1</vcpu>"
        "<os><type arch='x86_64'>hvm</type></os></domain>"
    )
    yield file
    for left in raw.listAllDomains():
        if left.name().startswith(name):
            persistent = left.isPersistent()
            if left.isActive():
                left.destroy()
            if persistent:
                left.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)


async def test_subscribe_over_a_domain_life_reports_each_step(
    driver: LibvirtDriver, raw: libvirt.virConnect, blank: Path
):
    name = blank.name
    id = ""

    async def state() -> ResourceState:
        return (await driver.get_resource(id, SUMMARY)).state

    async with EventQueue.of(driver) as events:
        await virsh("define", str(blank))
        id = raw.lookupByName(name).UUIDString()
        await hear(events, id, reconfigured=True)
        await virsh("start", name)
        await hear(events, id)
        assert await state() is ResourceState.RUNNING
        await quiet(events, id)
        await virsh("suspend", name)
        await hear(events, id)
        assert await state() is ResourceState.PAUSED
        await virsh("resume", name)
        await hear(events, id)
        assert await state() is ResourceState.RUNNING
        labels = "<domain><label key='a' value='1'/></domain>"
        key = ("--key", "proa", "--set", labels)
        await virsh("metadata", name, NAMESPACE, *key, "--live", "--config")
        await hear(events, id, reconfigured=True)
        assert (await driver.get_resource(id, SUMMARY)).labels == {"a": "1"}
        await virsh("desc", name, "--live", "--title", "new")
        await hear(events, id, reconfigured=True)
        await virsh("managedsave", name)
        await hear(events, id, ended=True)
        assert await state() is ResourceState.SAVED
        await virsh("start", name)
        await quiet(events, id)
        await virsh("destroy", name)
        await hear(events, id, ended=True)
        assert await state() is ResourceState.STOPPED
        await virsh("domrename", name, f"{name}-2")
        await hear(events, id, reconfigured=True)
        assert (await driver.get_resource(id, SUMMARY)).name == f"{name}-2"
        await quiet(events, id)
        await virsh("undefine", f"{name}-2")
        await hear(events, id, removed=True)


async def test_subscribe_when_domain_changes_reports_at_once(
    driver: LibvirtDriver, raw: libvirt.virConnect, blank: Path
):
    domain = raw.createXML(blank.read_text())
    waits = []
    async with EventQueue.of(driver) as events:
        for number in range(40):
            act = domain.resume if number % 2 else domain.suspend
            await asyncio.to_thread(act)
            begin = time.monotonic()
            await hear(events, domain.UUIDString())
            waits.append(time.monotonic() - begin)
    # A busy machine may delay some events; polling would take a second for each.
    assert statistics.median(waits) < 0.05, waits
    assert sorted(waits)[-3] < 0.5, waits


async def test_subscribe_without_libvirt_event_polls_change(
    driver: LibvirtDriver, raw: libvirt.virConnect, blank: Path
):
    name = blank.name
    raw.defineXML(blank.read_text())
    id = raw.lookupByName(name).UUIDString()

    async def found(events: AsyncIterator[EngineEvent]) -> Resource:
        await hear(events, id)
        return await driver.get_resource(id, SUMMARY)

    async with EventQueue.of(driver) as events:
        before = await driver.get_resource(id, SUMMARY)
        assert before.domain is not None
        await quiet(events, id)
        await virsh("autostart", name)
        shown = await found(events)
        assert shown.domain == replace(before.domain, autostart=True)
        await virsh("autostart", "--disable", name)
        assert await found(events) == before
        await virsh("setmem", name, "32M", "--config")
        shown = await found(events)
        assert shown.domain == replace(before.domain, memory_bytes=32 * 2**20)
        await virsh("setvcpus", name, "2", "--config", "--maximum")
        await virsh("setvcpus", name, "2", "--config")
        shown = await found(events)
        assert shown.domain == replace(before.domain, memory_bytes=32 * 2**20, vcpus=2)
        await virsh("start", name)
        await virsh("managedsave", name)
        await quiet(events, id)
        # A change that is undone between two polls cannot be found.
        await virsh("autostart", name)
        assert (await found(events)).state is ResourceState.SAVED
        await quiet(events, id)
        await virsh("managedsave-remove", name)
        assert (await found(events)).state is ResourceState.STOPPED


async def test_subscribe_when_vcpus_hotplugged_polls_change(
    driver: LibvirtDriver, raw: libvirt.virConnect, blank: Path
):
    room = blank.read_text().replace("<vcpu>1<", "<vcpu current='1'>2<")
    domain = raw.createXML(room)
    async with EventQueue.of(driver) as events:
        (listed,) = [
            each for each in await driver.list_resources() if each.id == domain.UUIDString()
        ]
        assert listed.domain is not None
        assert listed.domain.vcpus == 1
        await quiet(events, listed.id)
        await virsh("setvcpus", blank.name, "2", "--live")
        await hear(events, listed.id)
        shown = await driver.get_resource(listed.id, SUMMARY)
        assert shown.domain == replace(listed.domain, vcpus=2)


async def test_subscribe_when_closed_leaves_nothing(driver: LibvirtDriver):
    await driver.probe()
    before = len(asyncio.all_tasks())
    for _ in range(50):
        async with EventQueue.of(driver):
            pass

    async def ended() -> bool:
        return len(asyncio.all_tasks()) <= before

    await eventually(ended)

"""What a subscription tells of what virsh does to a real domain."""

import asyncio
import secrets
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import libvirt
import pytest

from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.metadata import NAMESPACE
from proad.model import EngineEvent, ResourceState, ResourceView

pytestmark = pytest.mark.libvirt

URI = "qemu:///system"
# Seconds: of an event, and of what has none and is found by looking.
SOON = 2.0
SUMMARY = ResourceView.SUMMARY


async def virsh(*arguments: str) -> None:
    """Do something behind the driver's back."""
    command = ["virsh", "-q", "-c", URI, *arguments]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=30, capture_output=True)


async def hear(
    events: AsyncIterator[EngineEvent], id: str, *, seconds: float = SOON, **flags: bool
) -> None:
    """Wait for a hint of one domain with at least these flags."""
    async with asyncio.timeout(seconds):
        async for event in events:
            if event.id == id and all(getattr(event, name) for name in flags):
                return


async def quiet(events: AsyncIterator[EngineEvent], id: str, *, seconds: float = 0.3) -> None:
    """Drop the hints that are still under way, until none has come for a while."""
    while True:
        try:
            await hear(events, id, seconds=seconds)
        except TimeoutError:
            return


@pytest.fixture
async def blank(raw: libvirt.virConnect, tmp_path: Path) -> AsyncIterator[Path]:
    """The XML file of a domain that comes no further than its firmware, not defined yet."""
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


async def test_each_step_of_a_life(driver: LibvirtDriver, raw: libvirt.virConnect, blank: Path):
    name = blank.name

    async def state() -> ResourceState:
        return (await driver.get_resource(id, SUMMARY)).state

    async with driver.subscribe() as events, driver.subscribe() as second:
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
        # Whoever did not read all the while hears of all that at once.
        assert await anext(second) == EngineEvent(
            id=id, removed=True, ended=True, reconfigured=True
        )


async def test_a_change_is_told_at_once(
    driver: LibvirtDriver, raw: libvirt.virConnect, blank: Path
):
    domain = raw.createXML(blank.read_text())
    waits = []
    async with driver.subscribe() as events:
        for number in range(40):
            act = domain.resume if number % 2 else domain.suspend
            await asyncio.to_thread(act)
            begin = time.monotonic()
            await hear(events, domain.UUIDString())
            waits.append(time.monotonic() - begin)
    assert sorted(waits)[-3] < 0.05, waits

"""Attribution on a real libvirtd: which changes are a caller's, and which are external."""

import asyncio
from datetime import timedelta

import libvirt
import pytest
from lxml import etree

from integration.core_harness import CoreHarness
from integration.libvirt.guests import SCRAP, Guests
from proad.core.actor import act_for
from proad.drivers.libvirt import LibvirtDriver
from proad.model import (
    DomainXml,
    Lifetime,
    RestartMode,
    RestartOptions,
    RevertState,
    SnapshotSpec,
    StartOptions,
    StopMode,
    StopOptions,
    Subject,
)
from updating import domain_update

pytestmark = pytest.mark.libvirt

GRACE = timedelta(seconds=60)
FORCE = StopOptions(mode=StopMode.FORCE)
SAVE = StopOptions(mode=StopMode.SAVE)


@pytest.mark.timeout(600)
async def test_attribution_of_verbs_is_their_caller(driver: LibvirtDriver, guests: Guests):
    act_for(Subject("ann"))
    async with CoreHarness.of(driver) as core:
        made = await core.provisioning.create_domain(guests.spec(), start=True, host="")
        id, life, snapshots = made.id, core.lifecycle, core.snapshots
        await guests.ready(id)
        await snapshots.create(id, SnapshotSpec(name="running"))
        await life.pause(id)
        await life.resume(id)
        for mode in (RestartMode.FORCE, RestartMode.GRACEFUL):
            await life.restart(id, RestartOptions(mode=mode, grace_period=GRACE))
            await guests.ready(id)
        await life.stop(id, SAVE)
        await life.start(id, StartOptions())
        await life.stop(id, SAVE)
        await life.start(id, StartOptions(discard_saved_state=True))
        await snapshots.revert(id, "running", RevertState.PAUSED)
        await life.start(id, StartOptions())
        await life.update(id, domain_update(labels={"tier": "gold"}))
        await life.stop(id, StopOptions(mode=StopMode.GRACEFUL, grace_period=GRACE))
        await snapshots.create(id, SnapshotSpec(name="stopped"))
        await life.update(id, domain_update(name=f"{made.name}-renamed"))
        await life.start(id, StartOptions())
        await snapshots.revert(id, "stopped", None)
        await life.start(id, StartOptions(from_snapshot="running"))
        await life.delete(id, SCRAP)
        await core.wait_for(id, "gone")
        assert core.changes_by_others(id) == []
        became = {what for what, *_ in core.changes_of(id)}
        assert {"STOPPED", "RUNNING", "PAUSED", "SAVED", "gone"} <= became


@pytest.mark.parametrize("lifetime", Lifetime)
async def test_attribution_of_create_from_xml_is_its_caller(
    driver: LibvirtDriver, guests: Guests, lifetime: Lifetime
):
    act_for(Subject("ann"))
    model = await driver.create_domain(guests.blank())
    root = etree.fromstring(await driver.get_domain_xml(model.id))
    await driver.delete(model.id)
    for tag in ("uuid", "devices"):
        element = root.find(tag)
        assert element is not None
        root.remove(element)
    source = DomainXml(xml=etree.tostring(root, encoding="unicode"), lifetime=lifetime)
    async with CoreHarness.of(driver) as core:
        made = await core.provisioning.create_domain_from_xml(source, start=True, host="")
        await core.lifecycle.stop(made.id, FORCE)
        if lifetime is Lifetime.PERSISTENT:
            await core.lifecycle.delete(made.id, SCRAP)
        await core.wait_for(made.id, "gone")
        assert core.changes_by_others(made.id) == []


async def test_attribution_during_graceful_stop_is_its_caller(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    act_for(Subject("ann"))
    made = await driver.create_domain(guests.blank(), start=True)
    async with asyncio.timeout(120), CoreHarness.of(driver) as core:
        polite = StopOptions(mode=StopMode.GRACEFUL, grace_period=GRACE)
        stopping = asyncio.create_task(core.lifecycle.stop(made.id, polite))
        # Wait for the request, or the stop would resume the paused domain.
        await core.wait_for_step(made.id, "pressed")
        await asyncio.to_thread(raw.lookupByUUIDString(made.id).suspend)
        await core.wait_for(made.id, "PAUSED")
        await core.lifecycle.stop(made.id, FORCE)
        await stopping
        told = core.changes_of(made.id)[1:]
    assert ("PAUSED", "API", "ann") in told
    assert told[-1] == ("STOPPED", "API", "ann")

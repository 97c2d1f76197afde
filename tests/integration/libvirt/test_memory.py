"""Saved memory: SAVE, snapshots, and the guards around them."""

import asyncio

import libvirt
import pytest
from lxml import etree

from eventually import eventually
from integration.libvirt.guests import Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.xml.parser import parse
from proad.errors import (
    CapabilityMissingError,
    HasSavedStateError,
    HasSnapshotsError,
    SnapshotNotFoundError,
    StateError,
)
from proad.model import (
    DeleteOptions,
    DiskFormat,
    DiskSpec,
    Lifetime,
    NewDisk,
    ResourceState,
    RevertState,
    SnapshotSpec,
    StartOptions,
    StateReason,
    StopMode,
    StopOptions,
)
from updating import domain_update

pytestmark = pytest.mark.libvirt

MIB = 2**20
FORCE = StopOptions(mode=StopMode.FORCE)
SAVE = StopOptions(mode=StopMode.SAVE)


async def test_save_then_start_resumes_guest(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    ticks = await guests.tick(guest.id)
    told: list[tuple[str, int | None]] = []
    saved = await driver.stop(guest.id, SAVE, on_step=lambda *step: told.append(step))
    assert saved.state is ResourceState.SAVED
    assert {step for step, _ in told} == {"saving memory"}
    percents = [percent for _, percent in told if percent is not None]
    assert percents == sorted(percents)
    assert all(0 <= percent <= 100 for percent in percents)
    with pytest.raises(HasSavedStateError):
        await driver.delete(guest.id)
    with pytest.raises(HasSavedStateError):
        await driver.delete(guest.id, DeleteOptions(force=True))
    assert (await driver.start(guest.id)).state is ResourceState.RUNNING
    assert await guests.tick(guest.id) > ticks  # it continues counting
    await driver.pause(guest.id)
    await driver.stop(guest.id, SAVE)
    assert (await driver.start(guest.id)).state is ResourceState.PAUSED
    await driver.stop(guest.id, SAVE)
    anew = await driver.start(guest.id, StartOptions(discard_saved_state=True))
    assert anew.state is ResourceState.RUNNING
    await guests.ready(guest.id)


async def test_snapshot_with_memory_when_reverted_resumes_guest(
    driver: LibvirtDriver, guests: Guests
):
    guest = await guests.boot(labels={"then": "1"})
    ticks = await guests.tick(guest.id)
    first = await driver.create_snapshot(guest.id, SnapshotSpec(name="first", description="One"))
    assert (first.state, first.has_memory, first.current) == (ResourceState.RUNNING, True, True)
    second = await driver.create_snapshot(guest.id)
    assert second.parent == "first"
    assert {s.name for s in await driver.list_snapshots(guest.id)} == {"first", second.name}
    with pytest.raises(HasSnapshotsError):
        await driver.delete(guest.id, DeleteOptions(force=True))
    assert (await driver.get_resource(guest.id)).state is ResourceState.RUNNING
    await driver.stop(guest.id, SAVE)
    # The saved state does not match the disks of the snapshot, so it is discarded.
    reverted = await driver.revert_snapshot(guest.id, "first", RevertState.PAUSED)
    assert reverted.state is ResourceState.PAUSED
    assert reverted.domain is not None
    assert not reverted.domain.has_saved_state
    await driver.stop(guest.id, FORCE)
    assert (await driver.get_resource(guest.id)).state is ResourceState.STOPPED
    started = await driver.start(guest.id, StartOptions(from_snapshot="first"))
    assert started.state is ResourceState.RUNNING
    assert started.state_detail.reason is StateReason.FROM_SNAPSHOT
    assert await guests.tick(guest.id) > ticks  # from memory: a cold boot begins at 1
    await driver.delete_snapshot(guest.id, "first")
    (left,) = await driver.list_snapshots(guest.id)
    assert (left.name, left.parent) == (second.name, "")
    await driver.pause(guest.id)
    with pytest.raises(SnapshotNotFoundError):
        await driver.start(guest.id, StartOptions(from_snapshot="first"))
    await driver.delete(guest.id, DeleteOptions(force=True, delete_snapshots=True))
    assert await guests.domains() == set()
    assert await guests.volumes() == set()


async def test_list_snapshots_during_creation_returns_others(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    await driver.create_snapshot(guest.id, SnapshotSpec(name="first"))
    taking = asyncio.create_task(driver.create_snapshot(guest.id, SnapshotSpec(name="second")))
    while not taking.done():
        names = {each.name for each in await driver.list_snapshots(guest.id)}
        assert names in ({"first"}, {"first", "second"})
    await taking


async def test_start_after_revert_to_disk_snapshot_boots(driver: LibvirtDriver, guests: Guests):
    made = await driver.create_domain(guests.blank())
    await driver.create_snapshot(made.id, SnapshotSpec(name="off"))
    started = await driver.start(made.id, StartOptions(from_snapshot="off"))
    assert started.state is ResourceState.RUNNING
    assert (await driver.revert_snapshot(made.id, "off")).state is ResourceState.STOPPED


async def test_delete_keeping_volumes_removes_their_snapshots(
    driver: LibvirtDriver, guests: Guests
):
    made = await driver.create_domain(guests.blank())
    await driver.create_snapshot(made.id, SnapshotSpec(name="one"))
    await driver.create_snapshot(made.id, SnapshotSpec(name="two"))
    options = DeleteOptions(delete_snapshots=True, keep_volumes=True)
    assert made.domain is not None
    (disk,) = made.domain.disks
    await driver.delete(made.id, options)
    assert len(await guests.volumes()) == 1
    with open(disk.path, "rb") as image:  # noqa: ASYNC230, PTH123 - a few bytes of a local file
        header = image.read(64)
    assert int.from_bytes(header[60:64], "big") == 0  # qcow2's number of snapshots


async def test_snapshot_of_raw_disk_is_refused(driver: LibvirtDriver, guests: Guests):
    raw = NewDisk(capacity_bytes=MIB, format=DiskFormat.RAW)
    made = await driver.create_domain(guests.blank(disks=(DiskSpec(new_volume=raw),)))
    with pytest.raises(CapabilityMissingError, match=r"the disk vda in format raw.*qcow2"):
        await driver.create_snapshot(made.id, SnapshotSpec(name="one"))
    assert await driver.list_snapshots(made.id) == []


async def test_save_of_transient_domain_is_refused(driver: LibvirtDriver, guests: Guests):
    made = await driver.create_domain(guests.blank(lifetime=Lifetime.TRANSIENT))
    with pytest.raises(CapabilityMissingError):
        await driver.stop(made.id, SAVE)
    assert (await driver.get_resource(made.id)).state is ResourceState.RUNNING


async def test_revert_snapshot_restores_labels(driver: LibvirtDriver, guests: Guests):
    made = await driver.create_domain(guests.blank(labels={"when": "then"}))
    await driver.create_snapshot(made.id, SnapshotSpec(name="then"))
    await driver.update(made.id, domain_update(labels={"when": "now"}))
    listed = {each.id: each.labels for each in await driver.list_resources()}
    assert listed[made.id] == {"when": "now"}
    assert (await driver.revert_snapshot(made.id, "then")).labels == {"when": "then"}
    listed = {each.id: each.labels for each in await driver.list_resources()}
    assert listed[made.id] == {"when": "then"}


@pytest.mark.parametrize("verb", ["resume", "start", "stop"])
async def test_verbs_on_self_suspended_guest_obey_its_state(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, verb: str
):
    made = await driver.create_domain(guests.spec())
    root = parse(await driver.get_domain_xml(made.id))
    pm = etree.SubElement(root, "pm")
    etree.SubElement(pm, "suspend-to-mem", enabled="yes")
    raw.defineXML(etree.tostring(root, encoding="unicode"))
    await driver.start(made.id)
    await guests.ready(made.id)
    before = await guests.tick(made.id)

    async def suspends() -> bool:
        try:
            raw.lookupByUUIDString(made.id).pMSuspendForDuration(
                libvirt.VIR_NODE_SUSPEND_TARGET_MEM, 0
            )
        except libvirt.libvirtError as error:  # the agent starts after the guest
            if error.get_error_code() != libvirt.VIR_ERR_AGENT_UNRESPONSIVE:
                raise
            return False
        return True

    await eventually(suspends)

    async def suspended() -> bool:
        return (await driver.get_resource(made.id)).state is ResourceState.SUSPENDED

    await eventually(suspended, within=60)
    with pytest.raises(StateError):
        await driver.pause(made.id)
    match verb:
        case "resume":
            woken = await driver.resume(made.id)
        case "start":
            woken = await driver.start(made.id)
        case _:
            # The guest receives no request before it is resumed.
            stopped = await driver.stop(made.id, StopOptions(mode=StopMode.GRACEFUL))
            assert stopped.state is ResourceState.STOPPED
            return
    assert woken.state is ResourceState.RUNNING
    assert await guests.tick(made.id) > before

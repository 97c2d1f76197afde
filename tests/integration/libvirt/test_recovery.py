"""Whose a volume is that a create may have left: the create's, or another tool's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import libvirt
import pytest

from contract.announced import Announced, StopHereError, stop_here
from event_queue import EventQueue
from eventually import eventually
from integration.libvirt.guests import MIB, Guests
from integration.libvirt.records import SwitchableRecords
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.timing import CatalogTiming, LibvirtTiming
from proad.model import DiskFormat, DiskSpec, Footprint, NewDisk, VolumeSpec
from proad.ports.records import RecordState, VolumeRecord, name_digits

pytestmark = pytest.mark.libvirt


async def interrupted(driver: LibvirtDriver, guests: Guests, name: str = "") -> Footprint:
    """Return the footprint of the create of a domain that was killed before its first change."""
    announced = Announced()
    disk = NewDisk(capacity_bytes=MIB, volume_name=name)

    async def announce(footprint: Footprint) -> None:
        await announced(footprint)
        await stop_here(footprint)

    with pytest.raises(StopHereError):
        await driver.create_domain(
            guests.blank(disks=(DiskSpec(new_volume=disk),)), announce=announce
        )
    return announced.footprints[0]


def make_externally(raw: libvirt.virConnect, pool: str, name: str, size: int = MIB) -> None:
    """Create a volume as another tool, or as libvirtd whose client has died."""
    raw.storagePoolLookupByName(pool).createXML(
        f"<volume><name>{name}</name><capacity>{size}</capacity>"
        "<target><format type='qcow2'/></target></volume>"
    )


async def test_undo_leaves_a_volume_of_a_name_that_the_caller_chose_and_names_it(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    await driver.create_volume(VolumeSpec(name=f"{guests.prefix}-first", capacity_bytes=MIB))
    name = f"{guests.prefix}-mine"
    footprint = await interrupted(driver, guests, name)
    pool = footprint.volumes[0].pool
    make_externally(raw, pool, name)

    assert await driver.find_created(footprint) is None
    assert await driver.undo_created(footprint) == (f"volume {pool}/{name}",)
    assert name in await guests.volumes()


async def test_undo_removes_a_volume_of_a_name_that_nobody_else_gives(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    await driver.create_volume(VolumeSpec(name=f"{guests.prefix}-first", capacity_bytes=MIB))
    footprint = await interrupted(driver, guests)
    (planned,) = footprint.volumes
    make_externally(raw, planned.pool, planned.name)

    assert await driver.undo_created(footprint) == ()
    assert await guests.volumes() == {f"{guests.prefix}-first"}


async def test_undo_removes_the_volumes_of_a_domain_that_was_never_defined(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect
):
    announced, name = Announced(), f"{guests.prefix}-named"
    disks = (
        DiskSpec(new_volume=NewDisk(capacity_bytes=MIB)),
        DiskSpec(new_volume=NewDisk(capacity_bytes=MIB, volume_name=name)),
    )
    made = await driver.create_domain(guests.blank(disks=disks), announce=announced)
    raw.lookupByUUIDString(made.id).undefine()  # as if the daemon had died before

    assert await driver.undo_created(announced.footprints[0]) == ()
    assert await guests.volumes() == set()


@pytest.mark.parametrize(("size", "found"), [(MIB, True), (2 * MIB, False)])
async def test_find_created_volume_is_one_like_the_wanted(
    driver: LibvirtDriver, guests: Guests, raw: libvirt.virConnect, size: int, *, found: bool
):
    await driver.create_volume(VolumeSpec(name=f"{guests.prefix}-first", capacity_bytes=MIB))
    spec, announced = VolumeSpec(name=f"{guests.prefix}-v", capacity_bytes=MIB), Announced()

    async def announce(footprint: Footprint) -> None:
        await announced(footprint)
        await stop_here(footprint)

    with pytest.raises(StopHereError):
        await driver.create_volume(spec, announce=announce)
    (footprint,) = announced.footprints
    make_externally(raw, footprint.volumes[0].pool, spec.name, size)

    assert (await driver.find_created(footprint) is not None) is found
    older = replace(footprint, create_time=datetime.now(UTC) + timedelta(seconds=10))
    if not found:
        assert await driver.undo_created(older) == (
            f"volume {footprint.volumes[0].pool}/{spec.name}",
        )
    assert spec.name in await guests.volumes()


@pytest.mark.parametrize("timing", [LibvirtTiming(catalog=CatalogTiming(settle_time=timedelta()))])
@pytest.mark.parametrize("named_by_caller", [False, True])
async def test_reconcile_of_a_plan_takes_only_a_volume_named_after_the_plan(
    driver: LibvirtDriver,
    guests: Guests,
    raw: libvirt.virConnect,
    records: SwitchableRecords,
    *,
    named_by_caller: bool,
):
    first = await driver.create_volume(VolumeSpec(name=guests.prefix, capacity_bytes=MIB))
    id = str(uuid4())
    name = f"{guests.prefix}-{'mine' if named_by_caller else name_digits(id)}"
    plan = VolumeRecord(
        id=id,
        state=RecordState.PLANNED,
        pool=first.pool,
        name=name,
        format=DiskFormat.QCOW2,
        create_time=datetime.now(UTC),
    )
    await records.put(records.engines[0], plan)
    make_externally(raw, first.pool, name)

    async def settled() -> bool:
        states = {each.name: each.state for each in await records.all()}
        return states.get(name) is (None if named_by_caller else RecordState.ORDINARY)

    async with EventQueue.of(driver):
        await eventually(settled)
    assert name in await guests.volumes()

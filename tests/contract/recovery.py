"""Obligations of every create to its announcement, and of `Recovery`."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from contract.announced import Announced, StopHereError, stop_here
from contract.containers import IDLE, IMAGE
from contract.domains import MEMORY, MIB, new_disk
from contract.harness import DriverHarness
from eventually import eventually
from proad.model import (
    ContainerSpec,
    DomainSpec,
    DomainXml,
    Footprint,
    NetworkAttachment,
    Resource,
    ResourceState,
    Snapshot,
    SnapshotSpec,
    Volume,
    VolumeSpec,
)
from proad.ports import AnnounceFootprint, Domains, Recovery, Recreation, Snapshots, Volumes

Create = Callable[[AnnounceFootprint], Awaitable[Any]]


def recovery(harness: DriverHarness) -> Recovery:
    assert isinstance(harness.driver, Recovery)
    return harness.driver


async def owned(harness: DriverHarness) -> object:
    """Return all that the harness has made on the host."""
    resources = sorted(
        (each.id, each.name, each.state)
        for each in await harness.driver.list_resources()
        if harness.has_named(each.name)
    )
    if isinstance(harness.driver, Volumes):
        return resources, await harness.volume_names()
    return resources


async def started_container(harness: DriverHarness) -> Create:
    spec = ContainerSpec(image=IMAGE, name=harness.new_name(), command=IDLE)
    return lambda announce: harness.containers.create_container(spec, start=True, announce=announce)


async def stopped_container(harness: DriverHarness) -> Create:
    spec = ContainerSpec(
        image=IMAGE,
        name=harness.new_name(),
        command=IDLE,
        networks=(NetworkAttachment(network="bridge"),),
    )
    return lambda announce: harness.containers.create_container(spec, announce=announce)


def _domain(harness: DriverHarness) -> DomainSpec:
    return DomainSpec(
        name=harness.new_name(),
        memory_bytes=MEMORY,
        disks=(new_disk(), replace(new_disk())),
        networkless=True,
    )


async def started_domain(harness: DriverHarness) -> Create:
    spec = _domain(harness)
    return lambda announce: harness.domains.create_domain(spec, start=True, announce=announce)


async def stopped_domain(harness: DriverHarness) -> Create:
    spec = replace(_domain(harness), autostart=True)
    return lambda announce: harness.domains.create_domain(spec, announce=announce)


async def domain_from_xml(harness: DriverHarness) -> Create:
    spec = DomainSpec(name=harness.new_name(), memory_bytes=MEMORY, diskless=True, networkless=True)
    made = await harness.domains.create_domain(spec)
    source = DomainXml(xml=await harness.domains.get_domain_xml(made.id, inactive=True))
    await harness.driver.delete(made.id)
    return lambda announce: harness.domains.create_domain_from_xml(source, announce=announce)


async def snapshot(harness: DriverHarness) -> Create:
    made = await harness.make()
    return lambda announce: harness.snapshots.create_snapshot(made.id, announce=announce)


async def named_snapshot(harness: DriverHarness) -> Create:
    made = await harness.make()
    spec = SnapshotSpec(name="one")
    return lambda announce: harness.snapshots.create_snapshot(made.id, spec, announce=announce)


async def volume(harness: DriverHarness) -> Create:
    spec = VolumeSpec(name=harness.new_name(), capacity_bytes=3 * MIB)
    return lambda announce: harness.volumes.create_volume(spec, announce=announce)


def made_by(answer: Any) -> Resource | Snapshot | Volume:
    made = getattr(answer, "resource", answer)
    assert isinstance(made, Resource | Snapshot | Volume)
    return made


class RecoveryContract:
    """Expects a fixture `create`: the coroutine that creates, but for its announcement."""

    async def test_create_announces_once_before_any_change(
        self, harness: DriverHarness, create: Create
    ):
        before = await owned(harness)

        async def unchanged() -> None:
            assert await owned(harness) == before

        announced = Announced(unchanged)
        made = made_by(await create(announced))
        (footprint,) = announced.footprints
        if isinstance(made, Resource):
            assert footprint.mark in {made.creation, made.id}
        if isinstance(made, Snapshot):
            assert (footprint.mark, footprint.snapshot) == (made.resource_id, made.name)
        if isinstance(made, Volume):
            assert [(each.pool, each.name) for each in footprint.volumes] == [
                (made.pool, made.name)
            ]

    async def test_create_with_a_failing_announcement_changes_nothing(
        self, harness: DriverHarness, create: Create
    ):
        before = await owned(harness)
        with pytest.raises(StopHereError):
            await create(stop_here)
        assert await owned(harness) == before
        announced = Announced()  # nothing is in the way of another try
        await create(announced)
        assert len(announced.footprints) == 1

    async def test_find_created_returns_what_was_made(self, harness: DriverHarness, create: Create):
        announced = Announced()
        made = made_by(await create(announced))
        found = await recovery(harness).find_created(announced.footprints[0])
        assert found is not None
        assert found.complete
        assert type(found.made) is type(made)
        assert found.made.name == made.name

    async def test_find_created_of_nothing_is_none(self, harness: DriverHarness, create: Create):
        footprint = await self._footprint(harness, create)
        assert await recovery(harness).find_created(footprint) is None
        before = await owned(harness)
        assert await recovery(harness).undo_created(footprint) == ()
        assert await owned(harness) == before

    async def test_undo_created_removes_what_was_made_alone(
        self, harness: DriverHarness, create: Create
    ):
        bystander = await harness.make(start=True)
        before = await owned(harness)
        announced = Announced()
        made = made_by(await create(announced))
        (footprint,) = announced.footprints
        if isinstance(made, Resource) and made.state is ResourceState.RUNNING:
            after = await owned(harness)
            assert await recovery(harness).undo_created(footprint) == ()
            assert await owned(harness) == after  # no running workload is undone
        left = await recovery(harness).undo_created(footprint, force=True)
        if footprint.named_by_caller:
            assert left == (f"snapshot {made.name}",)
            return

        async def as_before() -> bool:  # Docker lists what it removes for a moment
            return await owned(harness) == before

        await eventually(as_before, within=10)
        assert left == ()
        assert await recovery(harness).find_created(footprint) is None
        assert await recovery(harness).undo_created(footprint) == ()
        again = await harness.driver.get_resource(bystander.id)
        assert again.state is ResourceState.RUNNING

    async def _footprint(self, harness: DriverHarness, create: Create) -> Footprint:
        announced = Announced(_stop)
        with pytest.raises(StopHereError):
            await create(announced)
        return announced.footprints[0]


async def _stop() -> None:
    raise StopHereError


CONTAINERS = (started_container, stopped_container)
DOMAINS = (
    started_domain,
    stopped_domain,
    domain_from_xml,
    snapshot,
    named_snapshot,
    volume,
)


class ContainerRecoveryContract(RecoveryContract):
    @pytest.fixture(params=CONTAINERS, ids=lambda way: way.__name__)
    async def create(self, request: pytest.FixtureRequest, harness: DriverHarness) -> Create:
        create: Create = await request.param(harness)
        return create

    async def test_undo_created_leaves_what_took_the_place_of_another(self, harness: DriverHarness):
        """Its recreation is complete, whatever was reported: undone, nothing would be left."""
        old = await harness.make(start=True)
        assert isinstance(harness.driver, Recreation)
        full = await harness.driver.get_resource(old.id)
        assert full.container is not None
        assert full.container.spec is not None
        announced = Announced()
        made = await harness.driver.recreate_container(
            old.id, full.container.spec, announce=announced
        )
        before = await owned(harness)
        (footprint,) = announced.footprints
        for force in (False, True):
            await recovery(harness).undo_created(footprint, force=force)
            assert await owned(harness) == before
        again = await harness.driver.get_resource(made.resource.id)
        assert (again.name, again.state) == (old.name, ResourceState.RUNNING)


class DomainRecoveryContract(RecoveryContract):
    @pytest.fixture(params=DOMAINS, ids=lambda way: way.__name__)
    async def create(self, request: pytest.FixtureRequest, harness: DriverHarness) -> Create:
        assert isinstance(harness.driver, Domains)
        assert isinstance(harness.driver, Snapshots)
        create: Create = await request.param(harness)
        return create

    async def test_find_created_of_an_older_one_is_none(
        self, harness: DriverHarness, create: Create
    ):
        """What was there before the create is not taken for the create's."""
        announced = Announced()
        await create(announced)
        (footprint,) = announced.footprints
        later = replace(footprint, create_time=footprint.create_time + timedelta(hours=1))
        if not later.mark:
            return  # TestVolumeRecovery has what proves whose a volume is
        before = await owned(harness)
        assert await recovery(harness).find_created(later) is None
        await recovery(harness).undo_created(replace(later, volumes=()))
        assert await owned(harness) == before

    async def test_undo_created_leaves_volumes_that_another_create_made(
        self, harness: DriverHarness, create: Create
    ):
        """Names are free until a create takes them: another call may, before this one is judged."""
        footprint = await self._footprint(harness, create)
        for planned in footprint.volumes:
            await harness.volumes.create_volume(
                VolumeSpec(
                    name=planned.name,
                    capacity_bytes=planned.capacity_bytes,
                    format=planned.format,
                )
            )
        before = await owned(harness)

        assert await recovery(harness).find_created(footprint) is None
        for force in (False, True):
            left = await recovery(harness).undo_created(footprint, force=force)
            names = {f"volume {planned.pool}/{planned.name}" for planned in footprint.volumes}
            assert names.issuperset(left)
            assert await owned(harness) == before

"""Obligations of `Snapshots`."""

import pytest

from contract.lifecycle import unknown_id
from contract.yard import FORCE, Yard
from proad.errors import (
    AlreadyExistsError,
    HasSnapshotsError,
    ResourceNotFoundError,
    SnapshotNotFoundError,
)
from proad.model import (
    DeleteOptions,
    DomainUpdate,
    LabelSet,
    ResourceState,
    ResourceUpdate,
    ResourceView,
    RevertState,
    SnapshotSpec,
    StartOptions,
)

STOPPED, RUNNING, PAUSED = ResourceState.STOPPED, ResourceState.RUNNING, ResourceState.PAUSED


class SnapshotsContract:
    @pytest.mark.parametrize("of", [STOPPED, RUNNING, PAUSED])
    async def test_take_and_read(self, yard: Yard, of: ResourceState):
        resource = await yard.bring_to(of)
        taken = await yard.snapshots.create_snapshot(
            resource.id, SnapshotSpec(name="one", description="A <b> & more")
        )
        assert (taken.name, taken.resource_id) == ("one", resource.id)
        assert taken.description == "A <b> & more"
        assert taken.create_time is not None
        assert taken.state is of
        assert taken.has_memory is (of is not STOPPED)
        assert (taken.parent, taken.current) == ("", True)
        assert await yard.snapshots.list_snapshots(resource.id) == [taken]
        assert await yard.snapshots.get_snapshot(resource.id, "one") == taken
        after = await yard.driver.get_resource(resource.id)
        assert after.state is of
        assert after.domain is not None
        assert after.domain.snapshot_count == 1

    async def test_names(self, yard: Yard):
        resource = await yard.make()
        nameless = await yard.snapshots.create_snapshot(resource.id)
        assert nameless.name
        with pytest.raises(AlreadyExistsError):
            await yard.snapshots.create_snapshot(resource.id, SnapshotSpec(name=nameless.name))
        assert await yard.snapshots.list_snapshots(resource.id) == [nameless]

    async def test_a_family(self, yard: Yard):
        resource = await yard.make()
        for name in ("one", "two", "three"):
            await yard.snapshots.create_snapshot(resource.id, SnapshotSpec(name=name))
        await self._is(yard, resource.id, {("one", ""), ("two", "one"), ("three", "two")}, "three")
        await yard.snapshots.delete_snapshot(resource.id, "two")
        await self._is(yard, resource.id, {("one", ""), ("three", "one")}, "three")
        await yard.snapshots.create_snapshot(resource.id, SnapshotSpec(name="extra"))
        await yard.snapshots.delete_snapshot(resource.id, "extra")
        await self._is(yard, resource.id, {("one", ""), ("three", "one")}, "three")
        await yard.snapshots.revert_snapshot(resource.id, "one")
        await self._is(yard, resource.id, {("one", ""), ("three", "one")}, "one")
        await yard.snapshots.create_snapshot(resource.id, SnapshotSpec(name="four"))
        await yard.snapshots.delete_snapshot(resource.id, "one", children=True)
        assert await yard.snapshots.list_snapshots(resource.id) == []

    async def _is(self, yard: Yard, id: str, family: set[tuple[str, str]], current: str) -> None:
        listed = await yard.snapshots.list_snapshots(id)
        assert {(each.name, each.parent) for each in listed} == family
        assert [each.name for each in listed if each.current] == [current]

    @pytest.mark.parametrize(
        ("of", "to"),
        [
            (STOPPED, None),
            (RUNNING, None),
            (PAUSED, None),
            (STOPPED, RevertState.RUNNING),
            (RUNNING, RevertState.PAUSED),
            (PAUSED, RevertState.RUNNING),
        ],
    )
    async def test_revert(self, yard: Yard, of: ResourceState, to: RevertState | None):
        resource = await yard.bring_to(of)
        await yard.snapshots.create_snapshot(resource.id, SnapshotSpec(name="one"))
        if of is STOPPED:
            await yard.driver.start(resource.id)
        else:
            await yard.driver.stop(resource.id, FORCE)
        reverted = await yard.snapshots.revert_snapshot(resource.id, "one", to)
        assert reverted.state is (ResourceState(to) if to else of)
        await yard.check(reverted)

    async def test_revert_twice(self, yard: Yard):
        resource = await yard.make(start=True)
        await yard.snapshots.create_snapshot(resource.id, SnapshotSpec(name="one"))
        for _ in range(2):
            reverted = await yard.snapshots.revert_snapshot(resource.id, "one")
            assert reverted.state is RUNNING

    async def test_revert_takes_the_settings_back(self, yard: Yard):
        resource = await yard.make(labels={"was": "so"})
        await yard.snapshots.create_snapshot(resource.id, SnapshotSpec(name="one"))
        update = ResourceUpdate(
            labels=LabelSet(entries={"is": "else"}), domain=DomainUpdate(title="changed")
        )
        changed = (await yard.updates.update(resource.id, update)).resource
        assert changed.domain is not None
        assert changed.domain.title == "changed"
        reverted = await yard.snapshots.revert_snapshot(resource.id, "one")
        assert reverted.labels == resource.labels
        assert reverted.domain is not None
        assert reverted.domain.title == ""

    async def test_start_from_a_snapshot(self, yard: Yard):
        resource = await yard.make()
        await yard.snapshots.create_snapshot(resource.id, SnapshotSpec(name="one"))
        started = await yard.driver.start(resource.id, StartOptions(from_snapshot="one"))
        assert started.state is RUNNING
        await yard.driver.pause(resource.id)
        started = await yard.driver.start(resource.id, StartOptions(from_snapshot="one"))
        assert started.state is RUNNING
        await yard.check(started, ResourceView.SUMMARY)

    async def test_start_from_nothing(self, yard: Yard):
        resource = await yard.make()
        with pytest.raises(SnapshotNotFoundError):
            await yard.driver.start(resource.id, StartOptions(from_snapshot="nothing"))
        assert (await yard.driver.get_resource(resource.id)).state is STOPPED

    @pytest.mark.parametrize("start", [False, True])
    async def test_delete_is_guarded(self, yard: Yard, *, start: bool):
        resource = await yard.make(start=start)
        await yard.snapshots.create_snapshot(resource.id, SnapshotSpec(name="one"))
        with pytest.raises(HasSnapshotsError) as caught:
            await yard.driver.delete(resource.id, DeleteOptions(force=True))
        assert caught.value.metadata == {"name": resource.name, "snapshots": "1"}
        after = await yard.driver.get_resource(resource.id)
        assert after.state is (RUNNING if start else STOPPED)
        assert len(await yard.snapshots.list_snapshots(resource.id)) == 1
        await yard.driver.delete(resource.id, DeleteOptions(force=True, delete_snapshots=True))
        assert await yard.is_gone(resource.id)

    async def test_what_is_not_there(self, yard: Yard):
        resource = await yard.make()
        for call in (
            yard.snapshots.get_snapshot(resource.id, "nothing"),
            yard.snapshots.revert_snapshot(resource.id, "nothing"),
            yard.snapshots.delete_snapshot(resource.id, "nothing"),
        ):
            with pytest.raises(SnapshotNotFoundError) as caught:
                await call
            assert caught.value.metadata == {"snapshot": "nothing"}
        assert (await yard.driver.get_resource(resource.id)).state is STOPPED

    async def test_whose_owner_is_not_there(self, yard: Yard):
        id = unknown_id(yard.kind)
        for call in (
            yard.snapshots.list_snapshots(id),
            yard.snapshots.get_snapshot(id, "one"),
            yard.snapshots.create_snapshot(id),
            yard.snapshots.revert_snapshot(id, "one"),
            yard.snapshots.delete_snapshot(id, "one"),
        ):
            with pytest.raises(ResourceNotFoundError):
                await call

"""Obligations of `Snapshots`."""

import pytest

from contract.harness import FORCE, DriverHarness
from contract.lifecycle import unknown_id
from proad.errors import (
    AlreadyExistsError,
    HasSnapshotsError,
    ResourceNotFoundError,
    SnapshotNotFoundError,
)
from proad.model import (
    DeleteOptions,
    ResourceState,
    ResourceView,
    RevertState,
    SnapshotSpec,
    StartOptions,
)
from resource_details import domain_spec_of
from updating import domain_update

STOPPED, RUNNING, PAUSED = ResourceState.STOPPED, ResourceState.RUNNING, ResourceState.PAUSED


class SnapshotsContract:
    @pytest.mark.parametrize("of", [STOPPED, RUNNING, PAUSED])
    async def test_create_snapshot_is_in_get_and_list(
        self, harness: DriverHarness, of: ResourceState
    ):
        resource = await harness.bring_to(of)
        taken = await harness.snapshots.create_snapshot(
            resource.id, SnapshotSpec(name="one", description="A <b> & more")
        )
        assert (taken.name, taken.resource_id) == ("one", resource.id)
        assert taken.description == "A <b> & more"
        assert taken.create_time is not None
        assert taken.state is of
        assert taken.has_memory is (of is not STOPPED)
        assert (taken.parent, taken.current) == ("", True)
        assert await harness.snapshots.list_snapshots(resource.id) == [taken]
        assert await harness.snapshots.get_snapshot(resource.id, "one") == taken
        after = await harness.driver.get_resource(resource.id)
        assert after.state is of
        assert after.domain is not None
        assert after.domain.snapshot_count == 1

    async def test_create_snapshot_names(self, harness: DriverHarness):
        resource = await harness.make()
        nameless = await harness.snapshots.create_snapshot(resource.id)
        assert nameless.name
        with pytest.raises(AlreadyExistsError):
            await harness.snapshots.create_snapshot(resource.id, SnapshotSpec(name=nameless.name))
        assert await harness.snapshots.list_snapshots(resource.id) == [nameless]

    async def test_snapshots_have_parents_and_one_current(self, harness: DriverHarness):
        resource = await harness.make()
        for name in ("one", "two", "three"):
            await harness.snapshots.create_snapshot(resource.id, SnapshotSpec(name=name))
        await self._is(
            harness, resource.id, {("one", ""), ("two", "one"), ("three", "two")}, "three"
        )
        await harness.snapshots.delete_snapshot(resource.id, "two")
        await self._is(harness, resource.id, {("one", ""), ("three", "one")}, "three")
        await harness.snapshots.create_snapshot(resource.id, SnapshotSpec(name="extra"))
        await harness.snapshots.delete_snapshot(resource.id, "extra")
        await self._is(harness, resource.id, {("one", ""), ("three", "one")}, "three")
        await harness.snapshots.revert_snapshot(resource.id, "one")
        await self._is(harness, resource.id, {("one", ""), ("three", "one")}, "one")
        await harness.snapshots.create_snapshot(resource.id, SnapshotSpec(name="four"))
        await harness.snapshots.delete_snapshot(resource.id, "one", children=True)
        assert await harness.snapshots.list_snapshots(resource.id) == []

    async def _is(
        self, harness: DriverHarness, id: str, family: set[tuple[str, str]], current: str
    ) -> None:
        listed = await harness.snapshots.list_snapshots(id)
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
    async def test_revert_snapshot_leads_to_its_state(
        self, harness: DriverHarness, of: ResourceState, to: RevertState | None
    ):
        resource = await harness.bring_to(of)
        await harness.snapshots.create_snapshot(resource.id, SnapshotSpec(name="one"))
        if of is STOPPED:
            await harness.driver.start(resource.id)
        else:
            await harness.driver.stop(resource.id, FORCE)
        reverted = await harness.snapshots.revert_snapshot(resource.id, "one", to)
        assert reverted.state is (ResourceState(to) if to else of)
        await harness.check(reverted)

    async def test_revert_snapshot_twice_succeeds(self, harness: DriverHarness):
        resource = await harness.make(start=True)
        await harness.snapshots.create_snapshot(resource.id, SnapshotSpec(name="one"))
        for _ in range(2):
            reverted = await harness.snapshots.revert_snapshot(resource.id, "one")
            assert reverted.state is RUNNING

    async def test_revert_snapshot_restores_the_settings(self, harness: DriverHarness):
        resource = await harness.make(labels={"was": "so"})
        await harness.snapshots.create_snapshot(resource.id, SnapshotSpec(name="one"))
        update = domain_update(labels={"is": "else"}, title="changed")
        changed = (await harness.updates.update(resource.id, update)).resource
        assert domain_spec_of(changed).title == "changed"
        reverted = await harness.snapshots.revert_snapshot(resource.id, "one")
        assert reverted.labels == resource.labels
        assert domain_spec_of(reverted).title == ""

    async def test_start_from_snapshot_is_running(self, harness: DriverHarness):
        resource = await harness.make()
        await harness.snapshots.create_snapshot(resource.id, SnapshotSpec(name="one"))
        started = await harness.driver.start(resource.id, StartOptions(from_snapshot="one"))
        assert started.state is RUNNING
        await harness.driver.pause(resource.id)
        started = await harness.driver.start(resource.id, StartOptions(from_snapshot="one"))
        assert started.state is RUNNING
        await harness.check(started, ResourceView.SUMMARY)

    async def test_start_from_missing_snapshot_is_not_found(self, harness: DriverHarness):
        resource = await harness.make()
        with pytest.raises(SnapshotNotFoundError):
            await harness.driver.start(resource.id, StartOptions(from_snapshot="nothing"))
        assert (await harness.driver.get_resource(resource.id)).state is STOPPED

    @pytest.mark.parametrize("start", [False, True])
    async def test_delete_domain_with_snapshots_is_refused(
        self, harness: DriverHarness, *, start: bool
    ):
        resource = await harness.make(start=start)
        await harness.snapshots.create_snapshot(resource.id, SnapshotSpec(name="one"))
        with pytest.raises(HasSnapshotsError) as caught:
            await harness.driver.delete(resource.id, DeleteOptions(force=True))
        assert caught.value.metadata == {"name": resource.name, "snapshots": "1"}
        after = await harness.driver.get_resource(resource.id)
        assert after.state is (RUNNING if start else STOPPED)
        assert len(await harness.snapshots.list_snapshots(resource.id)) == 1
        await harness.driver.delete(resource.id, DeleteOptions(force=True, delete_snapshots=True))
        assert await harness.is_gone(resource.id)

    async def test_snapshot_missing_is_not_found(self, harness: DriverHarness):
        resource = await harness.make()
        for call in (
            harness.snapshots.get_snapshot(resource.id, "nothing"),
            harness.snapshots.revert_snapshot(resource.id, "nothing"),
            harness.snapshots.delete_snapshot(resource.id, "nothing"),
        ):
            with pytest.raises(SnapshotNotFoundError) as caught:
                await call
            assert caught.value.metadata == {"snapshot": "nothing"}
        assert (await harness.driver.get_resource(resource.id)).state is STOPPED

    async def test_snapshot_of_a_missing_domain_is_not_found(self, harness: DriverHarness):
        id = unknown_id(harness.kind)
        for call in (
            harness.snapshots.list_snapshots(id),
            harness.snapshots.get_snapshot(id, "one"),
            harness.snapshots.create_snapshot(id),
            harness.snapshots.revert_snapshot(id, "one"),
            harness.snapshots.delete_snapshot(id, "one"),
        ):
            with pytest.raises(ResourceNotFoundError):
                await call

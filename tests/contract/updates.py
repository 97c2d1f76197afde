"""Obligations of `Updates`."""

import re
from collections.abc import Iterator

import pytest

from contract.harness import FORCE, DriverHarness
from eventually import eventually
from proad.errors import (
    AlreadyExistsError,
    CapabilityMissingError,
    HasSavedStateError,
    InvalidArgumentError,
    ResourceRunningError,
)
from proad.model import (
    ChangeEffect,
    Lifetime,
    Resource,
    ResourceKind,
    ResourceState,
    ResourceUpdate,
    RestartPolicy,
    RestartPolicyMode,
    Updated,
)
from resource_details import domain_spec_of, spec_of
from updating import container_update, domain_update, update_of

MIB = 2**20


async def updated_by(harness: DriverHarness, id: str, update: ResourceUpdate) -> Resource:
    """Make a change that takes effect at once, and return the resource."""
    updated = await harness.updates.update(id, update)
    assert updated.restart_required == ()
    return updated.resource


def _planned(kind: ResourceKind, name: str, *, start: bool) -> Iterator[ResourceUpdate]:
    """Return updates, at least one of each effect that there is."""
    if kind is ResourceKind.CONTAINER:
        yield container_update(name=name, memory_bytes=64 * MIB)
        yield container_update(env={"A": "1"}, cpus=0.5)
        yield container_update(memory_bytes=0)  # what Docker cannot lift
        return
    yield domain_update(title="T", description="D", autostart=False)
    yield domain_update(vcpus=2, labels={"a": "b"})
    yield domain_update(memory_bytes=256 * MIB)
    yield domain_update(diskless=True, title="U")
    if not start:
        yield domain_update(name=name)


class UpdatesContract:
    async def test_update_name_is_the_new_name(self, harness: DriverHarness):
        resource = await harness.make()
        name = harness.new_name()
        renamed = await updated_by(harness, resource.id, update_of(harness.kind, name=name))
        assert (renamed.id, renamed.name, renamed.labels) == (resource.id, name, resource.labels)
        await harness.check(renamed)

    async def test_update_taken_name_is_refused(self, harness: DriverHarness):
        resource, other = await harness.make(), await harness.make()
        with pytest.raises(AlreadyExistsError) as caught:
            await harness.updates.update(resource.id, update_of(harness.kind, name=other.name))
        assert caught.value.metadata["existing_id"] == other.id
        assert (await harness.driver.get_resource(resource.id)).name == resource.name

    @pytest.mark.parametrize("start", [False, True])
    async def test_plan_of_an_update_is_what_the_update_does(
        self, harness: DriverHarness, *, start: bool
    ):
        resource = await harness.make(start=start)
        for update in _planned(harness.kind, harness.new_name(), start=start):
            before = await harness.driver.get_resource(resource.id)
            plan = await harness.updates.plan_update(resource.id, update)
            assert plan.effects.keys() == update.paths
            assert await harness.driver.get_resource(resource.id) == before
            if plan.refusal is not None:
                assert ChangeEffect.RECREATE in plan.effects.values()
                with pytest.raises(CapabilityMissingError, match=re.escape(str(plan.refusal))):
                    await harness.updates.update(resource.id, update)
                assert await harness.driver.get_resource(resource.id) == before
                continue
            updated = await harness.updates.update(resource.id, update)
            # What a guest does not follow waits as well.
            assert {*plan.restart_required} <= {*updated.restart_required}

    async def test_plan_of_a_taken_name_is_refused(self, harness: DriverHarness):
        resource, other = await harness.make(), await harness.make()
        with pytest.raises(AlreadyExistsError):
            await harness.updates.plan_update(resource.id, update_of(harness.kind, name=other.name))

    async def test_update_of_nothing_changes_nothing(self, harness: DriverHarness):
        resource = await harness.make()
        updated = await harness.updates.update(resource.id, update_of(harness.kind))
        assert updated == Updated(resource=resource)


class ContainerUpdatesContract(UpdatesContract):
    @pytest.mark.parametrize("start", [False, True])
    async def test_update_limits_are_set(self, harness: DriverHarness, *, start: bool):
        resource = await harness.make(start=start)
        policy = RestartPolicy(mode=RestartPolicyMode.ON_FAILURE, max_retries=3)
        update = container_update(
            memory_bytes=32 * MIB,
            memory_swap_bytes=96 * MIB,
            cpus=0.25,
            cpuset_cpus="0",
            pids_limit=77,
            restart_policy=policy,
        )
        updated = await updated_by(harness, resource.id, update)
        limits = spec_of(updated).resources
        assert (limits.memory_bytes, limits.memory_swap_bytes) == (32 * MIB, 96 * MIB)
        assert (limits.cpus, limits.cpuset_cpus, limits.pids_limit) == (0.25, "0", 77)
        assert spec_of(updated).restart_policy == policy
        assert updated.state is resource.state
        one = container_update(cpus=0.5)
        updated = await updated_by(harness, resource.id, one)
        limits = spec_of(updated).resources
        assert (limits.cpus, limits.memory_bytes) == (0.5, 32 * MIB)

    async def test_update_name_of_a_running_container_is_set(self, harness: DriverHarness):
        resource = await harness.make(start=True)
        name = harness.new_name()
        renamed = await updated_by(harness, resource.id, update_of(harness.kind, name=name))
        assert (renamed.name, renamed.state) == (name, ResourceState.RUNNING)

    async def test_update_name_with_labels_of_a_container_changes_nothing(
        self, harness: DriverHarness
    ):
        resource = await harness.make()
        update = container_update(name=harness.new_name(), labels={"a": "b"})
        with pytest.raises(CapabilityMissingError):
            await harness.updates.update(resource.id, update)
        assert await harness.driver.get_resource(resource.id) == resource

    async def test_update_of_the_other_kind_is_refused(self, harness: DriverHarness):
        resource = await harness.make()
        update = domain_update(vcpus=2)
        with pytest.raises(InvalidArgumentError, match="set container instead") as caught:
            await harness.updates.update(resource.id, update)
        assert [each.field for each in caught.value.violations] == ["domain"]
        assert await harness.driver.get_resource(resource.id) == resource


class DomainUpdatesContract(UpdatesContract):
    async def test_update_name_of_a_saved_domain_is_refused(self, harness: DriverHarness):
        resource = await harness.bring_to(ResourceState.SAVED)
        with pytest.raises(HasSavedStateError, match="start it"):
            await harness.updates.update(
                resource.id, update_of(harness.kind, name=harness.new_name())
            )
        after = await harness.driver.get_resource(resource.id)
        assert (after.name, after.state) == (resource.name, ResourceState.SAVED)

    @pytest.mark.parametrize(
        "update",
        [
            domain_update(labels={"a": "b"}),
            domain_update(title="Other"),
            domain_update(description="Other", autostart=True),
            domain_update(vcpus=2),
            domain_update(memory_bytes=128 * MIB),
        ],
    )
    async def test_update_that_a_saved_state_would_undo_is_refused(
        self, harness: DriverHarness, update: ResourceUpdate
    ):
        resource = await harness.bring_to(ResourceState.SAVED)
        before = await harness.driver.get_resource(resource.id)
        with pytest.raises(HasSavedStateError, match="start it"):
            await harness.updates.update(resource.id, update)
        assert await harness.driver.get_resource(resource.id) == before

    async def test_update_autostart_of_a_saved_domain_is_kept_after_start(
        self, harness: DriverHarness
    ):
        resource = await harness.bring_to(ResourceState.SAVED)
        update = domain_update(name=resource.name, autostart=True)
        saved = await updated_by(harness, resource.id, update)
        started = await harness.driver.start(resource.id)
        for shown in (saved, started):
            assert shown.domain is not None
            assert shown.domain.autostart
        await updated_by(harness, resource.id, domain_update(autostart=False))

    async def test_update_stopped_domain_is_set(self, harness: DriverHarness):
        resource = await harness.make(labels={"old": "1"})
        assert resource.domain is not None
        update = domain_update(
            labels={"new": "<2>"},
            memory_bytes=resource.domain.memory_bytes + 32 * MIB,
            vcpus=2,
            autostart=True,
            title="A title",
            description="More\nof it",
        )
        updated = await updated_by(harness, resource.id, update)
        assert updated.labels == {"new": "<2>"}
        shown = updated.domain
        assert shown is not None
        more = resource.domain.memory_bytes + 32 * MIB
        assert (shown.memory_bytes, shown.max_memory_bytes, shown.vcpus) == (more, more, 2)
        spec = domain_spec_of(updated)
        assert (shown.autostart, spec.title, spec.description) == (True, "A title", "More\nof it")
        assert (spec.name, spec.labels) == (updated.name, updated.labels)
        assert (spec.memory_bytes, spec.vcpus, spec.autostart) == (more, 2, True)
        await harness.check(updated)
        clear = domain_update(labels={}, autostart=False, title="", description="")
        updated = await updated_by(harness, resource.id, clear)
        assert updated.labels == {}
        assert updated.domain is not None
        spec = domain_spec_of(updated)
        assert updated.domain.autostart is spec.autostart is False
        assert (spec.title, spec.description) == ("", "")

    async def test_update_running_domain_is_set(self, harness: DriverHarness):
        resource = await harness.make(start=True)
        update = domain_update(labels={"new": "2"}, title="Now")
        updated = await updated_by(harness, resource.id, update)
        assert updated.domain is not None
        assert (updated.labels, domain_spec_of(updated).title) == ({"new": "2"}, "Now")
        assert updated.state is ResourceState.RUNNING
        await harness.check(updated)

    async def test_update_name_of_a_running_domain_is_refused(self, harness: DriverHarness):
        resource = await harness.make(start=True)
        with pytest.raises(ResourceRunningError):
            await harness.updates.update(
                resource.id, update_of(harness.kind, name=harness.new_name())
            )
        assert (await harness.driver.get_resource(resource.id)).name == resource.name

    async def test_update_vcpus_of_a_running_domain_is_set_or_pending(self, harness: DriverHarness):
        """The processors change at once, or at the next start as the answer says."""
        resource = await harness.make(start=True)
        update = domain_update(vcpus=2, title="Two")
        updated = await harness.updates.update(resource.id, update)
        at_once = updated.restart_required == ()
        assert at_once or updated.restart_required == ("vcpus",)
        shown = updated.resource.domain
        assert shown is not None
        assert (shown.vcpus, domain_spec_of(updated.resource).title) == (2 if at_once else 1, "Two")
        assert domain_spec_of(updated.resource).vcpus == 2
        await harness.check(updated.resource)
        await harness.driver.stop(resource.id, FORCE)
        started = await harness.driver.start(resource.id)
        assert started.domain is not None
        assert started.domain.vcpus == 2

    async def test_update_vcpus_of_a_transient_domain_is_set_or_refused(
        self, harness: DriverHarness
    ):
        """A transient domain has no next start."""
        resource = await harness.make(start=True, lifetime=Lifetime.TRANSIENT)
        update = domain_update(vcpus=2)
        try:
            updated = await harness.updates.update(resource.id, update)
        except CapabilityMissingError:
            updated = Updated(resource=await harness.driver.get_resource(resource.id))
            vcpus = 1
        else:
            vcpus = 2
        assert updated.restart_required == ()
        assert updated.resource.domain is not None
        assert updated.resource.domain.vcpus == vcpus

    async def test_update_memory_of_a_running_domain_is_followed_or_pending(
        self, harness: DriverHarness
    ):
        """The guest follows, or the answer names the next start."""
        resource = await harness.running()
        assert resource.domain is not None
        most = resource.domain.max_memory_bytes
        less = most - 16 * MIB
        update = domain_update(memory_bytes=less)
        updated = await harness.updates.update(resource.id, update)
        shown = updated.resource.domain
        assert shown is not None
        assert shown.max_memory_bytes == most
        if updated.restart_required:
            assert updated.restart_required == ("memory_bytes",)
            assert shown.memory_bytes == most
        else:
            await eventually(lambda: self._has(harness, resource.id, less))
        await harness.driver.stop(resource.id, FORCE)
        after = await harness.driver.get_resource(resource.id)
        assert after.domain is not None
        assert after.domain.memory_bytes == less

    async def test_update_memory_over_the_room_of_a_running_domain_is_pending(
        self, harness: DriverHarness
    ):
        resource = await harness.make(start=True)
        assert resource.domain is not None
        had = resource.domain.max_memory_bytes
        more = domain_update(memory_bytes=had + 16 * MIB)
        updated = await harness.updates.update(resource.id, more)
        assert updated.restart_required == ("memory_bytes",)
        assert updated.resource.domain is not None
        assert updated.resource.domain.max_memory_bytes == had
        await harness.driver.stop(resource.id, FORCE)
        after = await harness.driver.get_resource(resource.id)
        assert after.domain is not None
        assert after.domain.memory_bytes == after.domain.max_memory_bytes == had + 16 * MIB

    async def test_update_memory_over_the_room_of_a_transient_domain_is_refused(
        self, harness: DriverHarness
    ):
        resource = await harness.make(start=True, lifetime=Lifetime.TRANSIENT)
        assert resource.domain is not None
        had = resource.domain.max_memory_bytes
        more = domain_update(memory_bytes=had + 16 * MIB)
        with pytest.raises(CapabilityMissingError):
            await harness.updates.update(resource.id, more)
        after = await harness.driver.get_resource(resource.id)
        assert after.domain is not None
        assert after.domain.max_memory_bytes == had

    async def test_update_autostart_of_a_transient_domain_is_refused(self, harness: DriverHarness):
        resource = await harness.make(start=True, lifetime=Lifetime.TRANSIENT)
        update = domain_update(autostart=True, title="not set")
        with pytest.raises(CapabilityMissingError):
            await harness.updates.update(resource.id, update)
        after = await harness.driver.get_resource(resource.id)
        assert after.domain is not None
        assert (after.domain.autostart, domain_spec_of(after).title) == (False, "")

    async def _has(self, harness: DriverHarness, id: str, memory_bytes: int) -> bool:
        domain = (await harness.driver.get_resource(id)).domain
        return domain is not None and domain.memory_bytes == memory_bytes

    async def test_update_of_the_other_kind_is_refused(self, harness: DriverHarness):
        resource = await harness.make()
        update = container_update(cpus=1.0)
        with pytest.raises(InvalidArgumentError, match="set domain instead") as caught:
            await harness.updates.update(resource.id, update)
        assert [each.field for each in caught.value.violations] == ["container"]
        assert await harness.driver.get_resource(resource.id) == resource

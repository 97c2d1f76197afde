"""Obligations of `Driver`: identity, reading, and every verb in every state."""

import asyncio
from uuid import uuid4

import pytest

from contract.harness import (
    FORCE,
    SCRAP,
    SNAPSHOT,
    DriverHarness,
    perform,
    verbs_of,
    view_of,
)
from eventually import eventually
from proad.errors import ResourceNotFoundError, StateError
from proad.model import (
    ACTIVE,
    Container,
    Domain,
    Lifetime,
    Resource,
    ResourceKind,
    ResourceState,
    ResourceView,
    Snapshot,
    SnapshotSpec,
    StateReason,
    Verb,
)
from proad.model.verbs import allowed_verbs, refusal

STOPPED, RUNNING, PAUSED = ResourceState.STOPPED, ResourceState.RUNNING, ResourceState.PAUSED
SUMMARY = ResourceView.SUMMARY

# Where a verb leads from wherever it is legal; None: the state stays.
LEADS_TO = {
    Verb.START: RUNNING,
    Verb.STOP: STOPPED,
    Verb.RESTART: RUNNING,
    Verb.PAUSE: PAUSED,
    Verb.RESUME: RUNNING,
    Verb.DELETE: None,
    Verb.UPDATE: None,
    Verb.CREATE_SNAPSHOT: None,
    Verb.REVERT_SNAPSHOT: STOPPED,  # the snapshot was taken of a stopped one
    Verb.DELETE_SNAPSHOT: None,
    Verb.RECREATE: None,
}


def unknown_id(kind: ResourceKind) -> str:
    return str(uuid4()) if kind is ResourceKind.DOMAIN else uuid4().hex * 2


class IllegalVerbsContract:
    async def test_verb_illegal_in_state_changes_nothing(
        self, harness: DriverHarness, state: ResourceState, subtests: pytest.Subtests
    ):
        resource = await harness.bring_to(state)
        illegal = [
            verb
            for verb in verbs_of(harness.kind)
            if verb not in allowed_verbs(harness.kind, state)
        ]
        assert illegal
        for verb in illegal:
            with subtests.test(verb=verb):
                before = await harness.driver.get_resource(resource.id)
                expected = refusal(verb, before)
                assert expected is not None
                with pytest.raises(StateError) as caught:
                    await perform(harness.driver, verb, resource.id, harness.kind)
                assert type(caught.value) is type(expected)
                assert caught.value.metadata == expected.metadata
                after = await harness.driver.get_resource(resource.id)
                assert (after.state, after.state_detail) == (before.state, before.state_detail)
                assert (after.name, after.labels) == (before.name, before.labels)


class LifecycleContract(IllegalVerbsContract):
    async def test_probe_returns_the_engine(self, harness: DriverHarness):
        info = await harness.driver.probe()
        assert info.version
        assert harness.kind in harness.driver.kinds
        assert harness.driver.name
        assert "@" not in harness.driver.endpoint

    async def test_identity_stays_and_is_no_address(self, harness: DriverHarness):
        driver = harness.driver
        identity = await driver.identity()
        assert 0 < len(identity) <= 255
        assert await driver.identity() == identity != driver.endpoint

    async def test_list_has_a_new_resource(self, harness: DriverHarness):
        made = await harness.make(labels={"proa-test": "label"})
        assert made.state is STOPPED
        assert made.kind is harness.kind
        assert made.labels["proa-test"] == "label"
        assert made.create_time is not None
        assert made.lifetime is Lifetime.PERSISTENT
        await harness.check(made)

    @pytest.mark.parametrize("start", [False, True])
    async def test_get_summary_and_full_view_agree(self, harness: DriverHarness, *, start: bool):
        made = await harness.make(start=start)
        for one in (
            await harness.driver.get_resource(made.id, ResourceView.SUMMARY),
            next(each for each in await harness.driver.list_resources() if each.id == made.id),
        ):
            assert (one.name, one.state, one.kind) == (made.name, made.state, made.kind)
            assert one.labels == made.labels
            assert is_summary(one)

        async def same_in_a_list() -> bool:
            listed = await harness.driver.list_resources(ResourceView.FULL)
            full = next(each for each in listed if each.id == made.id)
            assert not is_summary(full)
            return full == await harness.driver.get_resource(made.id, ResourceView.FULL)

        await eventually(same_in_a_list)  # what a disk takes up may change in between

    async def test_verb_unknown_id_is_not_found(self, harness: DriverHarness, verb_of_kind: Verb):
        id = unknown_id(harness.kind)
        with pytest.raises(ResourceNotFoundError) as caught:
            await perform(harness.driver, verb_of_kind, id, harness.kind)
        assert caught.value.metadata == {"resource": id}

    async def test_find_id_name_is_the_id(self, harness: DriverHarness):
        resource = await harness.make()
        assert await harness.driver.find_id(resource.name) == resource.id
        taken = resource.name
        for name in (taken[:-1], f"{taken}x", f"^{taken}$", ".*", resource.id, "", "a\0b", "ü/"):
            assert await harness.driver.find_id(name) == ""
        assert await harness.driver.find_id("x" * 1_000_000) == ""

    async def test_get_unknown_id_is_not_found(self, harness: DriverHarness):
        for view in ResourceView:
            with pytest.raises(ResourceNotFoundError):
                await harness.driver.get_resource(unknown_id(harness.kind), view)

    async def test_verb_legal_in_state_leads_to_its_state(
        self, harness: DriverHarness, move: tuple[Verb, ResourceState]
    ):
        verb, state = move
        resource = await harness.blank(state)
        if verb in {Verb.REVERT_SNAPSHOT, Verb.DELETE_SNAPSHOT}:
            await harness.snapshots.create_snapshot(resource.id, SnapshotSpec(name=SNAPSHOT))
        resource = await harness.bring_to(state, resource)
        assert resource.state is state
        answer = await perform(harness.driver, verb, resource.id, harness.kind)
        assert isinstance(answer, Snapshot) or is_summary(answer) is (view_of(verb) is SUMMARY)
        if verb is Verb.DELETE:
            assert isinstance(answer, Resource)
            assert (answer.id, answer.name) == (resource.id, resource.name)
            assert await harness.is_gone(resource.id)
        elif isinstance(answer, Resource):
            # A container that is made again runs if the one before was active, or comes up as it.
            again = RUNNING if state in ACTIVE else STOPPED
            again = state if state is ResourceState.STARTING else again
            wanted = again if verb is Verb.RECREATE else LEADS_TO[verb] or state
            # A container that comes up again and again also runs in between.
            answer = await harness.settled(answer, wanted)
            await harness.check(answer, view_of(verb))
        else:
            after = await harness.driver.get_resource(resource.id)
            assert after.state is state
            assert answer in await harness.snapshots.list_snapshots(resource.id)

    async def test_delete_force_of_an_active_resource_is_gone(
        self, harness: DriverHarness, state: ResourceState
    ):
        resource = await harness.bring_to(state)
        answer = await harness.driver.delete(resource.id, SCRAP)
        assert (answer.id, answer.name) == (resource.id, resource.name)
        assert await harness.is_gone(resource.id)

    @pytest.mark.parametrize(
        ("verb", "begin", "then"),
        [
            (Verb.START, STOPPED, RUNNING),
            (Verb.PAUSE, RUNNING, PAUSED),
            (Verb.RESUME, PAUSED, RUNNING),
            (Verb.STOP, RUNNING, STOPPED),
        ],
    )
    async def test_verb_several_times_at_once_is_done_and_otherwise_refused(
        self, harness: DriverHarness, verb: Verb, begin: ResourceState, then: ResourceState
    ):
        """The loser of a race is refused as if it had come later."""
        resource = await harness.bring_to(begin)
        answers = await asyncio.gather(
            *(perform(harness.driver, verb, resource.id, harness.kind) for _ in range(3)),
            return_exceptions=True,
        )
        after = await harness.driver.get_resource(resource.id)
        assert after.state is then
        winners = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert winners
        for answer in answers:
            if answer not in winners:
                assert type(answer) is type(refusal(verb, after))

    async def test_stop_force_has_the_reason_killed(self, harness: DriverHarness):
        resource = await harness.make(start=True)
        stopped = await harness.driver.stop(resource.id, FORCE)
        full = await harness.driver.get_resource(resource.id)
        assert full.state_detail.reason is StateReason.KILLED
        if harness.kind is ResourceKind.CONTAINER:
            assert stopped.state_detail.exit_code == 137
            assert full.state_detail.start_time is not None
            assert full.state_detail.finish_time is not None

    async def test_stop_transient_is_gone(self, harness: DriverHarness):
        resource = await harness.make(start=True, lifetime=Lifetime.TRANSIENT)
        assert resource.lifetime is Lifetime.TRANSIENT
        stopped = await harness.driver.stop(resource.id, FORCE)
        assert (stopped.id, stopped.state) == (resource.id, STOPPED)
        assert await harness.is_gone(resource.id)

    async def test_restart_transient_stays(self, harness: DriverHarness):
        resource = await harness.make(start=True, lifetime=Lifetime.TRANSIENT)
        await perform(harness.driver, Verb.RESTART, resource.id, harness.kind)
        after = await harness.driver.get_resource(resource.id)
        assert (after.state, after.lifetime) == (RUNNING, Lifetime.TRANSIENT)

    async def test_delete_force_transient_is_gone(self, harness: DriverHarness):
        resource = await harness.make(start=True, lifetime=Lifetime.TRANSIENT)
        answer = await harness.driver.delete(resource.id, SCRAP)
        assert answer.id == resource.id
        assert await harness.is_gone(resource.id)


def is_summary(resource: Resource) -> bool:
    """Return whether a resource has only the fields of a SUMMARY."""
    detail = resource.state_detail
    if detail.start_time is not None or detail.finish_time is not None:
        return False
    if (full := resource.container) is not None:
        return full == Container(
            image=full.image,
            image_id=full.image_id,
            ports=full.ports,
            mounts=full.mounts,
            networks=full.networks,
        )
    assert resource.domain is not None
    return resource.domain == Domain(
        memory_bytes=resource.domain.memory_bytes,
        max_memory_bytes=resource.domain.max_memory_bytes,
        vcpus=resource.domain.vcpus,
        autostart=resource.domain.autostart,
    )

"""Obligations of `Driver.subscribe`, and of the SUMMARYs that are read after events."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from contract.domains import MEMORY
from contract.driver_watcher import DriverWatcher
from contract.harness import FORCE, DriverHarness, perform, reported_update
from event_queue import EventQueue
from eventually import consistently, eventually
from proad.model import (
    DomainSpec,
    EngineEvent,
    Lifetime,
    ResourceState,
    ResourceView,
    SnapshotSpec,
    Verb,
)
from updating import update_of

STOPPED, RUNNING, PAUSED = ResourceState.STOPPED, ResourceState.RUNNING, ResourceState.PAUSED
SUMMARY, FULL = ResourceView.SUMMARY, ResourceView.FULL


class SummariesContract:
    """SUMMARYs of an unchanged resource are equal, wherever they come from."""

    async def test_list_and_get_return_the_same(self, harness: DriverHarness, state: ResourceState):
        resource = await harness.bring_to(state)
        listed = {each.id: each for each in await harness.driver.list_resources()}
        assert listed[resource.id] == await harness.driver.get_resource(resource.id, SUMMARY)

    async def test_summary_while_time_passes_is_unchanged(self, harness: DriverHarness):
        resource = await harness.running()
        before = await harness.driver.get_resource(resource.id, SUMMARY)

        async def unchanged() -> bool:
            read = await harness.driver.get_resource(resource.id, SUMMARY)
            return read == before and before in await harness.driver.list_resources()

        await consistently(unchanged, during=1.1)  # an engine that counts seconds counts one

    async def test_full_view_age_is_none_or_positive(self, harness: DriverHarness):
        age = harness.driver.full_view_age
        assert age is None or age > timedelta()


class EventsContract(SummariesContract):
    async def test_events_of_every_verb_lead_to_the_new_state(self, harness: DriverHarness):
        async with DriverWatcher.of(harness.driver) as watcher:
            id = (await harness.make()).id
            await watcher.wait_consistent(id)
            for verb, state in (
                (Verb.START, RUNNING),
                (Verb.PAUSE, PAUSED),
                (Verb.RESUME, RUNNING),
                (Verb.RESTART, RUNNING),
            ):
                answer = await perform(harness.driver, verb, id, harness.kind)
                await watcher.wait_consistent(id)
                assert watcher.resources[id] == answer
                assert watcher.resources[id].state is state
            assert not watcher.merged_event(id).removed
            await harness.driver.stop(id, FORCE)
            await watcher.wait_consistent(id)
            assert watcher.resources[id].state is STOPPED
            await watcher.wait_event(id, "ended")
            assert not watcher.merged_event(id).removed
            await harness.driver.delete(id)
            await watcher.wait_consistent(id)
            assert id not in watcher.resources
            await watcher.wait_event(id, "removed")

    async def test_events_of_pause_and_resume_are_no_end(self, harness: DriverHarness):
        async with DriverWatcher.of(harness.driver) as watcher:
            id = (await harness.make(start=True)).id
            await harness.driver.pause(id)
            await watcher.wait_consistent(id)
            await harness.driver.resume(id)
            await watcher.wait_consistent(id)
            told = watcher.merged_event(id)
            assert (told.ended, told.removed) == (False, False)

    async def test_events_of_a_rename_lead_to_the_new_name(self, harness: DriverHarness):
        id = (await harness.make()).id
        async with DriverWatcher.of(harness.driver) as watcher:
            name = harness.new_name()
            await harness.updates.update(id, update_of(harness.kind, name=name))
            await watcher.wait_consistent(id)
            assert watcher.resources[id].name == name
            assert not watcher.merged_event(id).removed

    @pytest.mark.parametrize("start", [False, True])
    async def test_events_of_an_update_are_reconfigured(
        self, harness: DriverHarness, *, start: bool
    ):
        id = (await harness.make(start=start)).id
        async with DriverWatcher.of(harness.driver, FULL) as watcher:
            before = watcher.resources[id]
            await harness.updates.update(id, reported_update(harness.kind))
            await watcher.wait_consistent(id)
            assert watcher.resources[id] != before
            await watcher.wait_event(id, "reconfigured")

    async def test_events_of_a_transient_resource_that_stops_are_ended(
        self, harness: DriverHarness
    ):
        async with DriverWatcher.of(harness.driver) as watcher:
            id = (await harness.make(start=True, lifetime=Lifetime.TRANSIENT)).id
            await watcher.wait_consistent(id)
            assert not watcher.merged_event(id).ended
            await harness.driver.stop(id, FORCE)
            await watcher.wait_consistent(id)
            assert id not in watcher.resources
            await watcher.wait_event(id, "ended")

    async def test_events_before_the_first_read_are_kept(self, harness: DriverHarness):
        async with EventQueue.of(harness.driver) as events:
            made = await harness.make()
            assert made.id in {each.id for each in await harness.driver.list_resources()}
            await eventually(lambda: not events.empty)
            async with asyncio.timeout(30):
                while (await anext(events)).id != made.id:
                    pass

    async def test_subscribe_with_on_event_that_raises_ends_that_subscription_alone(
        self, harness: DriverHarness
    ):
        class OfTheConsumerError(Exception):
            pass

        seen: list[str] = []

        def fail(event: EngineEvent) -> None:
            seen.append(event.id)
            raise OfTheConsumerError

        async with DriverWatcher.of(harness.driver) as watcher:
            async with harness.driver.subscribe(fail) as lost:
                id = (await harness.make(start=True)).id
                with pytest.raises(OfTheConsumerError):
                    async with asyncio.timeout(30):
                        await lost
                await harness.driver.pause(id)
                await watcher.wait_consistent(id)
                assert len(seen) == 1
            assert watcher.resources[id].state is PAUSED

    async def test_subscribe_twice_is_independent(self, harness: DriverHarness):
        id = (await harness.make(start=True)).id
        async with DriverWatcher.of(harness.driver) as one:
            async with DriverWatcher.of(harness.driver) as other:
                await harness.driver.pause(id)
                await one.wait_consistent(id)
                await other.wait_consistent(id)
            await harness.driver.resume(id)
            await one.wait_consistent(id)
            assert one.resources[id].state is RUNNING
            assert other.resources[id].state is PAUSED  # it had gone

    async def test_subscribe_after_the_block_calls_on_event_no_more(self, harness: DriverHarness):
        id = (await harness.make(start=True)).id
        events: list[EngineEvent] = []
        async with DriverWatcher.of(harness.driver) as watcher:
            async with harness.driver.subscribe(events.append):
                pass
            events.clear()
            await harness.driver.pause(id)
            await watcher.wait_for(id, lambda it: it.state is PAUSED)
        assert events == []


class SnapshotEventsContract:
    """Obligations of drivers whose events cover all changes, so that FULL views are kept."""

    async def test_events_of_snapshots_lead_to_the_new_count(self, harness: DriverHarness):
        id = (await harness.make()).id
        async with DriverWatcher.of(harness.driver, FULL) as watcher:
            for count, change in (
                (1, harness.snapshots.create_snapshot(id, SnapshotSpec(name="one"))),
                (0, harness.snapshots.delete_snapshot(id, "one")),
            ):
                await change
                await watcher.wait_consistent(id)
                domain = watcher.resources[id].domain
                assert domain is not None
                assert domain.snapshot_count == count


class DomainEventsContract:
    """Domains can be redefined under their former id."""

    async def test_events_of_another_domain_with_the_same_id_lead_to_it(
        self, harness: DriverHarness
    ):
        id = str(uuid4())
        spec = DomainSpec(name=harness.new_name(), uuid=id, memory_bytes=MEMORY, diskless=True)
        await harness.domains.create_domain(spec)
        async with DriverWatcher.of(harness.driver) as watcher:
            await harness.driver.delete(id)
            name = harness.new_name()
            await harness.domains.create_domain(replace(spec, name=name))
            await watcher.wait_for(id, lambda it: it.name == name)
            await watcher.wait_event(id, "removed")

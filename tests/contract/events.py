"""Obligations of `Driver.subscribe`, and of the SUMMARYs that are read after events."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from contract.domains import MEMORY
from contract.follower import Follower, unread
from contract.yard import FORCE, SCRAP, Yard, perform, told_update
from proad.model import (
    DomainSpec,
    Lifetime,
    ResourceState,
    ResourceUpdate,
    ResourceView,
    SnapshotSpec,
    Verb,
)

STOPPED, RUNNING, PAUSED = ResourceState.STOPPED, ResourceState.RUNNING, ResourceState.PAUSED
SUMMARY, FULL = ResourceView.SUMMARY, ResourceView.FULL


class SummariesContract:
    """Two of a resource that did not change are equal, wherever they come from."""

    async def test_list_and_question_give_the_same(self, yard: Yard, state: ResourceState):
        resource = await yard.bring_to(state)
        listed = {each.id: each for each in await yard.driver.list_resources()}
        assert listed[resource.id] == await yard.driver.get_resource(resource.id, SUMMARY)

    async def test_time_changes_nothing(self, yard: Yard):
        resource = await yard.running()
        before = await yard.driver.get_resource(resource.id, SUMMARY)
        await asyncio.sleep(1.1)  # engines that count seconds have counted one
        assert await yard.driver.get_resource(resource.id, SUMMARY) == before
        assert before in await yard.driver.list_resources()

    async def test_a_full_view_may_be_kept(self, yard: Yard):
        age = yard.driver.full_view_age
        assert age is None or age > timedelta()


class EventsContract(SummariesContract):
    async def test_a_life_is_heard(self, yard: Yard):
        async with Follower.of(yard.driver) as follower:
            id = (await yard.make()).id
            await follower.agrees(id)
            for verb, state in (
                (Verb.START, RUNNING),
                (Verb.PAUSE, PAUSED),
                (Verb.RESUME, RUNNING),
                (Verb.RESTART, RUNNING),
            ):
                answer = await perform(yard.driver, verb, id, yard.kind)
                await follower.agrees(id)
                assert follower.known[id] == answer
                assert follower.known[id].state is state
            assert not follower.about(id).removed
            await yard.driver.stop(id, FORCE)
            await follower.agrees(id)
            assert follower.known[id].state is STOPPED
            await follower.hears(id, "ended")
            assert not follower.about(id).removed
            await yard.driver.delete(id)
            await follower.agrees(id)
            assert id not in follower.known
            await follower.hears(id, "removed")

    async def test_freezing_ends_nothing(self, yard: Yard):
        async with Follower.of(yard.driver) as follower:
            id = (await yard.make(start=True)).id
            await yard.driver.pause(id)
            await follower.agrees(id)
            await yard.driver.resume(id)
            await follower.agrees(id)
            told = follower.about(id)
            assert (told.ended, told.removed) == (False, False)

    async def test_a_new_name_is_heard(self, yard: Yard):
        id = (await yard.make()).id
        async with Follower.of(yard.driver) as follower:
            name = yard.new_name()
            await yard.updates.update(id, ResourceUpdate(name=name))
            await follower.agrees(id)
            assert follower.known[id].name == name
            assert not follower.about(id).removed

    @pytest.mark.parametrize("start", [False, True])
    async def test_what_a_summary_does_not_show_is_heard(self, yard: Yard, *, start: bool):
        id = (await yard.make(start=start)).id
        async with Follower.of(yard.driver, FULL) as follower:
            before = follower.known[id]
            await yard.updates.update(id, told_update(yard.kind))
            await follower.agrees(id)
            assert follower.known[id] != before
            await follower.hears(id, "reconfigured")

    async def test_the_end_of_a_transient_one_is_heard(self, yard: Yard):
        async with Follower.of(yard.driver) as follower:
            id = (await yard.make(start=True, lifetime=Lifetime.TRANSIENT)).id
            await follower.agrees(id)
            assert not follower.about(id).ended
            await yard.driver.stop(id, FORCE)
            await follower.agrees(id)
            assert id not in follower.known
            await follower.hears(id, "ended")

    async def test_nothing_is_lost_before_it_is_read(self, yard: Yard):
        async with yard.driver.subscribe() as events:
            made = await yard.make()
            assert made.id in {each.id for each in await yard.driver.list_resources()}
            await yard.moment()
            async with asyncio.timeout(30):
                while (await anext(events)).id != made.id:
                    pass

    async def test_a_slow_reader_finds_one_hint(self, yard: Yard):
        id = (await yard.make(start=True)).id
        async with yard.driver.subscribe() as events, yard.driver.subscribe() as others:
            for _ in range(5):
                await yard.driver.pause(id)
                await yard.driver.resume(id)
            await yard.driver.stop(id, FORCE)
            await yard.driver.delete(id, SCRAP)
            async with asyncio.timeout(30):  # until somebody else has heard of the end
                while not ((event := await anext(others)).id == id and event.removed):
                    pass
            await asyncio.sleep(1.0)  # and all of it has come
            (hint,) = await unread(events, id)
            assert hint.ended
            assert hint.removed

    async def test_each_subscription_is_its_own(self, yard: Yard):
        id = (await yard.make(start=True)).id
        async with Follower.of(yard.driver) as one:
            async with Follower.of(yard.driver) as other:
                await yard.driver.pause(id)
                await one.agrees(id)
                await other.agrees(id)
            await yard.driver.resume(id)
            await one.agrees(id)
            assert one.known[id].state is RUNNING
            assert other.known[id].state is PAUSED  # it had gone

    async def test_a_reader_that_goes_away_is_let_go(self, yard: Yard):
        async with asyncio.timeout(30):
            async with yard.driver.subscribe() as events:
                reader = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0)
            reader.cancel()
            await asyncio.wait([reader])
        await yard.driver.probe()


class SnapshotEventsContract:
    """Where events come with all changes, so that a FULL view may be kept for ever."""

    async def test_snapshots_are_heard(self, yard: Yard):
        id = (await yard.make()).id
        async with Follower.of(yard.driver, FULL) as follower:
            for count, change in (
                (1, yard.snapshots.create_snapshot(id, SnapshotSpec(name="one"))),
                (0, yard.snapshots.delete_snapshot(id, "one")),
            ):
                await change
                await follower.agrees(id)
                domain = follower.known[id].domain
                assert domain is not None
                assert domain.snapshot_count == count


class DomainEventsContract:
    """Domains can be defined anew under the id that they had."""

    async def test_another_one_under_the_same_id_is_heard(self, yard: Yard):
        id = str(uuid4())
        spec = DomainSpec(name=yard.new_name(), uuid=id, memory_bytes=MEMORY, diskless=True)
        await yard.domains.create_domain(spec)
        async with Follower.of(yard.driver) as follower:
            await yard.driver.delete(id)
            name = yard.new_name()
            await yard.domains.create_domain(replace(spec, name=name))
            await follower.sees(id, lambda it: it.name == name)
            await follower.hears(id, "removed")

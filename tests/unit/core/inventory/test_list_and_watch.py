"""A list page by page, and then a watch from its revision: together they miss nothing."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proad.core.hosts import Hosts
from proad.core.inventory import (
    ChangeHistory,
    Inventory,
    InventoryTiming,
    ResumePoint,
    Selection,
    Store,
    watch,
)
from proad.core.listing import OrderBy, ResourceLister
from proad.core.slices import TimeSlicer
from proad.errors import RevisionCompactedError
from proad.model import ChangeType, GapKind, ResourceFilter, ResourceState, path_of
from unit.core.inventory.scripted import Scripted, box, linked, quiet, until

S = ResourceState
# Long waits never come to an end here: a lost engine is back when a step says so.
TIMING = InventoryTiming(back_off=(0.0,))
IDS, NAMES = st.sampled_from("123456"), st.sampled_from(["aa", "ab", "b", "c"])
STATES = st.sampled_from([S.RUNNING, S.STOPPED])
HOSTS = st.sampled_from(["local", "far"])
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("put"), HOSTS, IDS, NAMES, STATES),
        st.tuples(st.just("take"), HOSTS, IDS),
        st.tuples(st.sampled_from(["lose", "find"]), HOSTS),
    ),
    max_size=5,
)
FILTERS = st.sampled_from(
    [
        ResourceFilter(),
        ResourceFilter(states=(S.RUNNING,)),
        ResourceFilter(name_prefix="a"),
        ResourceFilter(hosts=("far",)),
        ResourceFilter(ids=("1", "2", "far/container/3")),
    ]
)
ORDERS = st.sampled_from(["", "name desc", "state,name", "create_time desc"])


class World:
    """Two engines, and an inventory that follows them."""

    def __init__(self, size=8192):
        self.size = size

    async def __aenter__(self):
        self.engines = {"local": Scripted(), "far": Scripted()}
        self.connections = {
            host: await linked(engine, host) for host, engine in self.engines.items()
        }
        connections = list(self.connections.values())
        self.inventory = Inventory(
            connections, Store(ChangeHistory(self.size)), slicer=TimeSlicer(0.0), timing=TIMING
        )
        self.following = self.inventory.following()
        await self.following.__aenter__()
        self.lister = ResourceLister(
            Hosts(list(self.engines), connections), self.inventory, TimeSlicer(0.0)
        )
        return self

    async def __aexit__(self, *error):
        await self.following.__aexit__(*error)

    async def change(self, what, host, id="", name="", state=S.RUNNING):
        engine, connection = self.engines[host], self.connections[host]
        match what:
            case "put":
                engine.put(box(id, name, state))
            case "take" if id in engine.there:
                engine.take(id)
            case "lose" | "find":
                engine.lost = what == "lose"
                await connection.probe()
                if engine.lost:
                    await until(lambda: not engine.followers)
                else:
                    await self.inventory.ready(connection)
        await quiet(self.inventory)

    def truth(self, which):
        return {
            path: (resource.name, resource.state)
            for host, engine in self.engines.items()
            for each in engine.there.values()
            if which.matches(
                resource := replace(
                    each,
                    engine=self.connections[host].ref,
                    path=(path := path_of(self.connections[host].ref, each)),
                )
            )
        }

    async def list(self, which, order, size, between):
        """List all pages, with changes before each but the first, and return what was listed."""
        listed: dict[str, tuple[str, ResourceState]] = {}
        order, after, point = OrderBy(order), None, None
        for changes in [[], *between]:
            for change in changes:
                await self.change(*change)
            page = await self.lister.page(which, order, size, after=after, partial=True)
            point = point or ResumePoint(self.inventory.epoch, page.revision)
            if page.unreachable:
                point = replace(point, incomplete=True)
            listed |= {each.path: (each.name, each.state) for each in page.resources}
            if not page.more:
                break
            after = order.position(page.resources[-1])
        return listed, point

    async def follow(self, which, listed, point, during):
        """Watch from a point, with changes meanwhile, until all is told."""
        picture = dict(listed)
        covered = [
            each
            for each in self.connections.values()
            if not which.hosts or each.ref.host in which.hosts
        ]
        batches: Any = watch(
            self.inventory,
            Selection(which, covered),
            heartbeat=timedelta(seconds=0.01),
            after=point,
        )
        changes = list(during)
        async with aclosing(batches), asyncio.timeout(30):
            async for batch in batches:
                for _, event in batch.events:
                    if event.gap and event.gap.kind is GapKind.WATCH_RESTARTED:
                        picture.clear()
                    if event.change is None:
                        continue
                    resource = event.change.resource
                    if event.change.type is ChangeType.REMOVED:
                        picture.pop(resource.path, None)
                    else:
                        picture[resource.path] = (resource.name, resource.state)
                if changes:
                    await self.change(*changes.pop(0))
                elif batch.revision == self.inventory.revision:
                    return picture
        raise AssertionError("the watch has ended")


@settings(max_examples=60, deadline=None)
@given(
    before=CHANGES,
    between=st.lists(CHANGES, min_size=6, max_size=6),
    during=CHANGES,
    which=FILTERS,
    order=ORDERS,
    size=st.integers(1, 3),
)
def test_pages_and_watch_from_their_point_equal_the_truth(
    before, between, during, which, order, size
):
    async def run():
        async with World() as world:
            for id in "123456":
                await world.change("put", "local", id, "aa")
                await world.change("put", "far", id, "ab", S.STOPPED)
            for change in before:
                await world.change(*change)
            listed, point = await world.list(which, order, size, [*between, *[[]] * 12])
            # In the end all engines answer, or nobody could tell.
            ends = [("find", host) for host in world.engines]
            assert await world.follow(which, listed, point, [*during, *ends]) == world.truth(which)

    asyncio.run(run())


@pytest.mark.parametrize("when", ["first", "second", "between"])
async def test_watch_after_a_partial_list_tells_what_the_list_left_out(when):
    """An engine that comes back unchanged tells of no change."""
    async with World() as world:
        for id in "123":
            await world.change("put", "far", id, "b")
        await world.change("put", "local", "1", "aa")
        await world.change("put", "local", "2", "ab")
        lost, found = [("lose", "far")], [("find", "far")]
        if when == "first":
            await world.change("lose", "far")
        between = {"first": [[], found], "second": [lost, found], "between": [[*lost, *found]]}

        listed, point = await world.list(ResourceFilter(), "", 1, [*between[when], *[[]] * 9])

        assert point.incomplete == (when != "between")
        picture = await world.follow(ResourceFilter(), listed, point, found)
        assert picture == world.truth(ResourceFilter())
        assert len(picture) == 5


async def test_watch_from_a_point_that_the_history_has_left_is_compacted():
    async with World(size=4) as world:
        await world.change("put", "local", "1", "aa")
        _, point = await world.list(ResourceFilter(), "", 10, [])
        for name in ("a", "b", "c", "d", "e"):
            await world.change("put", "local", "1", name)

        with pytest.raises(RevisionCompactedError):
            await world.follow(ResourceFilter(), {}, point, [])


async def test_watch_from_a_point_of_another_epoch_is_compacted():
    async with World() as world:
        _, point = await world.list(ResourceFilter(), "", 10, [])

        with pytest.raises(RevisionCompactedError):
            await world.follow(ResourceFilter(), {}, replace(point, epoch="other"), [])

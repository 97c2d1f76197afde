"""Many waits that begin, look or end at once: the loop serves others in between."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.resolver import Resolver
from proad.core.slices import TimeSlicer
from proad.core.wait_service import WaitService
from proad.errors import WaitTimedOutError
from proad.model import InState, ResourceState, WaitCondition, WaitOptions
from unit.core.inventory.scripted import Scripted, box, linked, until

MANY = 200
PAUSED = WaitCondition(in_state=InState(states=(ResourceState.PAUSED,)))
HERE = WaitCondition(in_state=InState(states=(ResourceState.RUNNING,)))


class Turns:
    """Counts how often the loop serves others."""

    served = 0

    async def count(self):
        while True:
            self.served += 1
            await asyncio.sleep(0)


@pytest.fixture
def engine():
    return Scripted(box("1", "web"))


@pytest.fixture
async def service(engine):
    connection = await linked(engine)
    inventory = Inventory([connection])
    async with inventory.following():
        resolver = Resolver(Hosts(["local"], [connection]), inventory)
        # Each has a slice of its own.
        yield WaitService(resolver, inventory, TimeSlicer(0.0))


@asynccontextmanager
async def many(service, condition, seconds=60.0):
    """Begin many waits, and yield the turns that others had between their first end and their last."""
    turns, ends = Turns(), []

    async def one():
        options = WaitOptions(condition=condition, timeout=timedelta(seconds=seconds))
        try:
            return await service.wait("web", options)
        finally:
            ends.append(turns.served)

    waits = [asyncio.create_task(one()) for _ in range(MANY)]
    counting = asyncio.create_task(turns.count())
    try:
        yield waits, ends
    finally:
        counting.cancel()
        await asyncio.gather(counting, *waits, return_exceptions=True)


async def test_waits_that_begin_and_end_at_once_are_parted(service):
    async with many(service, HERE) as (waits, ends):
        await asyncio.gather(*waits)

    assert ends[-1] - ends[0] > MANY / 2


async def test_waits_for_one_change_are_parted(service, engine):
    async with many(service, PAUSED) as (waits, ends):
        for _ in range(3 * MANY):  # until all have looked
            await asyncio.sleep(0)
        engine.put(box("1", "web", ResourceState.PAUSED))
        await until(lambda: all(wait.done() for wait in waits))

    assert ends[-1] - ends[0] > MANY / 2


async def test_waits_that_time_out_at_once_are_parted(service):
    async with many(service, PAUSED, seconds=0.01) as (waits, ends):
        failures = await asyncio.gather(*waits, return_exceptions=True)

    assert {type(each) for each in failures} == {WaitTimedOutError}
    assert ends[-1] - ends[0] > MANY / 2

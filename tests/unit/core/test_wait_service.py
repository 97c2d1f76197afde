"""Waits on an engine scripted by the test."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.resolver import Resolver
from proad.core.slices import TimeSlicer
from proad.core.wait_service import WaitService, WaitTiming
from proad.errors import (
    ConditionImpossibleError,
    EngineUnreachableError,
    ShuttingDownError,
    TooManyWaitsError,
    WaitTimedOutError,
)
from proad.model import (
    Gone,
    HealthStatus,
    InState,
    Ready,
    ResourceState,
    WaitCondition,
    WaitOptions,
)
from unit.core.inventory.scripted import Scripted, box, linked, until

S = ResourceState
READY, GONE = WaitCondition(ready=Ready()), WaitCondition(gone=Gone())
PAUSED = WaitCondition(in_state=InState(states=(S.PAUSED,)))
# A wait is woken by changes alone.
TIMING = WaitTiming(look_again=3600.0)


class Checked(Scripted):
    """Tells the health of containers in the FULL view alone, as Docker does."""

    health: HealthStatus | None = HealthStatus.STARTING

    def published(self, id, view="SUMMARY"):
        resource = super().published(id, view)
        if view == "SUMMARY":
            return resource
        return replace(resource, container=replace(resource.container, health=self.health))


@pytest.fixture
def engine():
    return Checked(box("1", "web"), box("2", "other"))


@pytest.fixture
async def connection(engine):
    return await linked(engine)


@pytest.fixture
async def inventory(connection):
    inventory = Inventory([connection])
    async with inventory.following():
        yield inventory


@pytest.fixture
def service(inventory, connection):
    resolver = Resolver(Hosts(["local"], [connection]), inventory)
    return WaitService(resolver, inventory, TimeSlicer(), TIMING, most=3)


def options(condition, seconds=30):
    return WaitOptions(condition=condition, timeout=timedelta(seconds=seconds))


@asynccontextmanager
async def waiting(service, engine, condition, ref="web", **others):
    """Begin a wait, and enter when it has looked once."""
    before = engine.asked["full"]
    call = asyncio.ensure_future(service.wait(ref, options(condition, **others)))
    if condition is READY:
        await until(lambda: engine.asked["full"] > before)
    for _ in range(20):
        await asyncio.sleep(0)
    try:
        yield call
    finally:
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)


async def test_wait_ready_is_woken_by_the_event_of_a_health_check(service, engine):
    async with waiting(service, engine, READY) as call:
        engine.health = HealthStatus.UNHEALTHY
        engine.tell("1", reconfigured=True)
        await until(lambda: engine.asked["full"] > 1)
        assert not call.done()

        engine.health = HealthStatus.HEALTHY
        engine.tell("1", reconfigured=True)

        assert (await call).id == "1"


async def test_wait_reads_nothing_for_changes_of_other_resources(service, engine):
    async with waiting(service, engine, READY) as call:
        asked = engine.asked["full"]

        engine.put(box("2", "other", S.PAUSED))
        await service.wait("other", options(PAUSED))

        assert (engine.asked["full"], call.done()) == (asked, False)


async def test_wait_for_a_state_needs_no_full_view(service, engine):
    async with waiting(service, engine, PAUSED) as call:
        engine.put(box("1", "web", S.PAUSED))

        assert (await call).state is S.PAUSED
    assert not engine.asked["full"]


async def test_wait_ready_fails_when_the_container_ends_or_goes(service, engine):
    for end in (lambda: engine.put(box("1", "web", S.STOPPED)), lambda: engine.take("2")):
        ref = "web" if engine.there["1"].state is S.RUNNING else "other"
        async with waiting(service, engine, READY, ref) as call:
            end()

            with pytest.raises(ConditionImpossibleError):
                await call


async def test_wait_gone_ends_although_another_comes_under_the_id(service, engine, inventory):
    async with waiting(service, engine, GONE) as call:
        engine.take("1")
        engine.put(box("1", "web"))

        assert await call is None


async def test_waits_of_one_user_are_bounded(service, engine):
    calls = [asyncio.ensure_future(service.wait("web", options(PAUSED))) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(TooManyWaitsError):
        await service.wait("web", options(PAUSED))

    engine.put(box("1", "web", S.PAUSED))
    assert {(await call).id for call in calls} == {"1"}
    assert (await service.wait("web", options(PAUSED))).id == "1"


async def test_wait_past_its_timeout_says_what_keeps_the_condition(service, engine):
    with pytest.raises(WaitTimedOutError, match="is RUNNING, and its health check says STARTING"):
        await service.wait("web", options(READY, seconds=0.5))


async def test_wait_whose_engine_is_lost_meanwhile_fails_in_the_end(service, engine, connection):
    call = asyncio.ensure_future(service.wait("web", options(PAUSED, seconds=0.5)))
    await asyncio.sleep(0)
    engine.lost = True
    await connection.probe()

    with pytest.raises(EngineUnreachableError):
        await call


async def test_wait_ends_with_the_daemon(service, engine, inventory):
    async with waiting(service, engine, PAUSED) as call:
        inventory.close()

        with pytest.raises(ShuttingDownError):
            await call

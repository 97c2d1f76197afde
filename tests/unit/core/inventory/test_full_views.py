"""FULL views: read on first need, kept until the next event."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from eventually import eventually
from proad.core.inventory import Inventory
from proad.errors import EngineConflictError, EngineUnreachableError, ResourceNotFoundError
from proad.model import Domain, ResourceState, Verb
from unit.core.inventory.scripted import Gate, box, nothing, quiet, until

S = ResourceState


@pytest.fixture
async def inventory(engine, follow):
    engine.put(box())
    return await follow()


def command(resource):
    return resource.container.command[0]


async def test_full_view_is_read_once(engine, connection, inventory):
    first = await inventory.full(connection, "1")

    assert command(first) == "first"
    assert await inventory.full(connection, "1") is first
    assert engine.asked["full"] == 1


async def test_full_view_has_published_fields(connection, inventory):
    published, full = (
        inventory.entry(connection, "1").published,
        await inventory.full(connection, "1"),
    )

    for field in ("engine", "allowed_verbs", "etag", "revision", "observe_time"):
        assert getattr(full, field) == getattr(published, field)


@pytest.mark.parametrize("event", [{}, {"reconfigured": True}, {"ended": True}])
async def test_full_view_after_event_is_read_again(engine, connection, inventory, event):
    await inventory.full(connection, "1")
    engine.commands["1"] = "second"

    engine.tell("1", **event)
    await quiet(inventory)

    assert command(await inventory.full(connection, "1")) == "second"


async def test_full_view_after_event_of_another_is_kept(engine, connection, inventory):
    await inventory.full(connection, "1")

    engine.put(box("2", "other"))
    await quiet(inventory)
    await inventory.full(connection, "1")

    assert engine.asked["full"] == 1


async def test_full_view_during_activity_is_kept_and_shows_it(engine, connection, inventory):
    await inventory.full(connection, "1")
    entry = inventory.entry(connection, "1")
    with inventory.activity(entry, Verb.STOP) as on_step:
        on_step("asked")

        activity = (await inventory.full(connection, "1")).activity
        assert (activity.verb, activity.step) == (Verb.STOP, "asked")
    assert engine.asked["full"] == 1


async def test_full_view_with_many_callers_is_read_once(engine, connection, inventory):
    gate = engine.before = Gate("full")
    calls = [asyncio.ensure_future(inventory.full(connection, "1")) for _ in range(50)]
    await gate.reached.wait()
    gate.open.set()

    assert len(set(map(id, await asyncio.gather(*calls)))) == 1
    assert engine.asked["full"] == 1


async def test_full_view_caller_when_cancelled_leaves_the_others(engine, connection, inventory):
    gate = engine.before = Gate("full")
    first, second = (asyncio.ensure_future(inventory.full(connection, "1")) for _ in range(2))
    await gate.reached.wait()
    first.cancel()
    await asyncio.sleep(0)
    gate.open.set()

    assert command(await second) == "first"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_full_view_failure_reaches_all_callers_and_is_not_kept(engine, connection, inventory):
    failing = [True]

    async def fail(method, id):
        await asyncio.sleep(0.01)
        if method == "full" and failing:
            raise EngineConflictError("scripted", "no")

    engine.before = fail
    calls = [asyncio.ensure_future(inventory.full(connection, "1")) for _ in range(3)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {EngineConflictError}
    failing.clear()

    assert command(await inventory.full(connection, "1")) == "first"


async def test_full_view_read_when_engine_is_lost_raises_unreachable(engine, connection, inventory):
    gate = engine.before = Gate("full")
    call = asyncio.ensure_future(inventory.full(connection, "1"))
    await gate.reached.wait()

    engine.lost = True
    await connection.probe()

    with pytest.raises(EngineUnreachableError):
        await asyncio.wait_for(call, 1)


async def test_full_view_read_before_event_is_not_kept(engine, connection, inventory):
    gate = engine.after = Gate("full")
    call = asyncio.ensure_future(inventory.full(connection, "1"))
    await gate.reached.wait()
    engine.commands["1"] = "second"
    engine.tell("1")
    await quiet(inventory)
    gate.open.set()

    # A caller from before the event may get the older view; a later caller may not.
    await call
    assert command(await inventory.full(connection, "1")) == "second"


async def test_full_view_beyond_its_age_is_read_again(engine, connection, inventory):
    engine.full_view_age = timedelta(hours=1)
    first = await inventory.full(connection, "1")
    assert await inventory.full(connection, "1") is first
    engine.full_view_age = timedelta(seconds=0.05)
    engine.commands["1"] = "second"

    async def read_again():
        return command(await inventory.full(connection, "1")) == "second"

    await eventually(read_again)


async def test_full_view_with_new_state_updates_summary(engine, connection, inventory):
    """SUMMARY and FULL never contradict each other."""
    engine.put(box(state=S.STOPPED), tell=False)

    full = await inventory.full(connection, "1")

    assert full.state == inventory.entry(connection, "1").published.state == S.STOPPED


async def test_full_view_of_constantly_changing_resource_returns(engine, connection, inventory):
    async def flip(method, id):
        state = engine.there["1"].state
        engine.put(box(state=S.STOPPED if state is S.RUNNING else S.RUNNING), tell=False)

    engine.before = flip

    full = await asyncio.wait_for(inventory.full(connection, "1"), 2)

    assert (full.id, full.engine.host) == ("1", "local")


async def test_full_view_of_removed_resource_raises_not_found(engine, connection, inventory):
    engine.take("1", tell=False)

    with pytest.raises(ResourceNotFoundError):
        await inventory.full(connection, "1")
    await until(lambda: inventory.entry(connection, "1") is None)
    with pytest.raises(ResourceNotFoundError):
        await inventory.full(connection, "1")


async def test_full_view_of_recreated_resource_is_read_anew(engine, connection, inventory):
    await inventory.full(connection, "1")
    engine.take("1")
    engine.commands["1"] = "second"
    engine.put(box())
    await quiet(inventory)

    assert command(await inventory.full(connection, "1")) == "second"


async def test_full_view_read_ends_with_inventory(engine, connection):
    engine.put(box())
    inventory = Inventory([connection])
    gate = engine.before = Gate("full")
    async with inventory.following():
        call = asyncio.ensure_future(inventory.full(connection, "1"))
        await gate.reached.wait()

    assert gate.waiting == 0
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_full_view_with_driver_fault_falls_back_to_summary(engine, connection, inventory):
    """The fault is logged once; the driver's own errors are raised to the caller."""

    async def fail(method, _id):
        if method == "full":
            raise KeyError("HostConfig")

    engine.before = fail
    with capture_logs() as logs:
        for _ in range(3):
            assert (
                await inventory.full(connection, "1") == inventory.entry(connection, "1").published
            )
    assert [line["event"] for line in logs] == ["full view failed"]

    engine.before = nothing
    assert command(await inventory.full(connection, "1")) == "first"


async def test_full_view_with_new_size_updates_summary(engine, connection, inventory):
    size = Domain(memory_bytes=1, max_memory_bytes=1, vcpus=1)
    engine.put(box(domain=size))
    await quiet(inventory)
    engine.put(box(domain=replace(size, vcpus=2)), tell=False)

    full = await inventory.full(connection, "1")

    assert full.domain.vcpus == inventory.entry(connection, "1").published.domain.vcpus == 2

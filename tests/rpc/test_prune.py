"""PruneContainers: by the labels that callers see, and never what is protected or runs."""

import asyncio
from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs

from eventually import eventually
from rpc.daemon import BOTH, RPCS, changing
from rpc.watcher import Watcher


async def prune(daemon, **fields):
    """Prune, and return the names of what is left."""
    await daemon.call("PruneContainers", **fields)
    return await daemon.names()


async def test_prune_selects_by_labels_that_were_changed_here(daemon):
    for name in ("moved", "hidden", "kept"):
        await daemon.container(name, start=False, labels={"pool": "old"})
    await daemon.call("UpdateResource", id="moved", **changing("container", labels={"pool": "new"}))
    await daemon.call("UpdateResource", id="hidden", **changing("container", labels={}))

    assert await prune(daemon, labels={"pool": "new"}) == ["hidden", "kept"]
    assert await prune(daemon, labels={"pool": "old"}) == ["hidden"]


async def test_prune_passes_over_what_is_protected(daemon):
    await daemon.container("safe", start=False, deletion_protection=True)
    await daemon.container("idle", start=False)
    pruned = await daemon.call("PruneContainers")
    assert len(pruned.container_ids) == 1
    assert await daemon.names() == ["safe"]


async def test_prune_by_time_keeps_what_is_younger(daemon):
    await daemon.container("idle", start=False)
    past, future = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    assert await prune(daemon, create_time_before=past) == ["idle"]
    assert await prune(daemon, create_time_before=future) == []


async def test_prune_removes_no_domain(daemon):
    await daemon.domain("vm", start=False)
    assert await prune(daemon) == ["vm"]


async def test_prune_only_checked_removes_nothing(daemon):
    await daemon.container("idle", start=False)
    assert await prune(daemon, validate_only=True) == ["idle"]


async def test_plan_of_a_prune_is_what_the_prune_removes(daemon):
    """Among what runs, is paused, protected, labelled otherwise, or no container."""
    pool = {"labels": {"pool": "old"}}
    for name in ("one", "two", "three"):
        await daemon.container(name, start=False, **pool)
    await daemon.container("runs", **pool)
    await daemon.container("paused", **pool)
    await daemon.call("PauseResource", id="paused")
    await daemon.container("safe", start=False, deletion_protection=True, **pool)
    await daemon.container("other", start=False, labels={"pool": "new"})
    await daemon.container("hidden", start=False, **pool)
    await daemon.call("UpdateResource", id="hidden", **changing("container", labels={}))
    await daemon.domain("vm", start=False, **pool)
    there = await daemon.names()

    plan = (await daemon.call("PruneContainers", validate_only=True, **pool)).plan
    assert await daemon.names() == there
    pruned = await daemon.call("PruneContainers", **pool)

    assert {each.name for each in plan.removals} == {"one", "two", "three"}
    assert [each.id for each in plan.removals] == list(pruned.container_ids)
    assert plan.removal_count == 3
    assert plan.reclaimed_bytes == pruned.reclaimed_bytes
    assert sum(each.reclaimed_bytes for each in plan.removals) == plan.reclaimed_bytes
    assert {each.name for each, _ in plan.ListFields()} <= {
        *("removals", "removal_count", "reclaimed_bytes")
    }


async def test_plan_of_a_prune_ends_with_its_caller(daemon):
    for number in range(200):
        await daemon.container(f"c{number}", start=False)
    with capture_logs() as logged:
        for _ in range(5):
            call = daemon.call("PruneContainers", validate_only=True)
            assert not (await asyncio.wait({asyncio.ensure_future(call)}, timeout=0.01))[0]
            call.cancel()

        async def over():
            return not [each for each in asyncio.all_tasks() if "ContainerPruner" in repr(each)]

        await eventually(over)
    assert not [line for line in logged if line["event"].startswith("change failed")]


async def test_plan_of_a_prune_of_nothing_says_so(daemon):
    await daemon.container("runs")
    answer = await daemon.call("PruneContainers", validate_only=True)
    assert answer.HasField("plan")
    assert (answer.plan.removal_count, len(answer.plan.removals)) == (0, 0)


async def test_prune_is_told_as_the_callers(daemon):
    await daemon.container("idle", start=False)
    watcher = await Watcher(daemon).begin()
    rpc = RPCS["PruneContainers"]
    await daemon.send(rpc, rpc.request(), token=daemon.token(*BOTH, username="eve"))
    await watcher.until(lambda: not watcher.there)
    assert watcher.changes[-1].actor == "eve"
    watcher.call.cancel()


async def test_prune_beside_starts_and_protections_removes_neither(daemon):
    """Whatever comes first, what runs or is protected at the end is there."""
    names = [f"c{number}" for number in range(40)]
    for name in names:
        await daemon.container(name, start=False)

    async def start(name):
        return name, await refusal_or_none(daemon.call("StartResource", id=name))

    async def protect(name):
        fields = changing("container", deletion_protection=True)
        return name, await refusal_or_none(daemon.call("UpdateResource", id=name, **fields))

    changes = [start(name) for name in names[::4]] + [protect(name) for name in names[1::4]]
    pruned, *done = await asyncio.gather(daemon.call("PruneContainers"), *changes)

    left = set(await daemon.names())
    for name, refused in done:
        assert (name in left) == (refused is None), name
    assert len(left) + len(pruned.container_ids) == len(names)


async def refusal_or_none(call):
    """Return how a call fails; None: it does not."""
    done, _ = await asyncio.wait({asyncio.ensure_future(call)})
    failed = done.pop().exception()
    return None if failed is None else failed.code()

"""Reads of the inventory: fresh, with etags, revisions and activities."""

import asyncio

import grpc
import pytest

from eventually import eventually
from proa import v1
from rpc.daemon import changing, refusal
from updating import domain_update

DEAF = {"proa.memory/ignores-stop": "true"}


async def shown(daemon, id, view="SUMMARY"):
    return (await daemon.call("GetResource", id=id, view=f"RESOURCE_VIEW_{view}")).resource


async def listed(daemon, **request):
    return list((await daemon.call("ListResources", **request)).resources)


async def test_list_and_get_return_the_same(daemon):
    await daemon.container("web")
    await daemon.domain("vm")

    for view in ("SUMMARY", "FULL"):
        whole = await listed(daemon, view=f"RESOURCE_VIEW_{view}")
        alone = [await shown(daemon, r.id, view) for r in whole]
        for each in alone:
            each.ClearField("guest_info")  # a list does not wait for it
        assert whole == alone


async def test_read_does_not_ask_the_engine(serve, boxes):
    daemon = await serve(("local", boxes))
    await daemon.container("web")
    await shown(daemon, "web", "FULL")
    boxes.asked.clear()

    for _ in range(3):
        assert len(await listed(daemon)) == 1
        await shown(daemon, "web", "FULL")

    assert set(boxes.asked) <= {"probe"}


@pytest.mark.parametrize("view", ["SUMMARY", "FULL"])
async def test_read_after_write_shows_the_write(daemon, view):
    """A cached list answer is not used after a change."""
    view = f"RESOURCE_VIEW_{view}"

    async def states():
        return {
            r.name: v1.ResourceState.Name(r.state).removeprefix("RESOURCE_STATE_")
            for r in await listed(daemon, view=view)
        }

    assert await states() == {}
    await daemon.container("web")
    assert await states() == {"web": "RUNNING"}
    await daemon.call("PauseResource", id="web")
    assert await states() == {"web": "PAUSED"}
    await daemon.domain("vm", start=False)
    assert await states() == {"web": "PAUSED", "vm": "STOPPED"}
    await daemon.call("UpdateResource", id="vm", **changing("domain", name="vm2"))
    assert await states() == {"web": "PAUSED", "vm2": "STOPPED"}
    await daemon.call("DeleteResource", id="web", force=True)
    assert await states() == {"vm2": "STOPPED"}


async def test_list_other_request_is_another_list(daemon):
    for name in ("aa", "bb", "cc"):
        await daemon.container(name)

    assert await daemon.names() == ["aa", "bb", "cc"]
    assert await daemon.names(order_by="name desc") == ["cc", "bb", "aa"]
    assert await daemon.names(page_size=2) == ["aa", "bb"]
    assert await daemon.names(filter={"name_prefix": "b"}) == ["bb"]
    assert (await listed(daemon, read_mask={"paths": ["name"]}))[0] == v1.Resource(name="aa")
    assert await daemon.names() == ["aa", "bb", "cc"]


async def test_list_change_between_pages_continues_in_place(daemon):
    for name in ("aa", "bb", "cc", "dd"):
        await daemon.container(name)
    first = await daemon.call("ListResources", page_size=2)
    assert await daemon.call("ListResources", page_size=2) == first
    await daemon.call("DeleteResource", id="aa", force=True)
    await daemon.container("bc")

    rest = await daemon.names(page_size=9, page_token=first.next_page_token)

    assert rest == ["bc", "cc", "dd"]


async def test_get_after_external_change_shows_it(daemon):
    web = await daemon.container("web")
    before = await shown(daemon, "web")

    await daemon.driver.pause(web.id)

    async def seen():
        return await daemon.state("web") == "PAUSED"

    await eventually(seen)
    after = await shown(daemon, "web")
    assert after.revision > before.revision
    assert after.etag != before.etag
    assert after.observe_time.ToDatetime() > before.observe_time.ToDatetime()


async def test_read_engine_lost_is_unavailable(serve, quick):
    daemon = await serve(timing=quick)
    web = await daemon.container("web")
    await shown(daemon, "web", "FULL")
    synced = (await daemon.call("GetHost")).host.engines[0].last_sync_time.ToDatetime()

    daemon.driver.lose()
    for call, request in (("ListResources", {}), ("GetResource", {"id": "web"})):
        assert (await refusal(daemon.call(call, **request))).reason == "ENGINE_UNREACHABLE"
    partial = await daemon.call("ListResources", return_partial_success=True)
    assert (list(partial.resources), [engine.driver for engine in partial.unreachable]) == (
        [],
        ["memory"],
    )
    daemon.driver.come_back()
    await daemon.driver.pause(web.id)

    async def back():
        try:
            return await daemon.state("web") == "PAUSED"
        except grpc.aio.AioRpcError:
            return False

    await eventually(back)
    (engine,) = (await daemon.call("GetHost")).host.engines
    assert engine.health == v1.ENGINE_HEALTH_SERVING
    assert engine.last_sync_time.ToDatetime() > synced


async def test_graceful_stop_shows_its_activity(daemon):
    await daemon.domain("vm", labels=DEAF)
    before = await shown(daemon, "vm")
    stop = asyncio.ensure_future(daemon.call("StopResource", id="vm", grace_period={"seconds": 60}))

    async def at_it():
        return (await shown(daemon, "vm")).HasField("activity")

    await eventually(at_it)
    for view in ("SUMMARY", "FULL"):
        vm = await shown(daemon, "vm", view)
        assert (vm.activity.verb, vm.activity.actor) == (v1.VERB_STOP, "ann")
        assert "60 s" in vm.activity.step
        assert vm.activity.start_time.seconds
        assert list(vm.allowed_verbs) == [v1.VERB_STOP]
        assert vm.revision > before.revision
        assert (vm.etag, vm.observe_time) == (before.etag, before.observe_time)
    assert (await listed(daemon))[0] == await shown(daemon, "vm")
    forced = (await daemon.call("StopResource", id="vm", mode="STOP_MODE_FORCE")).resource
    assert forced.state == v1.RESOURCE_STATE_STOPPED
    await stop
    after = await shown(daemon, "vm")
    assert not after.HasField("activity")
    assert v1.VERB_START in after.allowed_verbs


async def test_activity_of_a_failed_verb_is_cleared(daemon):
    await daemon.domain("vm", labels=DEAF)
    request = {"id": "vm", "mode": "STOP_MODE_GRACEFUL", "grace_period": {"nanos": 1000000}}

    refused = await refusal(daemon.call("StopResource", **request))

    assert refused.reason == "STOP_TIMED_OUT"
    assert not (await shown(daemon, "vm")).HasField("activity")


CALLS = {
    "UpdateResource": changing("domain", title="new"),
    "DeleteResource": {},
}


@pytest.mark.parametrize("call", CALLS)
async def test_verb_current_etag_is_run(daemon, call):
    await daemon.domain("vm", start=False)

    for view in ("SUMMARY", "FULL"):
        etag = (await shown(daemon, "vm", view)).etag
    await daemon.call(call, id="vm", etag=etag, **CALLS[call])


async def to_and_fro(daemon, id):
    await daemon.call("StartResource", id=id)
    await daemon.call("StopResource", id=id, mode="STOP_MODE_FORCE")


CHANGES = {
    "by us": lambda daemon, id: daemon.call(
        "UpdateResource", id=id, **changing("domain", labels={"a": "1"})
    ),
    "by us, only in full": lambda daemon, id: daemon.call(
        "UpdateResource", id=id, **changing("domain", title="x")
    ),
    "by others": lambda daemon, id: daemon.driver.update(id, domain_update(title="y")),
    "by others, its state": lambda daemon, id: daemon.driver.start(id),
    "to and fro": to_and_fro,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("call", CALLS)
async def test_verb_outdated_etag_is_refused(daemon, call, change):
    vm = await daemon.domain("vm", start=False)
    etag = (await shown(daemon, "vm")).etag
    await CHANGES[change](daemon, vm.id)

    request = {**CALLS[call], **({"force": True} if call == "DeleteResource" else {})}
    refused = await refusal(daemon.call(call, id="vm", etag=etag, **request))

    assert (refused.code, refused.reason) == ("ABORTED", "ETAG_MISMATCH")
    now = await shown(daemon, "vm")
    assert now.etag != etag
    await daemon.call(call, id="vm", etag=now.etag, **request)


async def test_verb_made_up_etag_is_refused(daemon):
    await daemon.domain("vm", start=False)

    assert (await refusal(daemon.call("DeleteResource", id="vm", etag="x"))).reason == (
        "ETAG_MISMATCH"
    )
    assert await daemon.names() == ["vm"]


async def test_read_keeps_the_etag(daemon):
    await daemon.domain("vm", labels=DEAF)
    etag = (await shown(daemon, "vm")).etag

    await shown(daemon, "vm", "FULL")
    await listed(daemon, view="RESOURCE_VIEW_FULL")
    await refusal(daemon.call("StopResource", id="vm", grace_period={"nanos": 1000000}))
    await refusal(daemon.call("ResumeResource", id="vm"))

    assert (await shown(daemon, "vm", "FULL")).etag == etag


async def test_update_twice_with_the_same_etag_is_done_once(daemon):
    await daemon.domain("vm", start=False)
    etag = (await shown(daemon, "vm")).etag
    calls = [
        daemon.call("UpdateResource", id="vm", etag=etag, **changing("domain", title=str(number)))
        for number in range(10)
    ]

    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert sum(not isinstance(o, Exception) for o in outcomes) == 1


async def test_update_pending_until_next_start_is_reported(daemon):
    await daemon.domain("vm")

    running = await daemon.call("UpdateResource", id="vm", **changing("domain", vcpus=2, title="t"))
    assert list(running.restart_required) == ["vcpus"]
    assert running.resource.domain.vcpus == 1
    assert running.resource.etag == (await shown(daemon, "vm")).etag
    await daemon.call("StopResource", id="vm", mode="STOP_MODE_FORCE")
    stopped = await daemon.call("UpdateResource", id="vm", **changing("domain", vcpus=3))
    assert list(stopped.restart_required) == []
    assert stopped.resource.domain.vcpus == 3

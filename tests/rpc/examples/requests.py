"""Examples of reasons about requests with an id, waits, watches and pages."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from proad.drivers.memory import MemoryDriver
from proad.ports import any_image, unannounced
from rpc.daemon import IMAGE, refusal, running
from rpc.examples.registry import example

DEAF = {"proa.memory/ignores-stop": "true"}


@example("a token reused after order_by was changed.")
async def page_token_invalid(serve, _):
    daemon = await serve()
    for name in ("web", "db"):
        await daemon.container(name)
    page = await daemon.call("ListResources", page_size=1, order_by="name")
    request = {"order_by": "name desc", "page_token": page.next_page_token}
    return await refusal(daemon.call("ListResources", page_size=1, **request))


@example("WatchResources with a token from before a restart of the daemon.")
async def revision_compacted(_, settings):
    async with running(settings(), [("local", MemoryDriver())]) as daemon:
        await daemon.container("web")
        watch = daemon.call("WatchResources", timeout=60)
        token = ""
        while not token:
            token = (await watch.read()).resume_token
        watch.cancel()
    async with running(settings(), [("local", MemoryDriver())]) as daemon:
        return await refusal(daemon.call("WatchResources", resume_token=token).read())


@example("WaitResource for ready of a container that has ended.")
async def condition_impossible(serve, _):
    daemon = await serve()
    await daemon.container("web")
    await daemon.call("StopResource", id="web", mode="STOP_MODE_FORCE")
    return await refusal(daemon.call("WaitResource", id="web", condition={"ready": {}}))


@example("WaitResource for PAUSED of a container that nobody pauses.")
async def wait_timed_out(serve, _):
    daemon = await serve()
    await daemon.container("web")
    condition = {"in_state": {"states": ["RESOURCE_STATE_PAUSED"]}}
    return await refusal(daemon.call("WaitResource", id="web", condition=condition, timeout=1))


class Unfinished(MemoryDriver):
    """Never goes on with a create that it has announced."""

    def __init__(self):
        super().__init__()
        self.announced = asyncio.Event()

    async def create_container(self, spec, *, start=False, announce=unannounced, judge=any_image):
        async def hold(footprint):
            await announce(footprint)
            self.announced.set()
            await asyncio.Event().wait()

        return await super().create_container(spec, start=start, announce=hold, judge=judge)


@example("CreateContainer, repeated after the daemon was killed.")
async def interrupted(_, settings):
    request = {"spec": {"image": IMAGE, "name": "web"}, "request_id": str(uuid4())}
    driver = Unfinished()
    async with running(settings(drain_timeout="0s"), [("local", driver)]) as daemon:
        call = daemon.call("CreateContainer", **request)
        await driver.announced.wait()
        call.cancel()
    async with running(settings(), [("local", MemoryDriver())]) as daemon:
        return await refusal(daemon.call("CreateContainer", **request))


@example("GetRequest two days later.")
async def request_not_found(_, settings):
    id = str(uuid4())
    async with running(settings(), [("local", MemoryDriver())]) as daemon:
        await daemon.call("CreateContainer", spec={"image": IMAGE}, request_id=id)
    with closing(sqlite3.connect(settings().state_dir / "proa.db")) as database, database:
        ended = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=2)
        database.execute("UPDATE requests SET end_time = ?", [ended.isoformat(" ")])
    async with running(settings(), [("local", MemoryDriver())]) as daemon:
        return await refusal(daemon.call("GetRequest", request_id=id))


@example("StopResource while a guest takes its time.")
async def request_cancelled(serve, _):
    daemon = await serve()
    await daemon.domain("vm", labels=DEAF)
    id = str(uuid4())
    grace = timedelta(hours=1)
    stop = daemon.call("StopResource", id="vm", grace_period=grace, request_id=id)
    await daemon.under_way("vm")
    await daemon.call("CancelRequest", request_id=id)
    return await refusal(stop)


@example("a client that mints an id per poll.")
async def too_many_requests(serve, _):
    daemon = await serve(parts={"most_requests": 2})
    missing = {"id": "web", "allow_missing": True}
    for _poll in range(2):
        await daemon.call("DeleteResource", request_id=str(uuid4()), **missing)
    return await refusal(daemon.call("DeleteResource", request_id=str(uuid4()), **missing))


@example("CreateContainer of a third container by a user whose quota is two.")
async def quota_exceeded(serve, _):
    daemon = await serve(policy={"profiles": {"default": {"quota_resources": 2}}})
    for name in ("web", "db"):
        await daemon.container(name)
    refused = await refusal(daemon.call("CreateContainer", spec={"image": IMAGE}))
    assert refused.details["QuotaFailure"].violations[0].subject == "resources"
    return refused

"""The contract's example of each reason: the call fails for this reason."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from grpc_health.v1 import health_pb2

import grpc_services
from proad.auth.keys import KeyRing
from proad.auth.tokens import Tokens
from proad.drivers.memory import MemoryDriver
from proad.errors import Reason
from proad.model import ResourceView
from proad.ports import unannounced
from rpc.daemon import BOTH, IMAGE, RPCS, changing, refusal, running
from rpc.engines import container_engine
from unit.contract.test_reasons import documented

DEAF = {"proa.memory/ignores-stop": "true"}
WRONG = {"username": "ann", "password": "correct hosre"}

EXAMPLES: dict[Reason, tuple[str, Callable[..., Awaitable[Any]]]] = {}


def example(text):
    """Register what plays an example: it gives the call that fails, or its refusal."""

    def register(play):
        reason = Reason(play.__name__.upper())
        EXAMPLES[reason] = (text, play)
        return play

    return register


NOT_PLAYED = {Reason.INTERNAL, Reason.SHUTTING_DOWN}


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in NOT_PLAYED])
async def test_example_of_a_reason_fails_with_that_reason(serve, settings, reason):
    text, play = EXAMPLES[reason]

    refused = await play(serve, settings)

    assert refused.reason == reason
    assert documented()[reason].endswith(f" Example: {text}")


def test_examples_without_a_call_are_unchanged():
    """No call provokes an internal error, and test_shutdown covers SHUTTING_DOWN."""
    assert documented()[Reason.INTERNAL].endswith(
        "Example: none that we know of; please report it."
    )
    assert documented()[Reason.SHUTTING_DOWN].endswith("Example: any call after SIGTERM.")


@example('StopResource of "web" after somebody deleted it.')
async def resource_not_found(serve, _):
    daemon = await serve()
    await daemon.container("web")
    await daemon.call("DeleteResource", id="web", force=True)
    return await refusal(daemon.call("StopResource", id="web"))


@example('CreateContainer with image "no-such:latest".')
async def image_not_found(serve, _):
    daemon = await serve()
    return await refusal(daemon.call("CreateContainer", spec={"image": "no-such:latest"}))


@example('RevertSnapshot to "before-upgrade" after it was deleted.')
async def snapshot_not_found(serve, _):
    daemon = await serve()
    await daemon.domain("vm")
    request = {"id": "vm", "name": "before-upgrade"}
    for call in ("CreateSnapshot", "DeleteSnapshot"):
        await daemon.call(call, **request)
    return await refusal(daemon.call("RevertSnapshot", **request))


@example('DeleteVolume of "web.qcow2" in pool "defualt".')
async def volume_not_found(serve, _):
    daemon = await serve()
    await daemon.call("CreateVolume", spec={"name": "web.qcow2", "capacity_bytes": 2**20})
    return await refusal(daemon.call("DeleteVolume", name="web.qcow2", pool="defualt"))


@example('CreateDomain with host "nodeb".')
async def host_not_found(serve, _):
    daemon = await serve()
    spec = {"name": "vm", "memory_bytes": 2**26}
    return await refusal(daemon.call("CreateDomain", spec=spec, host="nodeb"))


@example("CreateDomain with memory_bytes 0.")
async def invalid_argument(serve, _):
    daemon = await serve()
    spec = {"name": "vm", "memory_bytes": 0}
    return await refusal(daemon.call("CreateDomain", spec=spec))


@example('GetResource "web" with a container and a domain "web".')
async def ambiguous_id(serve, _):
    daemon = await serve()
    await daemon.container("web")
    await daemon.domain("web")
    return await refusal(daemon.call("GetResource", id="web"))


@example("a token reused after order_by was changed.")
async def page_token_invalid(serve, _):
    daemon = await serve()
    for name in ("web", "db"):
        await daemon.container(name)
    page = await daemon.call("ListResources", page_size=1, order_by="name")
    request = {"order_by": "name desc", "page_token": page.next_page_token}
    return await refusal(daemon.call("ListResources", page_size=1, **request))


@example('CreateContainer "web" while a container "web" exists.')
async def already_exists(serve, _):
    daemon = await serve()
    await daemon.container("web")
    return await refusal(daemon.call("CreateContainer", spec={"image": IMAGE, "name": "web"}))


@example("StartResource of a container whose network somebody removed.")
async def engine_conflict(serve, _):
    daemon = await serve()
    await daemon.container("web", networks=[{"network": "missing"}], start=False)
    return await refusal(daemon.call("StartResource", id="web"))


@example("ListResources while dockerd is stopped.")
async def engine_unreachable(serve, _):
    dockerd = container_engine()
    daemon = await serve(("local", dockerd))
    dockerd.mode = "lost"
    return await refusal(daemon.call("ListResources"))


@example("StartResource on a hung dockerd.")
async def engine_timed_out(serve, _):
    class Hung(MemoryDriver):
        async def start(self, *_args, **_options):
            await asyncio.Event().wait()

    daemon = await serve(("local", Hung()))
    await daemon.container("web", start=False)
    return await refusal(daemon.call("StartResource", id="web", timeout=2))


@example("StopResource GRACEFUL of a guest that ignores the power button.")
async def stop_timed_out(serve, _):
    daemon = await serve()
    await daemon.domain("vm", labels=DEAF)
    request = {"mode": "STOP_MODE_GRACEFUL", "grace_period": timedelta(milliseconds=50)}
    return await refusal(daemon.call("StopResource", id="vm", **request))


@example("StopResource SAVE of a container.")
async def capability_missing(serve, _):
    daemon = await serve()
    await daemon.container("web")
    return await refusal(daemon.call("StopResource", id="web", mode="STOP_MODE_SAVE"))


@example("PauseResource of a stopped container.")
async def resource_not_running(serve, _):
    daemon = await serve()
    await daemon.container("web", start=False)
    return await refusal(daemon.call("PauseResource", id="web"))


@example("StartResource of a running domain.")
async def resource_already_running(serve, _):
    daemon = await serve()
    await daemon.domain("vm")
    return await refusal(daemon.call("StartResource", id="vm"))


@example("DeleteResource of a running container.")
async def resource_running(serve, _):
    daemon = await serve()
    await daemon.container("web")
    return await refusal(daemon.call("DeleteResource", id="web"))


@example("ResumeResource of a running domain.")
async def illegal_state(serve, _):
    daemon = await serve()
    await daemon.domain("vm")
    return await refusal(daemon.call("ResumeResource", id="vm"))


@example("DeleteResource of such a domain without delete_snapshots.")
async def has_snapshots(serve, _):
    daemon = await serve()
    await daemon.domain("vm", start=False)
    await daemon.call("CreateSnapshot", id="vm", name="s1")
    return await refusal(daemon.call("DeleteResource", id="vm"))


@example("DeleteResource of such a domain without delete_saved_state.")
async def has_saved_state(serve, _):
    daemon = await serve()
    await daemon.domain("vm")
    await daemon.call("StopResource", id="vm", mode="STOP_MODE_SAVE")
    return await refusal(daemon.call("DeleteResource", id="vm"))


@example("DeleteVolume of the disk of a domain.")
async def in_use(serve, _):
    daemon = await serve()
    await daemon.call("CreateVolume", spec={"name": "v", "capacity_bytes": 2**20})
    disk = {"volume": {"name": "v"}, "format": "DISK_FORMAT_QCOW2"}
    await daemon.domain("vm", disks=[disk], start=False)
    return await refusal(daemon.call("DeleteVolume", name="v"))


@example("StartResource during a graceful stop.")
async def activity_in_progress(serve, _):
    daemon = await serve()
    await daemon.domain("vm", labels=DEAF)
    grace = timedelta(hours=1)
    stop = asyncio.ensure_future(daemon.call("StopResource", id="vm", grace_period=grace))
    await daemon.under_way("vm")
    refused = await refusal(daemon.call("StartResource", id="vm"))
    await daemon.call("StopResource", id="vm", mode="STOP_MODE_FORCE")
    await stop
    return refused


@example("UpdateResource with the etag of an older read.")
async def etag_mismatch(serve, _):
    daemon = await serve()
    read = await daemon.container("web")
    for _change in range(2):
        change = changing("container", resources={"pids_limit": 9})
        call = daemon.call("UpdateResource", id="web", etag=read.etag, **change)
        if _change == 0:
            await call
    return await refusal(call)


class Privileged(MemoryDriver):
    """Has containers with settings that no specification tells."""

    async def get_resource(self, id, view=ResourceView.FULL):
        resource = await super().get_resource(id, view)
        assert resource.container is not None
        container = replace(resource.container, spec_omits=("HostConfig.Privileged",))
        return replace(resource, container=container)


@example("RecreateContainer of one that was made with `docker run --privileged`.")
async def spec_incomplete(serve, _):
    daemon = await serve(("local", Privileged()))
    await daemon.container("web")
    return await refusal(daemon.call("RecreateContainer", id="web"))


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


@example('ListResources without "authorization: Bearer …".')
async def token_missing(serve, _):
    rpc = RPCS["ListResources"]
    return await refusal((await serve()).send(rpc, rpc.request()))


def foreign(settings, keys, **others):
    values = {
        "issuer": settings.token_issuer,
        "audience": settings.token_audience,
        "lifetime": settings.token_lifetime,
    }
    return Tokens(keys, **values | others)


@example("a token signed with another key.")
async def token_invalid(serve, settings):
    daemon = await serve()
    folder = settings().state_dir / "other"
    tokens = foreign(settings(), KeyRing.open(folder))
    token = tokens.issue("ann", BOTH, daemon.versions["ann"]).token
    return await refusal(daemon.send(RPCS["GetCaller"], b"", token=token))


@example("a token kept in a file since yesterday.")
async def token_expired(serve, settings):
    daemon = await serve()
    keys = KeyRing.open(settings().keys_dir)
    tokens = foreign(settings(), keys, lifetime=timedelta(days=-1))
    token = tokens.issue("ann", BOTH, daemon.versions["ann"]).token
    return await refusal(daemon.send(RPCS["GetCaller"], b"", token=token))


@example("a call after logging out.")
async def token_revoked(serve, _):
    daemon = await serve()
    token = daemon.token(*BOTH)
    await daemon.send(RPCS["RevokeToken"], b"", token=token)
    return await refusal(daemon.send(RPCS["GetCaller"], b"", token=token))


@example("CreateToken with a mistyped password.")
async def bad_credentials(serve, _):
    return await refusal((await serve()).call("CreateToken", **WRONG))


@example("the seventh wrong password in a row.")
async def too_many_attempts(serve, _):
    daemon = await serve()
    refused = [await refusal(daemon.call("CreateToken", **WRONG)) for _ in range(7)]
    assert {each.reason for each in refused[:6]} == {"BAD_CREDENTIALS"}
    return refused[6]


@example("StartResource with a `basic` token.")
async def scope_missing(serve, _):
    daemon = await serve()
    await daemon.container("web", start=False)
    rpc = RPCS["StartResource"]
    return await refusal(daemon.send(rpc, rpc.request(id="web"), token=daemon.token("basic")))


@example('PullImage of "localhost:5000/x" while allowed_registries does not name it.')
async def policy_denied(serve, _):
    for allowed in ("*", "docker.io,*.example:5000"):
        daemon = await serve(allowed_registries=allowed)
        refused = await refusal(daemon.call("PullImage", image="localhost:5000/x").read())
        assert refused.code == "PERMISSION_DENIED"
        assert refused.metadata["setting"] == "allowed_registries"
        assert "registry" in refused.metadata["rule"]
    return refused


@example("LoginRegistry with a mistyped password.")
async def registry_denied(serve, _):
    daemon = await serve()
    request = {"registry": "reg:5000", "username": "u", "password": "wrong"}
    return await refusal(daemon.call("LoginRegistry", **request))


@example('PullImage of "down.example/x" while nobody answers there.')
async def registry_unreachable(serve, _):
    daemon = await serve()
    refused = await refusal(daemon.call("PullImage", image="down.example/x").read())
    assert (refused.code, refused.retry_after) == ("UNAVAILABLE", 10)
    return refused


@example("CreateVolume of 1 TiB, preallocated, on a smaller disk.")
async def host_exhausted(serve, _):
    daemon = await serve()
    # The disk that is imitated has 1 TiB.
    rest = {"name": "rest", "capacity_bytes": 2**20, "preallocate": True}
    await daemon.call("CreateVolume", spec=rest)
    spec = {"name": "big", "capacity_bytes": 2**40, "preallocate": True}
    return await refusal(daemon.call("CreateVolume", spec=spec))


@example("the 65th Watch of grpc.health.v1 from one address.")
async def too_many_streams(serve, _):
    daemon = await serve()
    stub = grpc_services.health(daemon.channel)
    calls = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(64)]
    for call in calls:
        assert await call.read() is not grpc.aio.EOF
    return await refusal(stub.Watch(health_pb2.HealthCheckRequest()).read())


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


@example("RevokeToken while another program keeps the database locked.")
async def database_unreachable(serve, settings):
    daemon = await serve()
    path = settings().state_dir / "proa.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        refused = await refusal(daemon.call("RevokeToken"))
    assert (refused.code, refused.metadata) == ("UNAVAILABLE", {})
    assert refused.retry_after == 2
    return refused


class Unfinished(MemoryDriver):
    """Never goes on with a create that it has announced."""

    def __init__(self):
        super().__init__()
        self.announced = asyncio.Event()

    async def create_container(self, spec, *, start=False, announce=unannounced):
        async def hold(footprint):
            await announce(footprint)
            self.announced.set()
            await asyncio.Event().wait()

        return await super().create_container(spec, start=start, announce=hold)


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


@example("DeleteResource of such a domain.")
async def deletion_protected(serve, _):
    daemon = await serve()
    await daemon.domain("vm", start=False, deletion_protection=True)
    return await refusal(daemon.call("DeleteResource", id="vm"))

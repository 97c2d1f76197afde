"""Requests with an id over a real channel: one effect, and the same answer for repetitions."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from uuid import uuid4

import pytest
from google.rpc import code_pb2

from eventually import eventually
from proa import v1
from proad.drivers.memory import MemoryDriver
from proad.model.scope import Scope
from rpc.daemon import BOTH, IMAGE, RPCS, changing, refusal, running

DEAF = {"proa.memory/ignores-stop": "true"}


class Held(MemoryDriver):
    """Blocks pauses until released, and counts them."""

    def __init__(self):
        super().__init__()
        self.let_go, self.entered = asyncio.Event(), asyncio.Event()
        self.pauses = 0

    async def pause(self, id):
        self.pauses += 1
        self.entered.set()
        await self.let_go.wait()
        return await super().pause(id)


@pytest.fixture
def held():
    return Held()


@pytest.fixture
def new_id():
    return str(uuid4())


def rows(settings):
    """Return the requests in the database of a daemon."""
    with closing(sqlite3.connect(settings.state_dir / "proa.db")) as connection:
        return connection.execute("SELECT id, state, answer FROM requests").fetchall()


async def test_call_repeated_returns_the_same_answer_and_changes_nothing(daemon, new_id):
    await daemon.container("web")
    first = await daemon.call("PauseResource", id="web", request_id=new_id)
    await daemon.call("ResumeResource", id="web")

    again = await daemon.call("PauseResource", id="web", request_id=new_id.upper())

    assert again == first
    assert await daemon.state("web") == "RUNNING"


async def test_call_connection_lost_is_rejoined(serve, held, new_id):
    daemon = await serve(("local", held))
    await daemon.container("web")
    lost = daemon.call("PauseResource", id="web", request_id=new_id)
    await held.entered.wait()
    lost.cancel()
    again = daemon.call("PauseResource", id="web", request_id=new_id)
    held.let_go.set()

    assert (await again).resource.name == "web"
    assert held.pauses == 1
    assert await daemon.state("web") == "PAUSED"


async def test_call_repeated_at_once_has_one_effect(daemon, new_id):
    spec = {"image": IMAGE}
    calls = [daemon.call("CreateContainer", spec=spec, request_id=new_id) for _ in range(50)]
    made = {answer.resource.id for answer in await asyncio.gather(*calls)}

    assert len(made) == 1
    assert len(await daemon.names()) == 1


@pytest.mark.parametrize(
    ("name", "other"),
    [("PauseResource", {"id": "db"}), ("ResumeResource", {"id": "web"})],
    ids=["fields", "method"],
)
async def test_call_id_of_another_call_is_refused(daemon, new_id, name, other):
    await daemon.container("web")
    await daemon.container("db")
    await daemon.call("PauseResource", id="web", request_id=new_id)

    refused = await refusal(daemon.call(name, request_id=new_id, **other))

    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["request_id"])
    assert await daemon.state("db") == "RUNNING"
    assert await daemon.state("web") == "PAUSED"


async def test_call_id_that_is_no_uuid_is_refused(daemon):
    await daemon.container("web")
    for id in ("7", "00000000-0000-0000-0000-000000000000", f"{{{uuid4()}}}", uuid4().hex):
        refused = await refusal(daemon.call("PauseResource", id="web", request_id=id))
        assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["request_id"])
    assert await daemon.state("web") == "RUNNING"


async def test_call_same_id_of_another_user_is_another_call(daemon, new_id):
    rpc = RPCS["CreateContainer"]
    request = rpc.request(spec={"image": IMAGE}, request_id=new_id)
    for user in ("ann", "bob"):
        await daemon.send(rpc, request, token=daemon.token(*BOTH, username=user))

    assert len(await daemon.names()) == 2


async def test_call_repeated_after_a_restart_returns_the_same_answer(settings, new_id):
    driver, answers = MemoryDriver(), []
    for _ in range(2):
        async with running(settings(), [("local", driver)]) as daemon:
            call = daemon.call("CreateContainer", spec={"image": IMAGE}, request_id=new_id)
            answers.append((await call).resource)
            assert len(await daemon.names()) == 1

    assert answers[0].id == answers[1].id


async def test_call_failed_fails_again_in_the_same_way(daemon, new_id):
    await daemon.container("web", labels=DEAF)
    stop = {"id": "web", "mode": "STOP_MODE_GRACEFUL", "grace_period": {"seconds": 0}}
    first = await refusal(daemon.call("StopResource", request_id=new_id, **stop))
    await daemon.call("StopResource", id="web", mode="STOP_MODE_FORCE")
    again = await refusal(daemon.call("StopResource", request_id=new_id, **stop))

    for refused in (first, again):
        assert (refused.code, refused.reason) == ("DEADLINE_EXCEEDED", "STOP_TIMED_OUT")
    assert (again.message, again.metadata) == (first.message, first.metadata)


async def test_call_refused_before_its_effect_frees_the_id(daemon, settings, new_id):
    await daemon.container("web", start=False)
    refused = await refusal(daemon.call("PauseResource", id="web", request_id=new_id))
    assert refused.reason == "RESOURCE_NOT_RUNNING"
    assert rows(settings()) == []
    await daemon.call("StartResource", id="web")

    await daemon.call("PauseResource", id="web", request_id=new_id)
    assert await daemon.state("web") == "PAUSED"


async def test_call_delete_of_what_was_missing_deletes_nothing_later(daemon, new_id):
    request = {"id": "web", "allow_missing": True, "request_id": new_id}
    await daemon.call("DeleteResource", **request)
    await daemon.container("web", start=False)

    await daemon.call("DeleteResource", **request)

    assert await daemon.names() == ["web"]


async def test_call_deadline_expires_goes_on(serve, held, new_id):
    daemon = await serve(("local", held))
    await daemon.container("web")
    request = {"id": "web", "request_id": new_id}
    refused = await refusal(daemon.call("PauseResource", timeout=0.5, **request))
    assert refused.code == "DEADLINE_EXCEEDED"
    held.let_go.set()

    await daemon.call("PauseResource", **request)
    assert held.pauses == 1
    assert await daemon.state("web") == "PAUSED"


async def test_call_without_an_id_is_not_recorded(daemon, settings):
    await daemon.container("web")
    await daemon.call("PauseResource", id="web")

    assert rows(settings()) == []


async def test_call_database_locked_changes_nothing(daemon, settings, new_id):
    await daemon.container("web")
    with closing(sqlite3.connect(settings().state_dir / "proa.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = await refusal(daemon.call("PauseResource", id="web", request_id=new_id))
    assert (refused.code, refused.reason) == ("UNAVAILABLE", "DATABASE_UNREACHABLE")
    assert await daemon.state("web") == "RUNNING"

    await daemon.call("PauseResource", id="web", request_id=new_id)
    assert await daemon.state("web") == "PAUSED"


async def test_stored_answer_is_the_summary_without_secrets(daemon, settings, new_id):
    """The first answer of a create is the FULL view, with the environment."""
    spec = {
        "image": IMAGE,
        "name": "web",
        "env": {"PASSWORD": "the secret"},
        "ports": [{"container_port": 80}],
    }
    request = {"spec": spec, "start": True, "request_id": new_id}
    first = await daemon.call("CreateContainer", **request)
    again = await daemon.call("CreateContainer", **request)
    summary = await daemon.call("GetResource", id="web", view="RESOURCE_VIEW_SUMMARY")

    assert first.resource.container.env["PASSWORD"] == "the secret"
    assert again.resource.container == summary.resource.container
    assert again.resource.name == "web"
    assert all(b"the secret" not in answer for _, _, answer in rows(settings()))


async def test_stored_answer_of_a_domain_is_the_summary(daemon, new_id):
    request = {"spec": {"name": "vm", "memory_bytes": 2**26, "title": "A"}, "request_id": new_id}
    first = await daemon.call("CreateDomain", **request)
    again = await daemon.call("CreateDomain", **request)
    summary = await daemon.call("GetResource", id="vm", view="RESOURCE_VIEW_SUMMARY")

    assert first.resource.domain.disks
    assert again.resource.domain == summary.resource.domain


async def test_pull_caller_gone_is_rejoined(serve, new_id):
    class Slow(MemoryDriver):
        pulls = 0

        def __init__(self):
            super().__init__()
            self.let_go = asyncio.Event()

        async def pull_image(self, name, *, platform=""):
            self.pulls += 1
            async for event in super().pull_image(name, platform=platform):
                yield event
                await self.let_go.wait()

    daemon = await serve(("local", Slow()))
    call = daemon.call("PullImage", image="debian:12", request_id=new_id)
    first = await call.read()
    call.cancel()
    again = aiter(daemon.call("PullImage", image="debian:12", request_id=new_id))
    assert await anext(again) == first
    daemon.driver.let_go.set()
    *_, last = [event async for event in again]
    assert list(last.image.tags) == ["debian:12"]

    later = daemon.call("PullImage", image="debian:12", request_id=new_id)
    assert [event async for event in later] == [last]
    assert daemon.driver.pulls == 1


async def shown(daemon, id):
    return (await daemon.call("GetRequest", request_id=id)).request


async def test_get_request_shows_what_became_of_it(serve, held, new_id):
    daemon = await serve(("local", held))
    web = await daemon.container("web")
    call = daemon.call("PauseResource", id="web", request_id=new_id)
    await held.entered.wait()

    running = await shown(daemon, new_id)
    assert v1.RequestState.Name(running.state) == "REQUEST_STATE_RUNNING"
    assert running.method == "/proa.v1.ResourceService/PauseResource"
    assert running.path == f"local/container/{web.id}"
    assert not running.HasField("end_time")
    held.let_go.set()
    await call

    ended = await shown(daemon, new_id)
    assert v1.RequestState.Name(ended.state) == "REQUEST_STATE_SUCCEEDED"
    assert ended.expire_time.ToDatetime() - ended.end_time.ToDatetime() == timedelta(hours=24)


async def test_get_request_of_a_create_shows_the_path_of_what_it_made(daemon, new_id):
    call = daemon.call("CreateContainer", spec={"image": IMAGE}, request_id=new_id)
    made = (await call).resource

    assert (await shown(daemon, new_id)).path == f"local/container/{made.id}"


async def test_get_request_failed_shows_the_failure(daemon, new_id):
    await daemon.container("web", labels=DEAF)
    stop = {"id": "web", "mode": "STOP_MODE_GRACEFUL", "grace_period": {"seconds": 0}}
    refused = await refusal(daemon.call("StopResource", request_id=new_id, **stop))

    failure = (await shown(daemon, new_id)).failure
    assert v1.ErrorReason.Name(failure.reason) == "ERROR_REASON_STOP_TIMED_OUT"
    assert failure.code == code_pb2.DEADLINE_EXCEEDED
    assert (failure.message, dict(failure.metadata)) == (refused.message, refused.metadata)


async def test_get_request_of_another_user_is_not_found(daemon, new_id):
    await daemon.call("CreateContainer", spec={"image": IMAGE}, request_id=new_id)
    for name in ("GetRequest", "CancelRequest"):
        rpc = RPCS[name]
        token = daemon.token(*BOTH, username="bob")
        sent = daemon.send(rpc, rpc.request(request_id=new_id), token=token)
        refused = await refusal(sent)
        assert (refused.code, refused.reason) == ("NOT_FOUND", "REQUEST_NOT_FOUND")
        assert "free still, because the call was refused" in refused.message


async def test_list_requests_has_pages_and_states(daemon):
    await daemon.container("web")
    ids = [str(uuid4()) for _ in range(4)]
    for number, id in enumerate(ids):
        name = "ResumeResource" if number % 2 else "PauseResource"
        await daemon.call(name, id="web", request_id=id)

    first = await daemon.call("ListRequests", page_size=3)
    rest = await daemon.call("ListRequests", page_size=3, page_token=first.next_page_token)
    assert [each.request_id for each in (*first.requests, *rest.requests)] == ids[::-1]
    assert not rest.next_page_token
    failed = await daemon.call("ListRequests", states=["REQUEST_STATE_FAILED"])
    assert not failed.requests
    rpc = RPCS["ListRequests"]
    theirs = await daemon.send(rpc, rpc.request(), token=daemon.token(*BOTH, username="bob"))
    assert not theirs.requests


async def test_cancel_request_ends_a_graceful_stop_that_waits(daemon, new_id):
    web = await daemon.container("web", labels=DEAF)
    stop = {"id": "web", "grace_period": {"seconds": 600}, "request_id": new_id}
    call = daemon.call("StopResource", **stop)
    await daemon.under_way("web")

    ended = (await daemon.call("CancelRequest", request_id=new_id)).request

    assert v1.ErrorReason.Name(ended.failure.reason) == "ERROR_REASON_REQUEST_CANCELLED"
    for each in (call, daemon.call("StopResource", **stop)):
        refused = await refusal(each)
        assert (refused.code, refused.reason) == ("CANCELLED", "REQUEST_CANCELLED")
    again = (await daemon.call("CancelRequest", request_id=new_id)).request
    assert again == ended
    assert await daemon.state(web.id) == "RUNNING"
    await daemon.call("StopResource", id="web", mode="STOP_MODE_FORCE")


async def test_cancel_request_ends_a_pull(serve, new_id):
    class Endless(MemoryDriver):
        ended = ""

        async def pull_image(self, name, *, platform=""):
            try:
                async for event in super().pull_image(name, platform=platform):
                    yield event
                    await asyncio.Event().wait()
            except BaseException as error:
                self.ended = type(error).__name__
                raise

    daemon = await serve(("local", Endless()))
    call = daemon.call("PullImage", image="debian:12", request_id=new_id)
    await call.read()

    await daemon.call("CancelRequest", request_id=new_id)

    assert (await refusal(call.read())).reason == "REQUEST_CANCELLED"
    assert daemon.driver.ended in {"CancelledError", "GeneratorExit"}


async def test_cancel_request_at_work_is_refused(serve, held, new_id):
    daemon = await serve(("local", held))
    await daemon.container("web")
    call = daemon.call("PauseResource", id="web", request_id=new_id)
    await held.entered.wait()

    refused = await refusal(daemon.call("CancelRequest", request_id=new_id))

    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "ILLEGAL_STATE")
    held.let_go.set()
    await call
    assert await daemon.state("web") == "PAUSED"


async def test_cancel_request_queued_has_no_effect(serve, held, new_id):
    daemon = await serve(("local", held))
    await daemon.container("web")
    first = daemon.call("PauseResource", id="web")
    await held.entered.wait()
    queued = daemon.call("ResumeResource", id="web", request_id=new_id)
    await eventually(lambda: known(daemon, new_id))

    await daemon.call("CancelRequest", request_id=new_id)

    assert (await refusal(queued)).reason == "REQUEST_CANCELLED"
    held.let_go.set()
    await first
    assert await daemon.state("web") == "PAUSED"


async def known(daemon, id):
    listed = await daemon.call("ListRequests")
    return id in {each.request_id for each in listed.requests}


async def test_call_queued_caller_gone_goes_on(serve, held, new_id):
    """Without an id, a call that waits for another one ends with its caller."""
    daemon = await serve(("local", held))
    await daemon.container("web")
    first = daemon.call("PauseResource", id="web")
    await held.entered.wait()
    queued = daemon.call("ResumeResource", id="web", request_id=new_id)
    await eventually(lambda: known(daemon, new_id))
    queued.cancel()
    held.let_go.set()
    await first

    await daemon.call("ResumeResource", id="web", request_id=new_id)
    assert await daemon.state("web") == "RUNNING"
    assert (await shown(daemon, new_id)).HasField("end_time")


async def test_call_daemon_stops_meanwhile_is_interrupted(settings, held, new_id):
    """A verb whose state is not what it asked for, when the daemon is there again."""
    short = settings(drain_timeout="0s")
    async with running(short, [("local", held)]) as daemon:
        await daemon.container("web")
        call = daemon.call("PauseResource", id="web", request_id=new_id)
        await held.entered.wait()
        call.cancel()

    async with running(short, [("local", held)]) as daemon:
        held.let_go.set()
        for _ in range(2):
            refused = await refusal(daemon.call("PauseResource", id="web", request_id=new_id))
            assert (refused.code, refused.reason) == ("ABORTED", "INTERRUPTED")
            assert refused.metadata["effect"] in {"none", "unknown"}
        assert held.pauses == 1
        assert await daemon.state("web") == "RUNNING"


async def test_call_too_many_of_a_user_are_refused(serve, new_id):
    daemon = await serve(parts={"most_requests": 2})
    await daemon.container("web")
    for verb in ("PauseResource", "ResumeResource"):
        await daemon.call(verb, id="web", request_id=str(uuid4()))

    refused = await refusal(daemon.call("PauseResource", id="web", request_id=new_id))

    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_REQUESTS")
    assert refused.retry_after > 80_000
    await daemon.call("PauseResource", id="web")


async def test_call_joined_without_the_scope_to_read_gets_the_summary(serve, new_id):
    """The one who joins may hold a token with fewer scopes than the first caller's."""

    class Slow(MemoryDriver):
        def __init__(self):
            super().__init__()
            self.let_go, self.entered = asyncio.Event(), asyncio.Event()

        async def update(self, id, update):
            self.entered.set()
            await self.let_go.wait()
            return await super().update(id, update)

    daemon = await serve(("local", Slow()))
    await daemon.container("web", env={"PASSWORD": "the secret"})
    rpc = RPCS["UpdateResource"]
    request = rpc.request(id="web", request_id=new_id, **changing("container", name="new"))
    first = daemon.send(rpc, request, token=daemon.token(*BOTH))
    await daemon.driver.entered.wait()
    join = daemon.send(rpc, request, token=daemon.token(Scope.ADVANCED))
    await shown(daemon, new_id)  # was sent later
    daemon.driver.let_go.set()

    assert (await first).resource.container.env["PASSWORD"] == "the secret"
    joined = (await join).resource
    assert (joined.name, dict(joined.container.env)) == ("new", {})
    assert not joined.container.HasField("spec")

"""OperationService: what became of requests with an id, and how to end one."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from google.rpc import code_pb2

from eventually import eventually
from proa import v1
from proad.drivers.memory import MemoryDriver
from rpc.daemon import BOTH, IMAGE, RPCS, refusal
from rpc.held import known, shown

DEAF = {"proa.memory/ignores-stop": "true"}


async def test_get_request_shows_what_became_of_it(serve, held, new_id):
    daemon = await serve(("local", held))
    web = await daemon.container("web")
    call = daemon.call("PauseResource", id="web", request_id=new_id)
    await held.entered.wait()

    running = await shown(daemon, new_id)
    assert v1.RequestState.Name(running.state) == "REQUEST_STATE_RUNNING"
    assert running.method_name == "/proa.v1.ResourceService/PauseResource"
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
        token = daemon.token(*BOTH, username="eve")
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
    theirs = await daemon.send(rpc, rpc.request(), token=daemon.token(*BOTH, username="eve"))
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

        async def pull_image(self, name, **options):
            try:
                async for event in super().pull_image(name, **options):
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

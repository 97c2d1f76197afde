"""What code that was written for gRPC's own errors makes of the client's."""

import pickle
import traceback
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

import proa
from proa import v1

WEB = v1.GetResourceRequest(id="web")
PULL = v1.PullImageRequest(image="debian:12")
NOT_FOUND = grpc.StatusCode.NOT_FOUND


@pytest.fixture
def client(serve, small_daemon):
    small_daemon.valid = {"ours"}
    with serve() as target, proa.connect(target, token="ours", timeout=30) as client:
        yield client


@pytest.fixture
async def aio_client(aio_target, aio_daemon):
    aio_daemon.valid = {"ours"}
    async with proa.aio.connect(aio_target, token="ours", timeout=30) as client:
        yield client


def tracebacks(error):
    return "".join(traceback.format_exception(error)).count("Traceback (most recent call last)")


def assert_tells_what_grpc_tells(error, text="what happened"):
    assert isinstance(error, proa.NotFound)
    assert error.code() is NOT_FOUND
    assert error.details() == error.message == text
    call: Any = error
    assert rpc_status.from_call(call).details
    assert dict(error.trailing_metadata())["grpc-status-details-bin"]
    assert list(error.initial_metadata()) == []
    assert error.debug_error_string() == ""
    assert tracebacks(error) == 1


def test_error_of_call_is_caught_as_grpcs_own(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.resources.GetResource(WEB)
    assert_tells_what_grpc_tells(caught.value)


def test_error_of_stream_is_caught_as_grpcs_own(client, small_daemon, status):
    small_daemon.stream_failure = status(NOT_FOUND, "IMAGE_NOT_FOUND", "gone")
    with pytest.raises(grpc.RpcError) as caught:
        list(client.images.PullImage(PULL))
    assert_tells_what_grpc_tells(caught.value, "gone")


def test_error_of_future_is_caught_as_grpcs_own(client):
    assert_tells_what_grpc_tells(client.resources.GetResource.future(WEB).exception())


async def test_error_of_aio_call_is_caught_as_grpcs_own(aio_client):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await aio_client.resources.GetResource(WEB)
    assert_tells_what_grpc_tells(caught.value)


async def test_error_of_aio_stream_is_caught_as_grpcs_own(aio_client, aio_daemon, status):
    aio_daemon.stream_failure = status(NOT_FOUND, "IMAGE_NOT_FOUND", "gone")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [event async for event in aio_client.images.PullImage(PULL)]
    assert_tells_what_grpc_tells(caught.value, "gone")


async def test_aio_call_that_failed_tells_its_status(aio_client):
    call = aio_client.resources.GetResource(WEB)
    assert await call.code() is NOT_FOUND
    assert await call.details() == "what happened"
    assert "grpc-status-details-bin" in dict(await call.trailing_metadata())


def test_error_repr_is_one_line_with_its_reason(client):
    with pytest.raises(proa.NotFound) as caught:
        client.resources.GetResource(WEB)
    assert repr(caught.value) == "NotFound('RESOURCE_NOT_FOUND: what happened')"
    again = pickle.loads(pickle.dumps(caught.value))
    assert vars(again) == vars(caught.value)


def test_error_of_login_in_place_of_a_refused_token_has_one_traceback(serve, small_daemon):
    with serve() as target:
        login = {"username": "ann", "password": small_daemon.password}
        with proa.connect(target, **login, timeout=30) as client:
            client.hosts.GetHost(v1.GetHostRequest())
            small_daemon.valid.clear()
            small_daemon.password = "another"
            for call in (
                lambda: client.hosts.GetHost(v1.GetHostRequest()),
                lambda: list(client.images.PullImage(PULL)),
            ):
                with pytest.raises(proa.Unauthenticated) as caught:
                    call()
                assert caught.value.reason == "BAD_CREDENTIALS"
                assert tracebacks(caught.value) == 1


async def test_error_of_aio_login_in_place_of_a_refused_token_has_one_traceback(
    aio_target, aio_daemon
):
    login = {"username": "ann", "password": aio_daemon.password}
    async with proa.aio.connect(aio_target, **login, timeout=30) as client:
        await client.hosts.GetHost(v1.GetHostRequest())
        aio_daemon.valid.clear()
        aio_daemon.password = "another"
        with pytest.raises(proa.Unauthenticated) as caught:
            await client.hosts.GetHost(v1.GetHostRequest())
        assert tracebacks(caught.value) == 1
        with pytest.raises(proa.Unauthenticated) as caught:
            [event async for event in client.images.PullImage(PULL)]
        assert tracebacks(caught.value) == 1


def test_error_of_wait_without_an_answer_has_one_traceback(silent_target):
    with proa.connect(silent_target, token="x") as client, pytest.raises(grpc.RpcError) as caught:
        client.wait("web", removed=True, timeout=0.2)
    assert isinstance(caught.value, proa.WaitTimedOut)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert tracebacks(caught.value) == 1

"""The asyncio client against a grpc.aio server in the same event loop."""

import asyncio
from typing import Any

import grpc
import pytest

import proa
from proa import v1
from proa.timing import ClientTiming

LOGIN: dict[str, Any] = {"username": "ann", "password": "correct horse"}
HOST = v1.GetHostRequest()
PULL = v1.PullImageRequest(image="debian:12")


@pytest.fixture
async def client(aio_target):
    async with proa.aio.connect(aio_target, **LOGIN, timeout=10) as client:
        yield client


async def test_call_with_a_password_logs_in_and_renews_the_token(client, aio_daemon):
    assert (await client.hosts.GetHost(HOST)).host.hostname == "small"
    aio_daemon.valid.clear()
    assert (await client.hosts.GetHost(HOST)).host.hostname == "small"
    assert aio_daemon.calls == {"CreateToken": 2, "GetHost": 3}


async def test_concurrent_calls_log_in_once(client, aio_daemon):
    await asyncio.gather(*(client.hosts.GetHost(HOST) for _ in range(10)))
    assert aio_daemon.calls == {"CreateToken": 1, "GetHost": 10}
    aio_daemon.valid.clear()
    await asyncio.gather(*(client.hosts.GetHost(HOST) for _ in range(10)))
    assert aio_daemon.calls["CreateToken"] == 2


async def test_call_with_a_refused_token_renews_the_login_without_the_password(client, aio_daemon):
    aio_daemon.refresh_token = "refresh-0"
    for _ in range(3):
        await client.hosts.GetHost(HOST)
        aio_daemon.valid.clear()
    assert aio_daemon.calls == {"CreateToken": 1, "RefreshToken": 2, "GetHost": 5}
    aio_daemon.refresh_token = "of another login"
    await client.hosts.GetHost(HOST)
    assert aio_daemon.calls["CreateToken"] == 2


async def test_login_after_a_cancelled_one_succeeds(client, aio_daemon):
    with aio_daemon.lock:  # the login is not answered
        call = asyncio.ensure_future(asyncio.wait_for(client.hosts.GetHost(HOST), 0.2))
        with pytest.raises(TimeoutError):
            await call
    assert (await client.hosts.GetHost(HOST)).host.hostname == "small"


@pytest.mark.parametrize("kind", ["function", "coroutine"])
async def test_call_with_a_token_function_uses_its_token(aio_target, aio_daemon, kind):
    aio_daemon.valid = {"mine"}

    async def coroutine():
        return "mine"

    token = coroutine if kind == "coroutine" else lambda: "mine"
    async with proa.aio.connect(aio_target, token=token) as client:
        assert (await client.hosts.GetHost(HOST)).host.hostname == "small"
    assert aio_daemon.calls == {"GetHost": 1}


async def test_call_with_a_refused_fixed_token_is_not_repeated(aio_target, aio_daemon):
    async with proa.aio.connect(aio_target, token="old") as client:
        with pytest.raises(proa.Unauthenticated) as caught:
            await client.hosts.GetHost(HOST)
        with pytest.raises(proa.Unauthenticated):
            [event async for event in client.images.PullImage(PULL)]
    assert caught.value.reason == "TOKEN_EXPIRED"
    assert aio_daemon.calls == {"GetHost": 1, "PullImage": 1}


async def test_call_with_a_token_of_its_own_uses_that(client, aio_daemon):
    aio_daemon.valid = {"mine"}
    metadata = grpc.aio.Metadata(("authorization", "Bearer mine"))
    await client.hosts.GetHost(HOST, metadata=metadata)
    assert aio_daemon.calls == {"GetHost": 1}


async def test_call_with_a_wrong_password_raises_unauthenticated(aio_target):
    async with proa.aio.connect(aio_target, username="ann", password="x") as client:
        with pytest.raises(proa.Unauthenticated) as caught:
            await client.hosts.GetHost(HOST)
        assert caught.value.reason == "BAD_CREDENTIALS"
        with pytest.raises(proa.Unauthenticated):
            [event async for event in client.images.PullImage(PULL)]


async def test_failed_call_raises_a_typed_error(client):
    with pytest.raises(proa.NotFound) as caught:
        await client.resources.GetResource(v1.GetResourceRequest(id="gone"))
    assert caught.value.reason == "RESOURCE_NOT_FOUND"
    assert caught.value.metadata == {"resource": "gone"}


async def test_stream_yields_responses_and_raises_typed_errors(client, aio_daemon, status):
    events = [event async for event in client.images.PullImage(PULL)]
    assert [e.WhichOneof("event") for e in events] == ["progress", "image"]
    aio_daemon.valid.clear()
    events = [event async for event in client.images.PullImage(PULL)]
    assert [e.WhichOneof("event") for e in events] == ["progress", "image"]
    aio_daemon.stream_failure = status(grpc.StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND", "gone")
    stream = aiter(client.images.PullImage(PULL))
    assert (await anext(stream)).progress.status == "Downloading"
    with pytest.raises(proa.NotFound) as caught:
        await anext(stream)
    assert caught.value.reason == "IMAGE_NOT_FOUND"


async def test_stream_can_be_read_one_by_one(client):
    call = client.images.PullImage(PULL)
    assert (await call.read()).progress.status == "Downloading"
    assert (await call.read()).image.id == "sha256:1"
    assert await call.read() is grpc.aio.EOF


async def test_list_resources_fetches_all_pages(client, aio_daemon):
    assert [r.name async for r in client.list_resources()] == ["r0", "r1", "r2", "r3", "r4"]
    assert aio_daemon.calls["ListResources"] == 3
    assert [r.name async for r in client.list_resources(page_size=5)][-1] == "r4"
    assert aio_daemon.calls["ListResources"] == 4


async def test_call_past_the_default_deadline_raises_deadline_exceeded(silent_target):
    async with proa.aio.connect(silent_target, token="x", timeout=0.2) as client:
        with pytest.raises(proa.DeadlineExceeded):
            await client.hosts.GetHost(HOST)


async def test_login_without_a_default_deadline_has_one_of_its_own(silent_target):
    def channel(interceptors):
        return grpc.aio.insecure_channel(silent_target, interceptors=interceptors)

    source = proa.tokens.Password(**LOGIN)
    timing = ClientTiming(login_timeout=0.2)
    async with proa.aio.Client(channel, source, timing=timing) as client:
        with pytest.raises(proa.DeadlineExceeded):
            await client.hosts.GetHost(HOST)


async def test_request_with_a_password_over_an_insecure_network_raises_value_error():
    async with proa.aio.connect("192.0.2.1:50051") as client:
        with pytest.raises(ValueError, match="in the clear"):
            await client.auth.CreateToken(v1.CreateTokenRequest(username="ann", password="x"))


async def test_call_of_a_client_that_is_closed_raises_value_error():
    client = proa.aio.connect("127.0.0.1:1", token="abc")
    await client.close()
    with pytest.raises(ValueError, match="the client is closed"):
        await client.hosts.GetHost(HOST)
    with pytest.raises(ValueError, match="the client is closed"):
        await anext(aiter(client.images.PullImage(PULL)))
    with pytest.raises(ValueError, match="the client is closed"):
        async with client.exec("web", ["true"]):
            pytest.fail("it has begun")
    with pytest.raises(ValueError, match="the client is closed"):
        async with client.forward_port("web", 80):
            pytest.fail("it stands")

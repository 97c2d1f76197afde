"""Waiting with both clients until a resource is as it should be."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

import proa
from proa import v1
from unit.client.watch_server import RUNNING, STOPPED

PAUSED = v1.RESOURCE_STATE_PAUSED
A = "a" * 64


@pytest.fixture
def watch_server(small_daemon):
    small_daemon.valid = {"ours"}
    small_daemon.resources = small_daemon.watch_server.resources.values()
    small_daemon.watch_server.put(A, STOPPED, name="web")
    return small_daemon.watch_server


@pytest.fixture(params=["sync", "aio"])
def wait(request, serve, watch_server):
    """Start to wait in a thread; gives a future."""
    with serve() as target, ThreadPoolExecutor() as pool:

        def once(*states, id="web", **settings):
            with proa.connect(target, token="ours") as client:
                return client.wait(id, *states, **settings)

        async def once_aio(*states, id="web", **settings):
            async with proa.aio.connect(target, token="ours") as client:
                return await client.wait(id, *states, **settings)

        def begin(*states, **settings):
            if request.param == "sync":
                return pool.submit(once, *states, **settings)
            return pool.submit(lambda: asyncio.run(once_aio(*states, **settings)))

        yield begin


def test_wait_for_the_present_state_returns_at_once(wait, watch_server):
    assert wait(RUNNING, STOPPED).result(10).state == STOPPED
    assert not watch_server.requests


def test_wait_returns_once_the_state_is_reached(wait, watch_server):
    waiting = wait(RUNNING)
    watch_server.wait_for_watches(1)
    assert watch_server.requests[0].filter == v1.ResourceFilter(
        ids=[A], kinds=[v1.RESOURCE_KIND_CONTAINER], hosts=["local"]
    )
    watch_server.put(A, PAUSED)
    assert not waiting.done()
    watch_server.put(A, RUNNING)
    assert waiting.result(10).state == RUNNING
    watch_server.wait_for_nobody()


def test_wait_survives_a_restart_of_the_daemon(wait, watch_server, status):
    waiting = wait(RUNNING)
    watch_server.wait_for_watches(1)
    with watch_server.changed:
        watch_server.drop(status(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN"))
        watch_server.put(A, RUNNING)
        watch_server.restart()
    assert waiting.result(10).state == RUNNING


@pytest.mark.parametrize("timeout", [2, 0])
def test_wait_past_its_timeout_raises_wait_timed_out(wait, watch_server, timeout):
    with pytest.raises(proa.WaitTimedOut) as caught:
        wait(RUNNING, timeout=timeout).result(10)
    assert isinstance(caught.value, proa.DeadlineExceeded)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    if timeout:
        assert caught.value.metadata == {"resource": A, "name": "web", "state": "STOPPED"}
        assert "web is STOPPED after 2 s" in caught.value.message
    watch_server.wait_for_nobody()


def test_wait_whose_read_takes_too_long_raises_wait_timed_out(wait, small_daemon, watch_server):
    small_daemon.admitted.clear()
    try:
        with pytest.raises(proa.WaitTimedOut) as caught:
            wait(RUNNING, timeout=0.3).result(30)
    finally:
        small_daemon.admitted.set()
    assert caught.value.metadata == {"resource": "web"}


def test_wait_for_a_state_raises_not_found_once_the_resource_is_removed(wait, watch_server):
    waiting = wait(RUNNING)
    watch_server.wait_for_watches(1)
    watch_server.remove(A)
    with pytest.raises(proa.NotFound) as caught:
        waiting.result(10)
    assert caught.value.reason == "RESOURCE_NOT_FOUND"
    assert caught.value.metadata == {"resource": A}


def test_wait_notices_a_removal_before_the_watch_begins(wait, watch_server, small_daemon):
    small_daemon.resources = list(small_daemon.resources)
    watch_server.remove(A)
    with pytest.raises(proa.NotFound):
        wait(RUNNING).result(10)
    assert wait(removed=True).result(10).id == A


def test_wait_continues_while_the_engine_is_lost(wait, watch_server, small_daemon):
    small_daemon.resources = list(small_daemon.resources)
    watch_server.lose_engine()
    waiting = wait(RUNNING)
    watch_server.wait_for_watches(1)
    with pytest.raises(TimeoutError):
        waiting.result(0.3)
    watch_server.put(A, RUNNING, name="web")
    watch_server.find_engine()
    assert waiting.result(10).state == RUNNING
    watch_server.lose_engine()
    waiting = wait(RUNNING)
    watch_server.wait_for_watches(2)
    watch_server.remove(A)
    watch_server.find_engine()
    with pytest.raises(proa.NotFound):
        waiting.result(10)


def test_wait_for_a_removal_returns_the_last_state(wait, watch_server):
    waiting = wait(removed=True)
    watch_server.wait_for_watches(1)
    watch_server.put(A, RUNNING)
    assert not waiting.done()
    watch_server.remove(A)
    assert waiting.result(10).id == A


def test_wait_for_state_or_removal_returns_at_the_first(wait, watch_server):
    waiting = wait(RUNNING, removed=True)
    watch_server.wait_for_watches(1)
    watch_server.put(A, RUNNING)
    assert waiting.result(10).state == RUNNING


def test_wait_for_an_unknown_resource_raises_unless_for_its_removal(wait):
    with pytest.raises(proa.NotFound):
        wait(RUNNING, id="nothing").result(10)
    assert wait(removed=True, id="nothing").result(10) is None


def test_wait_for_a_removal_on_an_unknown_host_raises(wait, small_daemon, status):
    small_daemon.failures = [status(grpc.StatusCode.NOT_FOUND, "HOST_NOT_FOUND")]
    with pytest.raises(proa.NotFound):
        wait(removed=True, id="nohost/container/web").result(10)


def test_wait_for_nothing_raises_value_error(wait):
    with pytest.raises(ValueError, match="nothing to wait for"):
        wait().result(10)


def test_wait_of_a_closed_client_raises_cancelled(serve, watch_server):
    with serve() as target, ThreadPoolExecutor() as pool:
        client = proa.connect(target, token="ours")
        waiting = pool.submit(client.wait, "web", RUNNING)
        watch_server.wait_for_watches(1)
        client.close()
        with pytest.raises(proa.Cancelled):
            waiting.result(10)

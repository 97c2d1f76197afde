"""Watches of both clients over real channels, which break in every way there is."""

import asyncio
import threading
from contextlib import contextmanager, suppress

import grpc
import pytest

import proa
from eventually import wait_until
from proa import v1
from proa.watch_state import WatchState
from proa.watching import Watch, WatchStream
from unit.client.watch_consumer import WatchConsumer
from unit.client.watch_server import RUNNING, STOPPED

LOGIN = {"username": "ann", "password": "correct horse"}
# Seconds. Three times that is silence, and a slow machine must be heard of sooner.
QUICK = 0.4
GOING_DOWN = (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")


@pytest.fixture(params=["sync", "aio"])
def kind(request):
    return request.param


@pytest.fixture
def watch_server(small_daemon):
    small_daemon.valid = {"ours"}
    for id in ("a", "b", "c"):
        small_daemon.watch_server.put(id)
    return small_daemon.watch_server


def no_thread_left():
    wait_until(
        lambda: all(thread.name != "proa-watch" for thread in threading.enumerate()), every=0.01
    )


@pytest.fixture
def follow(kind):
    """Follow a target until the test is over."""
    open_ones = []

    def begin(target, *, settings=None, **arguments):
        consumer = WatchConsumer(kind, target, settings or {"token": "ours"}, **arguments)
        open_ones.append(consumer)
        return consumer

    yield begin
    for consumer in open_ones:
        consumer.close()
        assert consumer.ended()
    no_thread_left()


@pytest.fixture
def target(serve):
    with serve() as target:
        yield target


@pytest.fixture
def consumer(follow, target, watch_server):
    """Somebody who has seen the initial state."""
    consumer = follow(target)
    consumer.until_told(proa.Synced)
    return consumer


def test_watch_yields_the_initial_state_and_every_change(consumer, watch_server):
    assert consumer.kinds() == ["Change"] * 3 + ["Synced"]
    watch_server.put("a", STOPPED)
    watch_server.put("d")
    watch_server.remove("b")
    consumer.until_agreed(watch_server)
    assert [event.type for event in consumer.events[4:]] == [
        v1.CHANGE_TYPE_MODIFIED,
        v1.CHANGE_TYPE_ADDED,
        v1.CHANGE_TYPE_REMOVED,
    ]


def test_watch_sends_filter_read_mask_and_heartbeat(follow, target, watch_server):
    chosen = v1.ResourceFilter(name_prefix="name")
    consumer = follow(target, filter=chosen, read_mask=["state"], heartbeat=2.5)
    consumer.until_told(proa.Synced)
    [request] = watch_server.requests
    assert request.filter == chosen
    assert request.read_mask.paths == ["state", "id", "engine", "path"]
    assert request.heartbeat_interval.ToTimedelta().total_seconds() == 2.5
    assert {event.resource.name for event in consumer.events[:3]} == {""}
    assert {event.resource.state for event in consumer.events[:3]} == {RUNNING}


def test_watch_yields_no_event_for_a_heartbeat(consumer, watch_server):
    watch_server.heartbeat()
    watch_server.put("a", STOPPED)
    consumer.until_agreed(watch_server)
    assert consumer.kinds() == ["Change"] * 3 + ["Synced", "Change"]


def test_watch_resumes_after_a_broken_call(consumer, watch_server, status):
    with watch_server.changed:
        watch_server.drop(status(*GOING_DOWN))
        watch_server.put("a", STOPPED)
        watch_server.remove("b")
    consumer.until_agreed(watch_server)
    assert consumer.kinds()[4:] == ["Disconnected", "Reconnected", "Change", "Change"]
    assert consumer.events[4].error.reason == "SHUTTING_DOWN"
    # Had gRPC itself repeated the call, there would be one without a token.
    assert [bool(request.resume_token) for request in watch_server.requests] == [False, True]


def test_watch_resumes_after_a_call_that_ended_with_ok(consumer, watch_server):
    watch_server.drop()
    watch_server.put("a", STOPPED)
    consumer.until_agreed(watch_server)


def test_watch_that_breaks_before_synced_completes_the_initial_state(follow, target, watch_server):
    watch_server.cut_next(2)
    consumer = follow(target)
    consumer.until_told(proa.Synced)
    assert consumer.kinds() == [
        "Change",
        "Change",
        "Disconnected",
        "Reconnected",
        "Change",
        "Synced",
    ]
    assert consumer.replica.agrees_with(watch_server)
    assert [request.resume_token for request in watch_server.requests] == ["", ""]


def test_watch_of_a_replaced_daemon_restarts_and_yields_the_differences(
    follow, serve, watch_server, address
):
    with serve(address):
        consumer = follow(address)
        consumer.until_told(proa.Synced)
    consumer.until_told(proa.Disconnected)
    with watch_server.changed:
        watch_server.streams.clear()
        watch_server.restart()
        watch_server.remove("a")
        watch_server.put("b", STOPPED)
    with serve(address):
        consumer.until_told(proa.Synced, 2)
        assert consumer.replica.agrees_with(watch_server)
        assert consumer.kinds()[4:] == [
            "Disconnected",
            "Gap",
            "Reconnected",
            "Change",
            "Change",
            "Synced",
        ]
        consumer.close()
        assert consumer.ended()


def test_watch_with_a_compacted_token_restarts(consumer, watch_server, status):
    with watch_server.changed:
        watch_server.drop(status(*GOING_DOWN))
        watch_server.put("a", STOPPED)
        watch_server.compact()
    consumer.until_told(proa.Synced, 2)
    assert consumer.replica.agrees_with(watch_server)
    assert [bool(r.resume_token) for r in watch_server.requests] == [False, True, False]


def test_watch_that_was_too_slow_restarts_within_the_call(consumer, watch_server):
    watch_server.put("a", STOPPED)
    watch_server.gap(v1.GAP_KIND_WATCH_RESTARTED)
    consumer.until_told(proa.Synced, 2)
    assert consumer.replica.agrees_with(watch_server)
    assert len(watch_server.requests) == 1


def test_watch_of_a_silent_daemon_reconnects(follow, target, watch_server):
    consumer = follow(target, heartbeat=QUICK)
    consumer.until_told(proa.Synced)
    watch_server.mute = True
    consumer.until_told(proa.Disconnected)
    broken = next(e for e in consumer.events if isinstance(e, proa.Disconnected))
    assert isinstance(broken.error, proa.Unavailable)
    assert "nothing was heard" in broken.error.message
    watch_server.wait_for_watches(3)
    with watch_server.changed:
        watch_server.mute = False
        watch_server.put("a", STOPPED)
    consumer.until_agreed(watch_server)
    assert consumer.kinds().count("Disconnected") == consumer.kinds().count("Reconnected")


def test_watch_with_a_slow_user_does_not_reconnect(follow, target, watch_server):
    consumer = follow(target, heartbeat=QUICK)
    consumer.pause = 5 * QUICK
    consumer.until_told(proa.Synced)
    assert "Disconnected" not in consumer.kinds()


def test_watch_with_an_expired_token_renews_it_without_an_event(
    follow, target, watch_server, small_daemon, status
):
    consumer = follow(target, settings=LOGIN)
    consumer.until_told(proa.Synced)
    assert small_daemon.calls["CreateToken"] == 1
    small_daemon.valid.clear()
    with watch_server.changed:
        watch_server.drop(status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED"))
        watch_server.put("a", STOPPED)
    consumer.until_agreed(watch_server)
    assert small_daemon.calls["CreateToken"] == 2
    assert consumer.kinds() == ["Change"] * 3 + ["Synced", "Change"]


def test_watch_with_a_refused_token_calls_the_token_function(
    follow, target, watch_server, small_daemon, status
):
    tokens = iter(["ours", "mine"])
    consumer = follow(target, settings={"token": lambda: next(tokens)})
    consumer.until_told(proa.Synced)
    small_daemon.valid = {"mine"}
    with watch_server.changed:
        watch_server.drop(status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED"))
        watch_server.put("a", STOPPED)
    consumer.until_agreed(watch_server)


def test_watch_with_an_expired_fixed_token_raises(consumer, watch_server, small_daemon, status):
    small_daemon.valid.clear()
    watch_server.drop(status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED"))
    assert consumer.ended()
    assert isinstance(consumer.error, proa.Unauthenticated)
    assert consumer.error.reason == "TOKEN_EXPIRED"


def test_watch_whose_login_is_refused_raises(follow, target, watch_server, small_daemon, status):
    consumer = follow(target, settings=LOGIN)
    consumer.until_told(proa.Synced)
    small_daemon.valid.clear()
    small_daemon.password = "another"
    watch_server.drop(status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"))
    assert consumer.ended()
    assert consumer.error.reason == "BAD_CREDENTIALS"


def test_watch_whose_first_call_fails_raises(
    follow, target, watch_server, small_daemon, status, address
):
    refused = follow(address)
    assert refused.ended()
    assert isinstance(refused.error, proa.Unavailable)
    small_daemon.failures = [status(grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")]
    denied = follow(target)
    assert denied.ended()
    assert isinstance(denied.error, proa.PermissionDenied)
    stranger = follow(target, settings={"token": "old"})
    assert stranger.ended()
    assert isinstance(stranger.error, proa.Unauthenticated)
    assert not refused.events + denied.events + stranger.events


def test_watch_of_a_daemon_that_never_responds_raises_unavailable(follow, silent_target):
    consumer = follow(silent_target, heartbeat=0.1)
    assert consumer.ended()
    assert isinstance(consumer.error, proa.Unavailable)


def test_watch_whose_call_grpc_retries_yields_no_disconnected(
    follow, target, watch_server, small_daemon, status
):
    small_daemon.failures = [status(*GOING_DOWN), status(*GOING_DOWN)]
    consumer = follow(target)
    consumer.until_told(proa.Synced)
    assert consumer.kinds() == ["Change"] * 3 + ["Synced"]
    assert small_daemon.calls["WatchResources"] == 3


def test_close_of_a_watch_ends_call_and_iteration(consumer, watch_server):
    consumer.close()
    assert consumer.ended()
    assert consumer.error is None
    watch_server.wait_for_nobody()


def test_close_of_the_client_ends_call_and_iteration(consumer, watch_server):
    consumer.close_client()
    assert consumer.ended()
    assert consumer.error is None
    watch_server.wait_for_nobody()


def test_close_without_a_daemon_ends_the_iteration(follow, serve, watch_server):
    with serve() as target:
        consumer = follow(target)
        consumer.until_told(proa.Synced)
    consumer.until_told(proa.Disconnected)
    consumer.close()
    assert consumer.ended()
    assert consumer.error is None


@contextmanager
def nothing_left(watch_server):
    yield
    watch_server.wait_for_nobody()
    no_thread_left()


def test_leaving_the_iteration_ends_the_call(target, watch_server):
    with proa.connect(target, token="ours") as client:
        with nothing_left(watch_server):
            for _ in client.watch():
                break
        with nothing_left(watch_server), suppress(KeyError):
            for event in client.watch():
                raise KeyError(event)
        with nothing_left(watch_server), client.watch() as events:
            next(events)


async def test_leaving_the_asyncio_iteration_ends_the_call(target, watch_server):
    async with proa.aio.connect(target, token="ours") as client:
        async for _ in client.watch():
            break
        await asyncio.to_thread(watch_server.wait_for_nobody)
        async with client.watch() as events:
            await anext(events)
        await asyncio.to_thread(watch_server.wait_for_nobody)


async def test_cancelled_task_of_a_watch_ends_the_call(target, watch_server):
    synced = asyncio.Event()

    async def follow(client):
        async for event in client.watch():
            if isinstance(event, proa.Synced):
                synced.set()

    async with proa.aio.connect(target, token="ours") as client:
        task = asyncio.create_task(follow(client))
        await synced.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(watch_server.wait_for_nobody)


@pytest.fixture
def address(tmp_path):
    """Where nobody listens but for the test: a port could be somebody else's by then."""
    return f"unix:{tmp_path}/s"


def test_watch_whose_client_is_closed_just_before_its_call_ends_without_an_error():
    def call(_):
        stream.close()
        raise ValueError("the client is closed")

    stream = WatchStream(call, QUICK)
    assert [*Watch(stream, WatchState(None, (), None))] == []


def test_watch_of_a_client_that_is_closed_is_an_error():
    client = proa.connect("127.0.0.1:1", token="abc")
    client.close()
    with pytest.raises(ValueError, match="the client is closed"):
        next(client.watch())

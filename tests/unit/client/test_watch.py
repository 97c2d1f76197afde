"""Watches of both clients over real channels, which break in every way there is."""

import asyncio
import threading
import time
from contextlib import contextmanager, suppress

import grpc
import pytest

import proa
from proa import v1
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
    deadline = time.monotonic() + 30
    while any(thread.name == "proa-watch" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


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


def test_first_what_there_is_then_every_change(consumer, watch_server):
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


def test_the_daemon_is_asked_for_what_the_user_asked_for(follow, target, watch_server):
    chosen = v1.ResourceFilter(name_prefix="name")
    consumer = follow(target, filter=chosen, read_mask=["state"], heartbeat=2.5)
    consumer.until_told(proa.Synced)
    [request] = watch_server.requests
    assert request.filter == chosen
    assert request.read_mask.paths == ["state", "id", "kind", "host"]
    assert request.heartbeat_interval.ToTimedelta().total_seconds() == 2.5
    assert {event.resource.name for event in consumer.events[:3]} == {""}
    assert {event.resource.state for event in consumer.events[:3]} == {RUNNING}


def test_heartbeats_are_not_told(consumer, watch_server):
    watch_server.heartbeat()
    watch_server.put("a", STOPPED)
    consumer.until_agreed(watch_server)
    assert consumer.kinds() == ["Change"] * 3 + ["Synced", "Change"]


def test_a_call_that_breaks_goes_on_where_it_was(consumer, watch_server, status):
    with watch_server.changed:
        watch_server.drop(status(*GOING_DOWN))
        watch_server.put("a", STOPPED)
        watch_server.remove("b")
    consumer.until_agreed(watch_server)
    assert consumer.kinds()[4:] == ["Disconnected", "Reconnected", "Change", "Change"]
    assert consumer.events[4].error.reason == "SHUTTING_DOWN"
    # Had gRPC itself repeated the call, there would be one without a token.
    assert [bool(request.resume_token) for request in watch_server.requests] == [False, True]


def test_a_watch_that_ends_well_goes_on_too(consumer, watch_server):
    watch_server.drop()
    watch_server.put("a", STOPPED)
    consumer.until_agreed(watch_server)


def test_a_call_that_breaks_before_synced(follow, target, watch_server):
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


def test_a_daemon_that_is_replaced_by_another(follow, serve, watch_server, address):
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


def test_a_compacted_token(consumer, watch_server, status):
    with watch_server.changed:
        watch_server.drop(status(*GOING_DOWN))
        watch_server.put("a", STOPPED)
        watch_server.compact()
    consumer.until_told(proa.Synced, 2)
    assert consumer.replica.agrees_with(watch_server)
    assert [bool(r.resume_token) for r in watch_server.requests] == [False, True, False]


def test_a_watcher_that_was_too_slow(consumer, watch_server):
    watch_server.put("a", STOPPED)
    watch_server.gap(v1.GAP_KIND_WATCH_RESTARTED)
    consumer.until_told(proa.Synced, 2)
    assert consumer.replica.agrees_with(watch_server)
    assert len(watch_server.requests) == 1


def test_silence_is_a_break(follow, target, watch_server):
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


def test_a_user_who_takes_time_is_not_silence(follow, target, watch_server):
    consumer = follow(target, heartbeat=QUICK)
    consumer.pause = 5 * QUICK
    consumer.until_told(proa.Synced)
    assert "Disconnected" not in consumer.kinds()


def test_a_token_that_ends_is_renewed_without_a_word(
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


def test_a_function_is_asked_for_another_token(follow, target, watch_server, small_daemon, status):
    tokens = iter(["ours", "mine"])
    consumer = follow(target, settings={"token": lambda: next(tokens)})
    consumer.until_told(proa.Synced)
    small_daemon.valid = {"mine"}
    with watch_server.changed:
        watch_server.drop(status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED"))
        watch_server.put("a", STOPPED)
    consumer.until_agreed(watch_server)


def test_a_given_token_that_ends_ends_the_watch(consumer, watch_server, small_daemon, status):
    small_daemon.valid.clear()
    watch_server.drop(status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED"))
    assert consumer.ended()
    assert isinstance(consumer.error, proa.Unauthenticated)
    assert consumer.error.reason == "TOKEN_EXPIRED"


def test_a_login_that_is_refused_later_ends_the_watch(
    follow, target, watch_server, small_daemon, status
):
    consumer = follow(target, settings=LOGIN)
    consumer.until_told(proa.Synced)
    small_daemon.valid.clear()
    small_daemon.password = "another"
    watch_server.drop(status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"))
    assert consumer.ended()
    assert consumer.error.reason == "BAD_CREDENTIALS"


def test_the_first_failure_is_raised(follow, target, watch_server, small_daemon, status, address):
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


def test_a_daemon_that_is_mute_from_the_start(follow, silent_target):
    consumer = follow(silent_target, heartbeat=0.1)
    assert consumer.ended()
    assert isinstance(consumer.error, proa.Unavailable)


def test_grpc_retry_happens_before_disconnected_is_reported(
    follow, target, watch_server, small_daemon, status
):
    small_daemon.failures = [status(*GOING_DOWN), status(*GOING_DOWN)]
    consumer = follow(target)
    consumer.until_told(proa.Synced)
    assert consumer.kinds() == ["Change"] * 3 + ["Synced"]
    assert small_daemon.calls["WatchResources"] == 3


def test_closing_ends_call_and_loop(consumer, watch_server):
    consumer.close()
    assert consumer.ended()
    assert consumer.error is None
    watch_server.wait_for_nobody()


def test_closing_the_client_ends_call_and_loop(consumer, watch_server):
    consumer.close_client()
    assert consumer.ended()
    assert consumer.error is None
    watch_server.wait_for_nobody()


def test_closing_while_the_daemon_is_away(follow, serve, watch_server):
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


def test_leaving_the_loop_ends_the_call(target, watch_server):
    with proa.connect(target, token="ours") as client:
        with nothing_left(watch_server):
            for _ in client.watch():
                break
        with nothing_left(watch_server), suppress(KeyError):
            for event in client.watch():
                raise KeyError(event)
        with nothing_left(watch_server), client.watch() as events:
            next(events)


async def test_leaving_the_loop_ends_the_call_of_asyncio(target, watch_server):
    async with proa.aio.connect(target, token="ours") as client:
        async for _ in client.watch():
            break
        await asyncio.to_thread(watch_server.wait_for_nobody)
        async with client.watch() as events:
            await anext(events)
        await asyncio.to_thread(watch_server.wait_for_nobody)


async def test_a_cancelled_task_ends_the_call(target, watch_server):
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

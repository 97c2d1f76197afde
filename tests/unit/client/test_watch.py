"""Watches of both clients over real channels, which break in every way there is."""

import asyncio
import threading
import time
from contextlib import contextmanager, suppress

import grpc
import pytest

import proa
from proa import v1
from unit.client.following import Following
from unit.client.watched import RUNNING, STOPPED

LOGIN = {"username": "ann", "password": "correct horse"}
# Seconds. Three times that is silence, and a slow machine must be heard of sooner.
QUICK = 0.4
GOING_DOWN = (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")


@pytest.fixture(params=["sync", "aio"])
def kind(request):
    return request.param


@pytest.fixture
def watched(small_daemon):
    small_daemon.valid = {"ours"}
    for id in ("a", "b", "c"):
        small_daemon.watched.put(id)
    return small_daemon.watched


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
        following = Following(kind, target, settings or {"token": "ours"}, **arguments)
        open_ones.append(following)
        return following

    yield begin
    for following in open_ones:
        following.close()
        assert following.ended()
    no_thread_left()


@pytest.fixture
def target(serve):
    with serve() as target:
        yield target


@pytest.fixture
def following(follow, target, watched):
    """Somebody who has seen the initial state."""
    following = follow(target)
    following.until_told(proa.Synced)
    return following


def test_first_what_there_is_then_every_change(following, watched):
    assert following.kinds() == ["Change"] * 3 + ["Synced"]
    watched.put("a", STOPPED)
    watched.put("d")
    watched.remove("b")
    following.until_agreed(watched)
    assert [event.type for event in following.events[4:]] == [
        v1.CHANGE_TYPE_MODIFIED,
        v1.CHANGE_TYPE_ADDED,
        v1.CHANGE_TYPE_REMOVED,
    ]


def test_the_daemon_is_asked_for_what_the_user_asked_for(follow, target, watched):
    chosen = v1.ResourceFilter(name_prefix="name")
    following = follow(target, filter=chosen, read_mask=["state"], heartbeat=2.5)
    following.until_told(proa.Synced)
    [request] = watched.requests
    assert request.filter == chosen
    assert request.read_mask.paths == ["state", "id", "kind", "host"]
    assert request.heartbeat_interval.ToTimedelta().total_seconds() == 2.5
    assert {event.resource.name for event in following.events[:3]} == {""}
    assert {event.resource.state for event in following.events[:3]} == {RUNNING}


def test_heartbeats_are_not_told(following, watched):
    watched.heartbeat()
    watched.put("a", STOPPED)
    following.until_agreed(watched)
    assert following.kinds() == ["Change"] * 3 + ["Synced", "Change"]


def test_a_call_that_breaks_goes_on_where_it_was(following, watched, status):
    with watched.changed:
        watched.drop(status(*GOING_DOWN))
        watched.put("a", STOPPED)
        watched.remove("b")
    following.until_agreed(watched)
    assert following.kinds()[4:] == ["Disconnected", "Reconnected", "Change", "Change"]
    assert following.events[4].error.reason == "SHUTTING_DOWN"
    # Had gRPC itself repeated the call, there would be one without a token.
    assert [bool(request.resume_token) for request in watched.requests] == [False, True]


def test_a_watch_that_ends_well_goes_on_too(following, watched):
    watched.drop()
    watched.put("a", STOPPED)
    following.until_agreed(watched)


def test_a_call_that_breaks_before_synced(follow, target, watched):
    watched.cut_next(2)
    following = follow(target)
    following.until_told(proa.Synced)
    assert following.kinds() == [
        "Change",
        "Change",
        "Disconnected",
        "Reconnected",
        "Change",
        "Synced",
    ]
    assert following.picture.agrees_with(watched)
    assert [request.resume_token for request in watched.requests] == ["", ""]


def test_a_daemon_that_is_replaced_by_another(follow, serve, watched, address):
    with serve(address):
        following = follow(address)
        following.until_told(proa.Synced)
    following.until_told(proa.Disconnected)
    with watched.changed:
        watched.streams.clear()
        watched.restart()
        watched.remove("a")
        watched.put("b", STOPPED)
    with serve(address):
        following.until_told(proa.Synced, 2)
        assert following.picture.agrees_with(watched)
        assert following.kinds()[4:] == [
            "Disconnected",
            "Gap",
            "Reconnected",
            "Change",
            "Change",
            "Synced",
        ]
        following.close()
        assert following.ended()


def test_a_compacted_token(following, watched, status):
    with watched.changed:
        watched.drop(status(*GOING_DOWN))
        watched.put("a", STOPPED)
        watched.compact()
    following.until_told(proa.Synced, 2)
    assert following.picture.agrees_with(watched)
    assert [bool(r.resume_token) for r in watched.requests] == [False, True, False]


def test_a_watcher_that_was_too_slow(following, watched):
    watched.put("a", STOPPED)
    watched.gap(v1.GAP_KIND_WATCH_RESTARTED)
    following.until_told(proa.Synced, 2)
    assert following.picture.agrees_with(watched)
    assert len(watched.requests) == 1


def test_silence_is_a_break(follow, target, watched):
    following = follow(target, heartbeat=QUICK)
    following.until_told(proa.Synced)
    watched.mute = True
    following.until_told(proa.Disconnected)
    broken = next(e for e in following.events if isinstance(e, proa.Disconnected))
    assert isinstance(broken.error, proa.Unavailable)
    assert "nothing was heard" in broken.error.message
    watched.wait_for_watches(3)
    with watched.changed:
        watched.mute = False
        watched.put("a", STOPPED)
    following.until_agreed(watched)
    assert following.kinds().count("Disconnected") == following.kinds().count("Reconnected")


def test_a_user_who_takes_time_is_not_silence(follow, target, watched):
    following = follow(target, heartbeat=QUICK)
    following.pause = 5 * QUICK
    following.until_told(proa.Synced)
    assert "Disconnected" not in following.kinds()


def test_a_token_that_ends_is_renewed_without_a_word(follow, target, watched, small_daemon, status):
    following = follow(target, settings=LOGIN)
    following.until_told(proa.Synced)
    assert small_daemon.calls["CreateToken"] == 1
    small_daemon.valid.clear()
    with watched.changed:
        watched.drop(status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED"))
        watched.put("a", STOPPED)
    following.until_agreed(watched)
    assert small_daemon.calls["CreateToken"] == 2
    assert following.kinds() == ["Change"] * 3 + ["Synced", "Change"]


def test_a_function_is_asked_for_another_token(follow, target, watched, small_daemon, status):
    tokens = iter(["ours", "mine"])
    following = follow(target, settings={"token": lambda: next(tokens)})
    following.until_told(proa.Synced)
    small_daemon.valid = {"mine"}
    with watched.changed:
        watched.drop(status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED"))
        watched.put("a", STOPPED)
    following.until_agreed(watched)


def test_a_given_token_that_ends_ends_the_watch(following, watched, small_daemon, status):
    small_daemon.valid.clear()
    watched.drop(status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED"))
    assert following.ended()
    assert isinstance(following.error, proa.Unauthenticated)
    assert following.error.reason == "TOKEN_EXPIRED"


def test_a_login_that_is_refused_later_ends_the_watch(
    follow, target, watched, small_daemon, status
):
    following = follow(target, settings=LOGIN)
    following.until_told(proa.Synced)
    small_daemon.valid.clear()
    small_daemon.password = "another"
    watched.drop(status(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"))
    assert following.ended()
    assert following.error.reason == "BAD_CREDENTIALS"


def test_the_first_failure_is_raised(follow, target, watched, small_daemon, status, address):
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
    following = follow(silent_target, heartbeat=0.1)
    assert following.ended()
    assert isinstance(following.error, proa.Unavailable)


def test_grpcs_own_repetitions_come_before_the_story(follow, target, watched, small_daemon, status):
    small_daemon.failures = [status(*GOING_DOWN), status(*GOING_DOWN)]
    following = follow(target)
    following.until_told(proa.Synced)
    assert following.kinds() == ["Change"] * 3 + ["Synced"]
    assert small_daemon.calls["WatchResources"] == 3


def test_closing_ends_call_and_loop(following, watched):
    following.close()
    assert following.ended()
    assert following.error is None
    watched.wait_for_nobody()


def test_closing_the_client_ends_call_and_loop(following, watched):
    following.close_client()
    assert following.ended()
    assert following.error is None
    watched.wait_for_nobody()


def test_closing_while_the_daemon_is_away(follow, serve, watched):
    with serve() as target:
        following = follow(target)
        following.until_told(proa.Synced)
    following.until_told(proa.Disconnected)
    following.close()
    assert following.ended()
    assert following.error is None


@contextmanager
def nothing_left(watched):
    yield
    watched.wait_for_nobody()
    no_thread_left()


def test_leaving_the_loop_ends_the_call(target, watched):
    with proa.connect(target, token="ours") as client:
        with nothing_left(watched):
            for _ in client.watch():
                break
        with nothing_left(watched), suppress(KeyError):
            for event in client.watch():
                raise KeyError(event)
        with nothing_left(watched), client.watch() as events:
            next(events)


async def test_leaving_the_loop_ends_the_call_of_asyncio(target, watched):
    async with proa.aio.connect(target, token="ours") as client:
        async for _ in client.watch():
            break
        await asyncio.to_thread(watched.wait_for_nobody)
        async with client.watch() as events:
            await anext(events)
        await asyncio.to_thread(watched.wait_for_nobody)


async def test_a_cancelled_task_ends_the_call(target, watched):
    async def follow(client):
        async for _ in client.watch():
            pass

    async with proa.aio.connect(target, token="ours") as client:
        task = asyncio.create_task(follow(client))
        await asyncio.to_thread(watched.wait_for_watches, 1)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(watched.wait_for_nobody)


@pytest.fixture
def address(tmp_path):
    """Where nobody listens but for the test: a port could be somebody else's by then."""
    return f"unix:{tmp_path}/s"

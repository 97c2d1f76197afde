"""What a wait of the client asks for, and what follows from failures."""

from datetime import timedelta

import grpc
import pytest

import proa
from proa import v1
from proa.errors import Details
from proa.timing import ClientTiming
from proa.waiting import WaitState, condition

WEB = v1.Resource(id="1", name="web", path="local/container/1")
HOUR = 3600.0


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def begin(clock):
    def make(timeout=None, *, found=True, **asked):
        timing = ClientTiming(first_backoff=1.0, longest_backoff=1.0, wait_margin=2.0)
        wanted = condition((), **(asked or {"ready": True}))
        state = WaitState("web", wanted, timeout, timing=timing, clock=clock)
        if found:
            state.found(WEB)
        return state

    return make


def error(kind, code, reason=""):
    return kind(code, Details("what happened", reason))


TIMED_OUT = error(proa.WaitTimedOut, grpc.StatusCode.DEADLINE_EXCEEDED, "WAIT_TIMED_OUT")
SILENT = error(proa.DeadlineExceeded, grpc.StatusCode.DEADLINE_EXCEEDED)
ENDING = error(proa.Unavailable, grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
ENGINE_LOST = error(proa.Unavailable, grpc.StatusCode.UNAVAILABLE, "ENGINE_UNREACHABLE")
REFUSED = error(proa.Unavailable, grpc.StatusCode.UNAVAILABLE)
MISSING = error(proa.NotFound, grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
CANCELLED = error(proa.Cancelled, grpc.StatusCode.CANCELLED)


def asked(state):
    return state.request().timeout.ToTimedelta().total_seconds()


def test_request_waits_for_the_path_that_was_found(begin):
    state = begin(found=False)
    assert state.lookup().id == "web"

    state.found(WEB)

    assert state.lookup() is None
    assert state.request().id == WEB.path


@pytest.mark.parametrize(
    ("timeout", "wanted"), [(None, HOUR), (60, 60.0), (0, 0.001), (2 * HOUR, HOUR)]
)
def test_request_asks_for_an_hour_at_most(begin, timeout, wanted):
    state = begin(timeout)

    assert asked(state) == wanted
    assert state.deadline() == wanted + 2


def test_fail_after_an_hour_of_a_longer_wait_asks_for_the_rest(begin, clock):
    state = begin(1.5 * HOUR)
    clock.now = HOUR

    assert state.fail(TIMED_OUT) == 0
    assert asked(state) == timedelta(minutes=30).total_seconds()

    with pytest.raises(proa.WaitTimedOut):
        state.fail(TIMED_OUT)


@pytest.mark.parametrize("failure", [ENDING, ENGINE_LOST, REFUSED, SILENT])
def test_fail_of_daemon_or_connection_is_repeated_for_the_rest(begin, clock, failure):
    state = begin(60)
    clock.now = 59.5

    assert 0 <= state.fail(failure) <= 0.5
    assert asked(state) == 0.5

    clock.now = 60.0
    with pytest.raises(proa.Error):
        state.fail(failure)


def test_fail_of_a_silent_daemon_in_the_end_raises_wait_timed_out(begin, clock):
    state = begin(60)
    clock.now = 62.0

    with pytest.raises(proa.WaitTimedOut, match="did not answer the wait for web within 60 s"):
        state.fail(SILENT)


@pytest.mark.parametrize("failure", [MISSING, CANCELLED])
def test_fail_that_no_call_mends_is_raised(begin, failure):
    with pytest.raises(type(failure)):
        begin().fail(failure)


@pytest.mark.parametrize("failure", [REFUSED, ENDING, MISSING])
def test_fail_before_the_resource_is_found_is_raised(begin, failure):
    with pytest.raises(type(failure)):
        begin(found=False).fail(failure)


def test_fail_because_the_engine_is_lost_at_first_is_repeated(begin):
    state = begin(found=False)

    state.fail(ENGINE_LOST)

    assert state.lookup() is not None


def test_fail_to_find_what_is_to_be_removed_leaves_the_answer_to_the_daemon(begin):
    state = begin(found=False, removed=True)

    assert state.fail(MISSING) == 0

    assert state.lookup() is None
    assert state.request().id == "web"

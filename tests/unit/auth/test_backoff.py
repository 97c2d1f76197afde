from datetime import timedelta

import pytest

from proad.auth.backoff import BackOff
from proad.errors import TooManyAttemptsError


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def backoff(clock):
    return BackOff(free=2, clock=clock, max_keys=3)


def pause(backoff, key="k"):
    with pytest.raises(TooManyAttemptsError) as caught:
        backoff.check(key)
    return caught.value.retry_after.total_seconds()


def test_some_failures_are_free(backoff):
    for _ in range(2):
        backoff.failed("k")
        backoff.check("k")


def test_pauses_double_up_to_the_longest(backoff, clock):
    backoff.failed("k")
    backoff.failed("k")
    pauses = []
    for _ in range(9):
        backoff.failed("k")
        pauses.append(pause(backoff))
        clock.now += pauses[-1]
        backoff.check("k")
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_pause_grows_shorter_as_time_goes_by(backoff, clock):
    for _ in range(5):
        backoff.failed("k")
    assert pause(backoff) == 4
    clock.now += 3
    assert pause(backoff) == 1


def test_very_many_failures_do_not_overflow(backoff):
    for _ in range(5000):
        backoff.failed("k")
    assert pause(backoff) == 60


def test_other_keys_are_not_affected(backoff):
    for _ in range(5):
        backoff.failed("k")
    backoff.check("other")


def test_success_and_time_forgive(backoff, clock):
    for _ in range(5):
        backoff.failed("k")
    backoff.succeeded("k")
    backoff.check("k")
    for _ in range(5):
        backoff.failed("k")
    clock.now += timedelta(minutes=16).total_seconds()
    backoff.failed("k")
    backoff.check("k")


def test_memory_is_bounded_and_the_latest_are_kept(backoff):
    for key in "abcdef":
        for _ in range(3):
            backoff.failed(key)
    assert len(backoff) == 3
    backoff.check("a")
    assert pause(backoff, "f") == 1


@pytest.mark.parametrize(("left", "said"), [(0.2, "1 s"), (1.4, "2 s"), (3.0, "3 s")])
def test_pause_is_told_in_seconds_after_which_it_is_over(left, said):
    assert str(TooManyAttemptsError(timedelta(seconds=left))).endswith(f"try again in {said}")

from datetime import timedelta

import pytest

from proad.auth.backoff import BackOff
from proad.errors import TooManyAttemptsError


@pytest.fixture
def backoff(clock):
    return BackOff(free=2, clock=clock, max_keys=3)


def pause(backoff, key="k"):
    with pytest.raises(TooManyAttemptsError) as caught:
        backoff.check(key)
    assert caught.value.retry_after is not None
    return caught.value.retry_after.total_seconds()


def test_check_after_the_free_failures_passes(backoff):
    for _ in range(2):
        backoff.failed("k")
        backoff.check("k")


def test_check_after_more_failures_doubles_the_pause_up_to_the_longest(backoff, clock):
    backoff.failed("k")
    backoff.failed("k")
    pauses = []
    for _ in range(9):
        backoff.failed("k")
        pauses.append(pause(backoff))
        clock.now += pauses[-1]
        backoff.check("k")
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_check_during_a_pause_tells_the_time_left(backoff, clock):
    for _ in range(5):
        backoff.failed("k")
    assert pause(backoff) == 4
    clock.now += 3
    assert pause(backoff) == 1


def test_check_after_very_many_failures_does_not_overflow(backoff):
    for _ in range(5000):
        backoff.failed("k")
    assert pause(backoff) == 60


def test_check_of_another_key_passes(backoff):
    for _ in range(5):
        backoff.failed("k")
    backoff.check("other")


def test_check_after_a_success_or_enough_time_passes(backoff, clock):
    for _ in range(5):
        backoff.failed("k")
    backoff.succeeded("k")
    backoff.check("k")
    for _ in range(5):
        backoff.failed("k")
    clock.now += timedelta(minutes=16).total_seconds()
    backoff.failed("k")
    backoff.check("k")


def test_failed_past_max_keys_drops_the_oldest_key(backoff):
    for key in "abcdef":
        for _ in range(3):
            backoff.failed(key)
    assert len(backoff) == 3
    backoff.check("a")
    assert pause(backoff, "f") == 1


@pytest.mark.parametrize(("left", "said"), [(0.2, "1 s"), (1.4, "2 s"), (3.0, "3 s")])
def test_error_message_rounds_the_pause_up_to_seconds(left, said):
    assert str(TooManyAttemptsError(timedelta(seconds=left))).endswith(f"try again in {said}")

"""What one user may have under way, by a clock of the test's own."""

import pytest

from proad.errors import UserLimitError
from proad.rpc.user_limiter import UserLimiter, UserLimits

LIST, LOOK = "/list", "/look"


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limiter(clock):
    limits = UserLimits(calls_per_second=4, concurrent_calls=100, unread_bytes=100)
    return UserLimiter(limits, clock)


def refused(limiter, user="ann"):
    with pytest.raises(UserLimitError) as caught:
        limiter.begin(user)
    return caught.value


def begun(limiter, user="ann"):
    """Begin calls until one is refused; return how many began."""
    count = 0
    while True:
        try:
            limiter.begin(user)
        except UserLimitError:
            return count
        count += 1


def test_begin_admits_a_second_of_calls_at_once_and_then_the_rate(limiter, clock):
    assert begun(limiter) == 4
    error = refused(limiter)
    assert error.metadata == {"setting": "user_calls_per_second"}
    assert error.retry_after.total_seconds() == pytest.approx(0.25)

    clock.now += error.retry_after.total_seconds() + 0.001
    assert begun(limiter) == 1
    clock.now += 100
    assert begun(limiter) == 4


def test_pace_counts_for_the_rate_alone(limiter, clock):
    limiter.begin("ann").answer(100)  # nothing more would be begun
    for _ in range(3):
        limiter.pace("ann")
    with pytest.raises(UserLimitError) as caught:
        limiter.pace("ann")
    assert caught.value.metadata == {"setting": "user_calls_per_second"}
    limiter.pace("bob")


def test_begin_of_one_user_takes_nothing_from_another(limiter):
    begun(limiter)
    assert begun(limiter, "bob") == 4


def test_refused_call_is_not_counted(limiter, clock):
    begun(limiter)
    for _ in range(50):
        refused(limiter)
    clock.now += 0.251
    limiter.begin("ann")


def test_begin_over_the_calls_at_a_time_is_refused_until_one_ends(limiter):
    limiter.use(UserLimits(concurrent_calls=2))
    first, _second = limiter.begin("ann"), limiter.begin("ann")
    assert refused(limiter).metadata == {"setting": "user_concurrent_calls"}
    limiter.begin("bob")

    first.end()
    first.end()  # counts once

    limiter.begin("ann")
    assert refused(limiter).retry_after


def test_answers_over_the_unread_bytes_are_refused_until_others_are_read(limiter):
    first, second, third = (limiter.begin("ann", LIST) for _ in range(3))
    first.answer(60)
    with pytest.raises(UserLimitError):
        second.answer(41)
    second.answer(40)
    assert refused(limiter).metadata == {"setting": "user_unread_bytes"}
    limiter.begin("bob", LIST).answer(60)

    first.end()

    third.answer(60)


def test_answer_of_a_change_is_never_refused(limiter):
    limiter.begin("ann", LIST).answer(90)
    limiter.begin("ann").answer(1000)


def test_answer_larger_than_the_limit_is_sent_alone(limiter):
    limiter.begin("ann", LIST).answer(1000)
    assert refused(limiter)


def test_method_of_a_refused_answer_is_refused_before_its_work_until_others_are_read(limiter):
    limiter.use(UserLimits(unread_bytes=100))
    calls = [limiter.begin("ann", LIST) for _ in range(3)]
    calls[0].answer(60)
    limiter.check_room("ann", LIST)
    with pytest.raises(UserLimitError):
        calls[1].answer(41)

    with pytest.raises(UserLimitError):
        limiter.check_room("ann", LIST)
    with pytest.raises(UserLimitError):
        limiter.begin("ann", LIST)
    limiter.begin("ann", LOOK).answer(1)  # for which there is room
    limiter.begin("ann").answer(1)
    limiter.begin("bob", LIST)
    calls[1].end()  # has no answer that somebody could have read
    with pytest.raises(UserLimitError):
        limiter.check_room("ann", LIST)

    calls[0].end()

    limiter.check_room("ann", LIST)
    limiter.begin("ann", LIST).answer(60)

from datetime import timedelta

import pytest

from proad.auth.login_limiter import LoginLimiter
from proad.errors import TooManyAttemptsError


@pytest.fixture
def limiter(clock):
    return LoginLimiter(clock=clock)


def test_succeeded_by_others_never_drops_a_known_address_of_the_user(limiter):
    limiter.succeeded("ann", "home")
    for number in range(200):
        limiter.succeeded("eve", f"address{number}")
        limiter.failed(f"nobody{number}", "home")
        limiter.failed("ann", f"address{number}")
    assert limiter.is_known("ann", "home")
    known = [number for number in range(200) if limiter.is_known("eve", f"address{number}")]
    assert known == list(range(192, 200))


def test_check_after_a_flood_of_other_names_still_imposes_the_pause(limiter):
    """The flood has more failures than bcrypt can produce in the 15 minutes that count."""
    for _ in range(40):
        limiter.failed("ann", "there")
    for number in range(50_000):
        limiter.failed(f"nobody{number}", f"address{number}")
    with pytest.raises(TooManyAttemptsError):
        limiter.check("ann", "there")


def test_failed_past_the_bound_drops_the_oldest_records(limiter):
    for _ in range(60):
        limiter.failed("ann", "first")
    with pytest.raises(TooManyAttemptsError):
        limiter.check("ann", "first")
    with pytest.raises(TooManyAttemptsError):
        limiter.check("ann", "second")
    for number in range(70_000):
        limiter.failed(f"nobody{number}", f"address{number}")
    limiter.check("ann", "first")
    limiter.check("ann", "second")
    assert limiter.priority("ann", "first") == 1
    assert limiter.priority("ann", "address69999") == 2


def test_succeeded_past_the_bound_drops_the_oldest_user(limiter):
    for number in range(10_050):
        limiter.succeeded(f"user{number}", "address")
    known = [number for number in range(10_050) if limiter.is_known(f"user{number}", "address")]
    assert known == list(range(50, 10_050))


def test_priority_is_lowest_for_known_addresses_and_grows_with_failures(limiter, clock):
    limiter.succeeded("ann", "here")
    for _ in range(3):
        limiter.failed("ann", "here")
        limiter.failed("bob", "there")
    assert limiter.priority("ann", "here") == 0
    assert limiter.priority("ann", "elsewhere") == 1
    assert limiter.priority("cat", "there") == limiter.priority("cat", "here") == 4
    limiter.succeeded("cat", "here")
    assert limiter.priority("bob", "here") == 1
    clock.now += timedelta(minutes=16).total_seconds()
    assert limiter.priority("bob", "there") == 1

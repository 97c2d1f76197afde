from datetime import timedelta

import pytest

from proad.auth.login_limiter import LoginLimiter
from proad.errors import TooManyAttemptsError


@pytest.fixture
def limiter(clock):
    return LoginLimiter(clock=clock)


def test_homes_are_the_latest_of_each_user_and_nobody_else_drives_them_out(limiter):
    limiter.succeeded("ann", "home")
    for number in range(200):
        limiter.succeeded("eve", f"place{number}")
        limiter.failed(f"nobody{number}", "home")
        limiter.failed("ann", f"place{number}")
    assert limiter.is_known("ann", "home")
    assert [n for n in range(200) if limiter.is_known("eve", f"place{n}")] == list(range(192, 200))


def test_a_pause_outlives_a_flood_of_other_names(limiter, clock):
    """More failures than bcrypt can make in the quarter of an hour that counts."""
    for _ in range(40):
        limiter.failed("ann", "there")
    for number in range(50_000):
        limiter.failed(f"nobody{number}", f"place{number}")
    with pytest.raises(TooManyAttemptsError):
        limiter.check("ann", "there")


def test_memory_is_bounded(limiter):
    for number in range(70_000):
        limiter.failed(f"nobody{number}", f"place{number}")
    for number in range(10_050):
        limiter.succeeded(f"user{number}", "place")
    kept = (limiter._pairs, limiter._users, limiter._addresses)
    assert [len(counts) for counts in kept] == [65_536] * 3
    assert len(limiter._known_addresses) == 10_000


def test_ranks_put_homes_first_and_then_places_with_few_failures(limiter, clock):
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

from datetime import timedelta

import pytest

from proad.auth.pacing import Pacing
from proad.errors import TooManyAttemptsError


@pytest.fixture
def pacing(clock):
    return Pacing(clock=clock)


def test_homes_are_the_latest_of_each_user_and_nobody_else_drives_them_out(pacing):
    pacing.succeeded("ann", "home")
    for number in range(200):
        pacing.succeeded("eve", f"place{number}")
        pacing.failed(f"nobody{number}", "home")
        pacing.failed("ann", f"place{number}")
    assert pacing.is_home("ann", "home")
    assert [n for n in range(200) if pacing.is_home("eve", f"place{n}")] == list(range(192, 200))


def test_a_pause_outlives_a_flood_of_other_names(pacing, clock):
    """More failures than bcrypt can make in the quarter of an hour that counts."""
    for _ in range(40):
        pacing.failed("ann", "there")
    for number in range(50_000):
        pacing.failed(f"nobody{number}", f"place{number}")
    with pytest.raises(TooManyAttemptsError):
        pacing.check("ann", "there")


def test_memory_is_bounded(pacing):
    for number in range(70_000):
        pacing.failed(f"nobody{number}", f"place{number}")
    for number in range(10_050):
        pacing.succeeded(f"user{number}", "place")
    kept = (pacing._pairs, pacing._users, pacing._places)
    assert [len(counts) for counts in kept] == [65_536] * 3
    assert len(pacing._homes) == 10_000


def test_ranks_put_homes_first_and_then_places_with_few_failures(pacing, clock):
    pacing.succeeded("ann", "here")
    for _ in range(3):
        pacing.failed("ann", "here")
        pacing.failed("bob", "there")
    assert pacing.rank("ann", "here") == 0
    assert pacing.rank("ann", "elsewhere") == 1
    assert pacing.rank("cat", "there") == pacing.rank("cat", "here") == 4
    pacing.succeeded("cat", "here")
    assert pacing.rank("bob", "here") == 1
    clock.now += timedelta(minutes=16).total_seconds()
    assert pacing.rank("bob", "there") == 1

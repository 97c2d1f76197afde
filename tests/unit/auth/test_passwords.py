import statistics
import time

import pytest

from proad.auth.passwords import Passwords, check_new_password, check_password
from proad.errors import InvalidArgumentError


@pytest.fixture
def passwords():
    with Passwords(cost=4) as passwords:
        yield passwords


@pytest.mark.parametrize("password", ["x", " ", "ä" * 36, "a" * 72, "pass\nword\n", "🛶" * 18])
async def test_verify_of_a_hashed_password_returns_true(passwords, password):
    hashed = await passwords.hash(password)
    assert hashed.startswith("$2b$04$")
    assert await passwords.verify(password, hashed)
    assert not await passwords.verify(password[:-1] or "y", hashed)


async def test_hash_of_one_password_differs_each_time(passwords):
    assert await passwords.hash("x") != await passwords.hash("x")


@pytest.mark.parametrize(
    ("password", "what"),
    [
        ("", "empty"),
        ("a" * 73, "72 bytes"),
        ("ä" * 37, "has 74"),
        ("a\0b", "NUL"),
        ("\ud800", "Unicode"),
    ],
)
async def test_hash_of_an_impossible_password_raises_invalid_argument(passwords, password, what):
    for call in (passwords.hash(password), passwords.verify(password, None)):
        with pytest.raises(InvalidArgumentError, match=what) as caught:
            await call
        assert [violation.field for violation in caught.value.violations] == ["password"]


async def test_verify_without_a_hash_returns_false(passwords):
    assert not await passwords.verify("x", None)


async def test_verify_without_a_hash_takes_as_long():
    with Passwords(cost=9) as passwords:
        hashed = await passwords.hash("right")
        known: list[float] = []
        unknown: list[float] = []
        for _ in range(7):
            for reference, times in ((hashed, known), (None, unknown)):
                start = time.process_time()  # of all threads; others do not count
                assert not await passwords.verify("wrong", reference)
                times.append(time.process_time() - start)
    assert 0.5 < statistics.median(unknown) / statistics.median(known) < 2


async def test_hash_by_default_has_cost_twelve():
    with Passwords() as passwords:
        assert (await passwords.hash("x")).startswith("$2b$12$")


@pytest.mark.parametrize(("password", "fits"), [("x" * 7, False), ("x" * 8, True), ("ä" * 8, True)])
def test_check_new_password_that_is_too_short_raises_invalid_argument(password, fits):
    if fits:
        check_new_password(password, at_least=8)
        return
    with pytest.raises(InvalidArgumentError, match=r"at least 8 characters.*this has 7"):
        check_new_password(password, at_least=8)


def test_check_password_returns_the_bytes():
    assert check_password("ä") == b"\xc3\xa4"

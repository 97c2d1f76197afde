import asyncio
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from itertools import combinations

import pytest
import structlog

from proad.auth.client_address import ClientAddressResolver
from proad.auth.passwords import Passwords
from proad.errors import (
    BadCredentialsError,
    InvalidArgumentError,
    ScopeMissingError,
    TooManyAttemptsError,
)
from proad.model.scope import Scope
from unit.auth.conftest import PASSWORDS


@pytest.mark.parametrize(
    ("name", "asked", "given"),
    [
        ("ann", None, set(Scope)),
        ("ann", [], set(Scope)),
        ("ann", [Scope.ADVANCED], {Scope.ADVANCED}),
        ("ann", [Scope.BASIC, Scope.BASIC], {Scope.BASIC}),
        ("bob", None, {Scope.BASIC}),
        ("eve", None, set()),
    ],
)
async def test_create_token_returns_the_requested_scopes(authenticator, login, name, asked, given):
    issued = await login(name, scopes=asked)
    assert issued.scopes == given
    left = issued.expire_time - datetime.now(UTC)
    assert timedelta(minutes=29, seconds=58) < left <= timedelta(minutes=30)
    caller = await authenticator.authenticate(f"Bearer {issued.token}")
    assert (caller.username, caller.scopes) == (name, given)
    assert caller.expire_time == issued.expire_time


@pytest.mark.parametrize(
    ("name", "asked"), [("bob", [Scope.ADVANCED]), ("bob", list(Scope)), ("eve", [Scope.BASIC])]
)
async def test_create_token_with_a_scope_beyond_the_users_raises_scope_missing(login, name, asked):
    with pytest.raises(ScopeMissingError):
        await login(name, scopes=asked)


SUBSETS = [some for size in range(len(Scope) + 1) for some in combinations(Scope, size)]


@pytest.mark.parametrize("granted", SUBSETS, ids=lambda s: "+".join(s) or "none")
async def test_create_token_gives_nothing_that_is_not_granted(login, users, granted):
    await users.set_scopes("bob", granted)
    for asked in SUBSETS[1:]:
        if set(asked) <= set(granted):
            assert (await login("bob", scopes=asked)).scopes == set(asked)
        else:
            with pytest.raises(ScopeMissingError) as caught:
                await login("bob", scopes=asked)
            assert caught.value.metadata["required_scope"] in set(asked) - set(granted)


async def test_create_token_that_fails_never_tells_why(login, users):
    await users.set_disabled("bob", disabled=True)
    texts = []
    for name, password in [
        ("ann", "wrong"),
        ("nobody", "wrong"),
        ("Ann", "Correct horse"),
        ("bob", "battery staple"),
        ("bob", "wrong"),
        ("ann", "x" * 72),
    ]:
        with pytest.raises(BadCredentialsError) as caught:
            await login(name, password)
        texts.append((caught.value.message, str(caught.value.metadata)))
    assert len(set(texts)) == 1


@pytest.mark.parametrize(
    ("name", "password", "field"),
    [
        ("", "x", "username"),
        ("a" * 65, "x", "username"),
        ("a/b", "x", "username"),
        ("a\0", "x", "username"),
        ("ä", "x", "username"),
        ("a\n", "x", "username"),
        ("x" * 1_000_000, "x", "username"),
        ("ann", "", "password"),
        ("ann", "x" * 73, "password"),
        ("ann", "x\0", "password"),
        ("ann", "x" * 1_000_000, "password"),
    ],
)
async def test_create_token_with_an_impossible_name_or_password_raises_invalid_argument(
    login, name, password, field
):
    with pytest.raises(InvalidArgumentError) as caught:
        await login(name, password)
    assert [violation.field for violation in caught.value.violations] == [field]
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("name", ["ANN", "Ann", "aNN"])
async def test_create_token_with_a_name_in_other_case_finds_the_user(authenticator, login, name):
    issued = await login(name, PASSWORDS["ann"])
    assert (await authenticator.authenticate(f"Bearer {issued.token}")).username == "ann"


async def fail(login, times, name="ann", peer="ipv4:10.0.0.1:1"):
    for _ in range(times):
        with pytest.raises(BadCredentialsError):
            await login(name, "wrong", peer=peer)


async def refused(login, name="ann", peer="ipv4:10.0.0.1:1", password=None, **others):
    with pytest.raises(TooManyAttemptsError) as caught:
        await login(name, password, peer=peer, **others)
    return caught.value.retry_after


async def test_create_token_after_failures_is_paused_at_that_address_alone(login, clock):
    await fail(login, 6)
    assert await refused(login, peer="ipv4:10.0.0.1:2") == timedelta(seconds=1)
    for peer in ("ipv4:10.0.0.2:1", "unix:"):
        await login("ann", peer=peer)
    clock.now += 1
    await login("ann", peer="ipv4:10.0.0.1:3")
    await fail(login, 5)


async def test_create_token_for_an_unknown_user_is_paused_alike(login):
    await fail(login, 6, name="nobody")
    await refused(login, name="nobody", password="wrong")


@pytest.mark.parametrize("peer", ["ipv4:10.0.0.1:{}", "ipv6:%5B2001:db8::1%5D:{}", "unix:"])
async def test_create_token_after_failures_of_others_at_the_address_is_not_paused(login, peer):
    for number in range(60):
        await fail(login, 1, name=f"user{number}", peer=peer.format(number))
    await fail(login, 6, name="ann", peer=peer.format(77))
    await login("bob", peer=peer.format(99))


async def test_create_token_after_failures_at_many_addresses_is_paused_except_at_known_ones(
    login, clock
):
    await login("ann", peer="ipv4:10.0.0.1:1")
    for number in range(51):
        await fail(login, 1, peer=f"ipv4:10.0.1.{number}:1")
    assert await refused(login, peer="ipv4:10.0.2.1:1") == timedelta(seconds=1)
    await login("ann", peer="ipv4:10.0.0.1:2")
    await login("bob", peer="ipv4:10.0.2.1:1")
    assert await refused(
        login, peer="ipv4:10.0.2.1:1"
    )  # the successful login lifts no pause elsewhere


async def test_create_token_after_failures_at_a_known_address_is_paused_there_alone(login, clock):
    await login("ann", peer="ipv4:10.0.0.1:1")
    for _ in range(20):
        await fail(login, 5)
        await login("ann", peer="ipv4:10.0.0.1:1")
    await fail(login, 6)
    await refused(login)
    await login("ann", peer="ipv4:10.0.0.2:1")


async def test_create_token_from_one_ipv6_network_counts_as_one_address(login):
    for number in range(6):
        await fail(login, 1, peer=f"ipv6:%5B2001:db8::{number}%5D:1")
    await refused(login, peer="ipv6:%5B2001:db8::99%5D:1")
    await login("ann", peer="ipv6:%5B2001:db8:0:1::99%5D:1")


async def test_create_token_behind_a_trusted_proxy_counts_failures_by_the_forwarded_address(
    make_authenticator,
):
    authenticator = make_authenticator(addresses=ClientAddressResolver([ip_network("10.0.0.1")]))

    async def login(name="ann", password=None, *, peer, forwarded=()):
        password = password or PASSWORDS[name]
        return await authenticator.create_token(name, password, peer=peer, forwarded=forwarded)

    for number in range(6):
        made_up = f"192.0.2.{number}, 198.51.100.7"
        with pytest.raises(BadCredentialsError):
            await login("ann", "wrong", peer="ipv4:10.0.0.1:1", forwarded=[made_up])
    await refused(login, forwarded=["198.51.100.7"])
    await refused(login, peer="ipv4:198.51.100.7:1", forwarded=["198.51.100.8"])
    await login("ann", peer="ipv4:10.0.0.1:1", forwarded=["198.51.100.8"])


async def test_create_token_that_fails_logs_a_digest_of_the_name(login):
    with structlog.testing.capture_logs() as lines:
        await fail(login, 2, name="my.secret.password")
        await fail(login, 1, name="other")
    assert "secret" not in str(lines)
    first, second, other = [line["user_digest"] for line in lines]
    assert first == second != other


class HeldPasswords(Passwords):
    """Holds each verification back until the test allows it."""

    def __init__(self):
        super().__init__(cost=4)
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.allowed = asyncio.Semaphore(0)
        self.ended: asyncio.Queue[str] = asyncio.Queue()

    async def verify(self, password, password_hash):
        self.begun.put_nowait(password)
        await self.allowed.acquire()
        matches = await super().verify(password, password_hash)
        self.ended.put_nowait(password)
        return matches


async def test_create_token_that_is_cancelled_counts_as_a_failure(make_authenticator):
    """Otherwise guesses would be free for a caller that hangs up."""
    with HeldPasswords() as passwords:
        authenticator = make_authenticator(passwords=passwords)
        for _ in range(6):
            attempt = asyncio.create_task(
                authenticator.create_token("ann", "wrong", peer="ipv4:10.0.0.1:1")
            )
            await passwords.begun.get()
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
            passwords.allowed.release()
            await passwords.ended.get()
        with pytest.raises(TooManyAttemptsError):
            await authenticator.create_token("ann", PASSWORDS["ann"], peer="ipv4:10.0.0.1:1")


async def test_create_token_sent_many_times_at_once_is_paused(login):
    outcomes = await asyncio.gather(
        *(login("ann", "wrong") for _ in range(60)), return_exceptions=True
    )
    kinds = [type(outcome) for outcome in outcomes]
    assert set(kinds) == {BadCredentialsError, TooManyAttemptsError}
    # six that count, and those dispatched already
    assert kinds.count(BadCredentialsError) <= 8


async def test_create_token_sent_many_times_at_once_with_the_right_password_passes(login):
    issued = await asyncio.gather(*(login("ann") for _ in range(30)))
    assert len({token.token for token in issued}) == 30

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from proad.auth.scopes import Scope
from proad.auth.service import Authenticator
from proad.config import Settings
from proad.errors import (
    BadCredentialsError,
    InvalidArgumentError,
    ScopeMissingError,
    SetupError,
    TooManyAttemptsError,
)
from unit.auth.conftest import PASSWORDS


@pytest.mark.parametrize(
    ("name", "asked", "given"),
    [
        ("ann", None, {Scope.BASIC, Scope.ADVANCED}),
        ("ann", [], {Scope.BASIC, Scope.ADVANCED}),
        ("ann", [Scope.ADVANCED], {Scope.ADVANCED}),
        ("ann", [Scope.BASIC, Scope.BASIC], {Scope.BASIC}),
        ("bob", None, {Scope.BASIC}),
        ("eve", None, set()),
    ],
)
async def test_a_token_carries_what_was_asked_for(authenticator, login, name, asked, given):
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
async def test_nobody_gets_more_than_was_granted(login, name, asked):
    with pytest.raises(ScopeMissingError):
        await login(name, scopes=asked)


async def test_every_bad_login_reads_the_same(login, users):
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
async def test_what_nobody_can_have_is_an_invalid_argument(login, name, password, field):
    with pytest.raises(InvalidArgumentError) as caught:
        await login(name, password)
    assert [violation.field for violation in caught.value.violations] == [field]
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("name", ["ANN", "Ann", "aNN"])
async def test_login_with_a_name_in_other_case_is_the_same_user(authenticator, login, name):
    issued = await login(name, PASSWORDS["ann"])
    assert (await authenticator.authenticate(f"Bearer {issued.token}")).username == "ann"


async def fail(login, times, name="ann", peer="ipv4:10.0.0.1:1"):
    for _ in range(times):
        with pytest.raises(BadCredentialsError):
            await login(name, "wrong", peer=peer)


async def test_a_user_is_paused_from_everywhere_and_others_are_not(login, clock):
    await fail(login, 6)
    for peer in ("ipv4:10.0.0.1:2", "ipv4:10.0.0.2:1", "unix:"):
        with pytest.raises(TooManyAttemptsError) as caught:
            await login("ann", peer=peer)
        assert caught.value.retry_after == timedelta(seconds=1)
    await login("bob", peer="ipv4:10.0.0.2:1")
    clock.now += 1
    await login("ann")
    await fail(login, 5)


async def test_an_unknown_user_is_paused_alike(login):
    await fail(login, 6, name="nobody")
    with pytest.raises(TooManyAttemptsError):
        await login("nobody", "wrong")


async def test_a_peer_is_paused_for_all_users_and_other_peers_are_not(login, clock):
    for number in range(21):
        await fail(login, 1, name=f"user{number}", peer=f"ipv6:%5B::1%5D:{number}")
    with pytest.raises(TooManyAttemptsError):
        await login("bob", peer="ipv6:%5B::1%5D:99")
    await login("bob", peer="ipv6:%5B::2%5D:99")
    clock.now += 1
    await login("bob", peer="ipv6:%5B::1%5D:99")


async def test_logins_sent_at_once_do_not_slip_past_the_pause(login):
    outcomes = await asyncio.gather(
        *(login("ann", "wrong") for _ in range(60)), return_exceptions=True
    )
    kinds = [type(outcome) for outcome in outcomes]
    assert set(kinds) == {BadCredentialsError, TooManyAttemptsError}
    # six that count, and those whose turn it was already
    assert kinds.count(BadCredentialsError) <= 8


async def test_good_logins_sent_at_once_all_pass(login):
    issued = await asyncio.gather(*(login("ann") for _ in range(30)))
    assert len({token.token for token in issued}) == 30


async def test_open_makes_what_is_missing(tmp_path):
    settings = Settings(state_dir=tmp_path / "a" / "b")
    for _ in range(2):
        async with Authenticator.open(settings) as authenticator:
            with pytest.raises(BadCredentialsError):
                await authenticator.create_token("ann", "x", peer="unix:")
    assert sorted(path.name for path in settings.state_dir.iterdir()) == ["keys", "proa.db"]


async def test_open_refuses_a_folder_that_others_may_change(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o777)
    with pytest.raises(SetupError, match="chmod 700"):
        async with Authenticator.open(Settings(state_dir=tmp_path / "a")):
            pass

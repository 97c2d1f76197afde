import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from proad.auth.refresh_tokens import RefreshTokens
from proad.auth.sessions import SessionLimits
from proad.errors import (
    DatabaseUnreachableError,
    TokenExpiredError,
    TokenInvalidError,
    TokenRevokedError,
    TooManyAttemptsError,
)
from proad.model import Access
from proad.model.grant import Grant
from proad.model.scope import Scope
from proad.store.sessions import SessionStore
from unit.auth.conftest import DAEMON, PASSWORDS

PAST_THE_GRACE = timedelta(seconds=31)
PAST_THE_CACHE = 0.51  # seconds


@pytest.fixture
def refresh(authenticator):
    async def refresh(token, peer="unix:"):
        return await authenticator.refresh_token(token, peer=peer)

    return refresh


@pytest.fixture
def accepts(authenticator, clock):
    """Tell whether a token is accepted, as the database has it now."""

    async def accepts(token):
        clock.now += PAST_THE_CACHE
        try:
            await authenticator.authenticate(f"Bearer {token}")
        except (TokenInvalidError, TokenRevokedError):
            return False
        return True

    return accepts


async def test_refresh_gives_a_new_token_and_a_new_refresh_token(login, refresh, accepts):
    first = await login()
    second = await refresh(first.refresh_token)
    assert second.refresh_token != first.refresh_token
    assert second.token != first.token
    assert second.scopes == first.scopes == set(Scope)
    assert await accepts(first.token)
    assert await accepts(second.token)


async def test_refresh_over_and_over_goes_on(login, refresh, now):
    issued = await login()
    seen = {issued.refresh_token}
    for _ in range(20):
        now.ahead += timedelta(minutes=25)
        issued = await refresh(issued.refresh_token)
        seen.add(issued.refresh_token)
    assert len(seen) == 21


async def test_refresh_repeated_within_the_grace_gives_the_same_refresh_token(
    login, refresh, now, accepts
):
    first = await login()
    second = await refresh(first.refresh_token)
    now.ahead += timedelta(seconds=29)
    again = await refresh(first.refresh_token)
    assert again.refresh_token == second.refresh_token
    assert await accepts(again.token)
    third = await refresh(second.refresh_token)
    assert third.refresh_token not in {first.refresh_token, second.refresh_token}


async def test_refresh_many_times_at_once_makes_one_step(login, refresh, store):
    first = await login()
    issued = await asyncio.gather(*(refresh(first.refresh_token) for _ in range(20)))
    assert len({each.refresh_token for each in issued}) == 1
    await refresh(issued[0].refresh_token)


async def refused_as_theft(refresh, token):
    with structlog.testing.capture_logs() as lines, pytest.raises(TokenRevokedError):
        await refresh(token)
    (line,) = [line for line in lines if line["log_level"] == "warning"]
    assert line["event"] == "refresh token used again, session ended"
    assert token not in str(lines)
    return line


async def test_refresh_repeated_after_the_grace_ends_the_session_and_its_tokens(
    login, refresh, now, accepts
):
    first = await login()
    second = await refresh(first.refresh_token)
    now.ahead += PAST_THE_GRACE
    line = await refused_as_theft(refresh, first.refresh_token)
    assert line["subject"] == "ann"
    for token in (first.refresh_token, second.refresh_token):
        with pytest.raises(TokenInvalidError):
            await refresh(token)
    assert not await accepts(first.token)
    assert not await accepts(second.token)


async def test_refresh_with_a_token_before_the_preceding_one_ends_the_session_at_once(
    login, refresh
):
    first = await login()
    second = await refresh(first.refresh_token)
    third = await refresh(second.refresh_token)
    await refused_as_theft(refresh, first.refresh_token)
    with pytest.raises(TokenInvalidError):
        await refresh(third.refresh_token)


async def test_theft_ends_no_other_session_of_the_user(login, refresh, accepts, now):
    other = await login()
    stolen = await login()
    await refresh(stolen.refresh_token)
    now.ahead += PAST_THE_GRACE
    await refused_as_theft(refresh, stolen.refresh_token)
    assert await accepts(other.token)
    await refresh(other.refresh_token)


async def test_refresh_after_the_clock_was_set_back_is_a_repetition_within_minutes_alone(
    login, refresh, now
):
    first = await login()
    await refresh(first.refresh_token)
    now.ahead = -timedelta(minutes=1, seconds=59)
    await refresh(first.refresh_token)
    now.ahead = -timedelta(hours=1)
    await refused_as_theft(refresh, first.refresh_token)


async def test_refresh_with_a_number_that_was_never_given_ends_the_session(
    login, refresh, database, make_sessions
):
    """So it is when the database was set back to a copy, in which used tokens are good again."""
    first = await login()
    codec = RefreshTokens([b"k" * 32])
    ahead = codec.make(codec.session_id(first.refresh_token), 5)
    await refused_as_theft(refresh, ahead)


async def test_refresh_after_the_idle_time_raises_expired(login, refresh, now):
    issued = await login()
    assert issued.refresh_expire_time - now() > timedelta(hours=11, minutes=59)
    now.ahead += timedelta(hours=11, minutes=59)
    issued = await refresh(issued.refresh_token)
    now.ahead += timedelta(hours=12, seconds=1)
    with pytest.raises(TokenExpiredError):
        await refresh(issued.refresh_token)


async def test_refresh_after_the_longest_lifetime_raises_expired(login, refresh, now):
    issued = await login()
    began = now()
    while now() < began + timedelta(days=6, hours=20):
        now.ahead += timedelta(hours=11)
        issued = await refresh(issued.refresh_token)
    assert issued.refresh_expire_time - began <= timedelta(days=7)
    now.ahead = timedelta(days=7, seconds=1)
    with pytest.raises(TokenExpiredError):
        await refresh(issued.refresh_token)


async def test_token_of_a_session_ends_with_its_longest_lifetime(make_authenticator, make_sessions):
    limits = SessionLimits(idle=timedelta(hours=1), lifetime=timedelta(minutes=10))
    authenticator = make_authenticator(sessions=make_sessions(limits=limits))
    issued = await authenticator.create_token("ann", PASSWORDS["ann"], peer="unix:")
    left = issued.expire_time - datetime.now(UTC)
    assert timedelta(minutes=9, seconds=58) < left <= timedelta(minutes=10)


async def test_create_token_without_an_idle_time_gives_no_refresh_token(
    make_authenticator, make_sessions, database
):
    limits = SessionLimits(idle=timedelta())
    authenticator = make_authenticator(sessions=make_sessions(limits=limits))
    issued = await authenticator.create_token("ann", PASSWORDS["ann"], peer="unix:")
    assert (issued.refresh_token, issued.refresh_expire_time) == ("", None)
    assert (await authenticator.authenticate(f"Bearer {issued.token}")).claims.session_id == ""


@pytest.mark.parametrize(
    "change",
    [
        lambda users: users.set_disabled("ann", disabled=True),
        lambda users: users.remove("ann"),
        lambda users: users.set_password("ann", "$2b$04$" + "x" * 53),
        lambda users: users.set_scopes("ann", [Scope.BASIC]),
        lambda users: users.set_scopes("ann", list(Scope)),
        lambda users: users.set_access("ann", Access.OWN, ""),
        lambda users: users.rename("ann", "anna"),
    ],
    ids=["disabled", "removed", "password", "less", "as before", "access", "renamed"],
)
async def test_refresh_of_a_changed_user_raises(login, refresh, users, change):
    issued = await login()
    await change(users)
    with pytest.raises(TokenInvalidError):
        await refresh(issued.refresh_token)


async def test_refresh_of_a_user_who_was_disabled_and_enabled_raises(login, refresh, users):
    issued = await login()
    await users.set_disabled("ann", disabled=True)
    await users.set_disabled("ann", disabled=False)
    with pytest.raises(TokenInvalidError):
        await refresh(issued.refresh_token)


async def test_refresh_for_a_new_user_of_the_old_name_raises(login, refresh, users, passwords):
    issued = await login()
    await users.remove("ann")
    await users.add("ann", await passwords.hash(PASSWORDS["ann"]), list(Scope))
    with pytest.raises(TokenInvalidError):
        await refresh(issued.refresh_token)


async def test_refresh_keeps_the_scopes_of_the_login(login, refresh):
    issued = await login(scopes=[Scope.BASIC])
    for _ in range(3):
        issued = await refresh(issued.refresh_token)
        assert issued.scopes == {Scope.BASIC}


@pytest.mark.parametrize(
    ("granted", "has", "gets"),
    [
        (Grant(frozenset(Scope)), (list(Scope), Access.ALL), Grant(frozenset(Scope))),
        (
            Grant(frozenset(Scope)),
            ([Scope.BASIC], Access.OWN),
            Grant(frozenset({Scope.BASIC}), Access.OWN),
        ),
        (
            Grant(frozenset({Scope.BASIC}), Access.TEAM),
            (list(Scope), Access.ALL),
            Grant(frozenset({Scope.BASIC}), Access.TEAM),
        ),
        (
            Grant(frozenset({Scope.AUDIT}), Access.OWN),
            ([], Access.ALL),
            Grant(frozenset(), Access.OWN),
        ),
    ],
)
async def test_refresh_gives_no_more_than_the_login_and_the_user_have(
    make_sessions, make_tokens, users, granted, has, gets
):
    scopes, access = has
    await users.set_scopes("ann", scopes)
    sessions = make_sessions()
    issued = await sessions.begin(await users.set_access("ann", access, ""), granted)
    issued = await sessions.refresh(issued.refresh_token, address="unix")
    claims = make_tokens().verify(issued.token)
    assert Grant(claims.scopes, claims.access) == gets


async def test_revoke_ends_the_session_and_all_its_tokens(login, refresh, authenticator, accepts):
    first = await login()
    second = await refresh(first.refresh_token)
    other = await login()
    await authenticator.revoke(await authenticator.authenticate(f"Bearer {first.token}"))
    assert not await accepts(first.token)
    assert not await accepts(second.token)
    with pytest.raises(TokenInvalidError):
        await refresh(second.refresh_token)
    assert await accepts(other.token)


async def test_refresh_with_a_token_of_another_daemon_on_the_same_database_raises(
    login, refresh, make_sessions, database
):
    issued = await login()
    with pytest.raises(TokenInvalidError):
        await make_sessions(store=SessionStore(database, "another")).refresh(
            issued.refresh_token, address="unix"
        )
    other = make_sessions(refresh_tokens=RefreshTokens([b"o" * 32]))
    with pytest.raises(TokenInvalidError):
        await other.refresh(issued.refresh_token, address="unix")
    await refresh(issued.refresh_token)


async def test_refresh_after_the_key_was_rotated_goes_on(login, make_sessions):
    issued = await login()
    rotated = make_sessions(refresh_tokens=RefreshTokens([b"n" * 32, b"k" * 32]))
    second = await rotated.refresh(issued.refresh_token, address="unix")
    again = await rotated.refresh(issued.refresh_token, address="unix")
    assert again.refresh_token == second.refresh_token
    await rotated.refresh(second.refresh_token, address="unix")


def guess(token, number):
    return token[:-4] + f"{number:04}"


async def test_refresh_with_guessed_tokens_of_a_session_is_paused_at_that_address_alone(
    login, refresh
):
    issued = await login()
    other = await login()
    for number in range(6):
        with pytest.raises(TokenInvalidError):
            await refresh(guess(issued.refresh_token, number), peer="ipv4:10.0.0.1:1")
    with pytest.raises(TooManyAttemptsError):
        await refresh(guess(issued.refresh_token, 7), peer="ipv4:10.0.0.1:1")
    with pytest.raises(TooManyAttemptsError):
        await refresh(issued.refresh_token, peer="ipv4:10.0.0.1:1")
    await refresh(other.refresh_token, peer="ipv4:10.0.0.1:1")
    await refresh(issued.refresh_token, peer="ipv4:10.0.0.2:1")


async def test_refresh_with_made_up_tokens_pauses_no_login(login, refresh):
    for number in range(100):
        with pytest.raises(TokenInvalidError):
            await refresh(f"proa_rt_{number:04}{0:068}")
    await login()


async def test_refresh_with_a_made_up_token_makes_no_query(make_sessions, store):
    class NoStore(SessionStore):
        async def get(self, id):
            raise AssertionError

    sessions = make_sessions(store=NoStore(store._database, DAEMON))
    with pytest.raises(TokenInvalidError):
        await sessions.refresh(f"proa_rt_{'A' * 72}", address="unix")


async def test_create_token_while_the_database_takes_no_writes_gives_a_token_alone(
    make_authenticator, make_sessions, store, accepts
):
    class Full(SessionStore):
        async def add(self, session):
            raise DatabaseUnreachableError

    authenticator = make_authenticator(sessions=make_sessions(store=Full(store._database, DAEMON)))
    issued = await authenticator.create_token("ann", PASSWORDS["ann"], peer="unix:")
    assert issued.refresh_token == ""
    assert await accepts(issued.token)


async def test_refresh_while_the_database_takes_no_writes_ends_nothing(
    login, refresh, tmp_path, make_sessions, store
):
    issued = await login()

    class Locked(SessionStore):
        async def advance(self, session, **values):
            raise DatabaseUnreachableError

    with pytest.raises(DatabaseUnreachableError):
        await make_sessions(store=Locked(store._database, DAEMON)).refresh(
            issued.refresh_token, address="unix"
        )
    await refresh(issued.refresh_token)


async def test_database_has_nothing_from_which_a_refresh_token_could_be_made(login, tmp_path):
    issued = await login()
    secret = issued.refresh_token.removeprefix("proa_rt_")
    with closing(sqlite3.connect(tmp_path / "proa.db")) as connection:
        text = "\n".join(connection.iterdump())
    assert "sessions" in text
    assert secret not in text
    assert secret[-20:] not in text

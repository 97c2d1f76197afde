import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from proad.auth.scopes import Scope
from proad.auth.service import Authenticator, Caller, require
from proad.auth.tokens import Claims
from proad.errors import (
    ScopeMissingError,
    TokenExpiredError,
    TokenInvalidError,
    TokenMissingError,
    TokenRevokedError,
)
from proad.store.revocations import RevocationStore


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_is_written_as_one_likes(authenticator, login, scheme):
    token = (await login()).token
    assert (await authenticator.authenticate(f"{scheme} {token}")).username == "ann"
    assert (await authenticator.authenticate(f" {scheme}   {token} ")).username == "ann"


@pytest.mark.parametrize("header", [None, "", " ", "Bearer", "Bearer ", "Basic YTpi", "Bearerx y"])
async def test_no_token(authenticator, header):
    with pytest.raises(TokenMissingError):
        await authenticator.authenticate(header)


async def test_a_token_without_its_scheme_is_missing(authenticator, login):
    with pytest.raises(TokenMissingError):
        await authenticator.authenticate((await login()).token)


@pytest.mark.parametrize("token", ["x", "a.b.c", "a b", "\0", "ä"])
async def test_no_token_of_ours(authenticator, token):
    with pytest.raises(TokenInvalidError):
        await authenticator.authenticate(f"Bearer {token}")


async def test_expired(authenticator, tokens, users, monkeypatch):
    user = await users.get("ann")
    monkeypatch.setattr(tokens, "_lifetime", timedelta(seconds=-1))
    token = tokens.issue("ann", [], user.token_version).token
    with pytest.raises(TokenExpiredError):
        await authenticator.authenticate(f"Bearer {token}")


async def soon(authenticator, header, error):
    """Wait until a token is refused, as it must be within about a second."""
    start = time.monotonic()
    while time.monotonic() - start < 1:
        try:
            await authenticator.authenticate(header)
        except error:
            return
        await asyncio.sleep(0.02)
    pytest.fail("the token was still good after a second")


@pytest.mark.parametrize("change", ["disable", "password", "scopes", "remove", "replace"])
async def test_a_change_of_the_user_ends_the_tokens(authenticator, login, users, change):
    header = f"Bearer {(await login()).token}"
    other = f"Bearer {(await login('bob')).token}"
    await authenticator.authenticate(header)
    match change:
        case "disable":
            await users.set_disabled("ann", disabled=True)
        case "password":
            await users.set_password("ann", "x" * 60)
        case "scopes":
            await users.set_scopes("ann", list(Scope))
        case "remove":
            await users.remove("ann")
        case "replace":
            user = await users.get("ann")
            await users.remove("ann")
            await users.add("ann", user.password_hash, user.scopes)
    await soon(authenticator, header, TokenInvalidError)
    await authenticator.authenticate(other)


async def test_enabling_again_does_not_revive_old_tokens(authenticator, login, users):
    header = f"Bearer {(await login()).token}"
    await users.set_disabled("ann", disabled=True)
    await users.set_disabled("ann", disabled=False)
    with pytest.raises(TokenInvalidError):
        await authenticator.authenticate(header)
    await authenticator.authenticate(f"Bearer {(await login()).token}")


async def test_a_revoked_token_is_refused_at_once_and_others_are_not(authenticator, login):
    header = f"Bearer {(await login()).token}"
    other = f"Bearer {(await login()).token}"
    caller = await authenticator.authenticate(header)
    await authenticator.revoke(caller)
    with pytest.raises(TokenRevokedError):
        await authenticator.authenticate(header)
    await authenticator.authenticate(other)
    await authenticator.revoke(caller)


async def test_a_revoked_token_stays_refused(authenticator, login):
    header = f"Bearer {(await login()).token}"
    await authenticator.revoke(await authenticator.authenticate(header))
    await asyncio.sleep(0.7)  # past what is remembered
    with pytest.raises(TokenRevokedError):
        await authenticator.authenticate(header)


async def test_another_daemon_sees_a_revocation(
    authenticator, login, users, database, tokens, passwords
):
    second = Authenticator(
        users=users, revocations=RevocationStore(database), tokens=tokens, passwords=passwords
    )
    header = f"Bearer {(await login()).token}"
    caller = await second.authenticate(header)
    await authenticator.revoke(caller)
    await soon(second, header, TokenRevokedError)


async def test_calls_that_come_together_ask_the_database_once(
    authenticator, login, users, monkeypatch
):
    asked = []
    versions = users.versions

    async def counting(names):
        asked.append(names)
        return await versions(names)

    header = f"Bearer {(await login()).token}"
    monkeypatch.setattr(users, "versions", counting)
    await asyncio.gather(*(authenticator.authenticate(header) for _ in range(100)))
    assert asked == [{"ann"}]


async def test_a_caller_that_gives_up_does_not_fail_the_others(authenticator, login):
    header = f"Bearer {(await login()).token}"
    first = asyncio.create_task(authenticator.authenticate(header))
    second = asyncio.create_task(authenticator.authenticate(header))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).username == "ann"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_recognising_a_caller_is_cheap(authenticator, login):
    """Far below a millisecond; a query each time would cost several."""
    header = f"Bearer {(await login()).token}"
    await authenticator.authenticate(header)
    best = min([await _cost(authenticator, header) for _ in range(5)])
    assert best < 0.0005


async def _cost(authenticator, header):
    start = time.process_time()  # of all threads, and of nothing else that the machine does
    for _ in range(100):
        await authenticator.authenticate(header)
    return (time.process_time() - start) / 100


@pytest.mark.parametrize("held", [[], [Scope.BASIC], [Scope.ADVANCED], list(Scope)])
@pytest.mark.parametrize("required", list(Scope))
def test_membership_is_exact(held, required):
    caller = Caller(Claims("ann", frozenset(held), "id", 1, datetime.now(UTC)))
    if required in held:
        require(caller, required)
    else:
        with pytest.raises(ScopeMissingError) as caught:
            require(caller, required)
        assert caught.value.metadata["required_scope"] == required

import base64
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proad.auth.service_keys import KeyText, ServiceKeys
from proad.errors import (
    BadServiceKeyError,
    DatabaseUnreachableError,
    ScopeMissingError,
    TokenInvalidError,
    TokenRevokedError,
    TooManyAttemptsError,
)
from proad.model import Access
from proad.model.grant import Grant
from proad.model.scope import Scope
from proad.store.service_keys import ServiceKey, ServiceKeyStore

ALL = frozenset(Scope)
PAST_THE_CACHE = 0.51  # seconds


@pytest.fixture
def make(keys, users):
    """Store a key, and return its text."""

    async def make(name="ci", user="ann", scopes=ALL, access=Access.ALL, expires=None):
        text = KeyText.new()
        owner = await users.get(user)
        grant = Grant(frozenset(scopes), access)
        now = datetime.now(UTC)
        await keys.add(ServiceKey(text.id, owner.id, name, text.digest, grant, now, expires))
        return text.write()

    return make


@pytest.fixture
def use(authenticator):
    async def use(key, scopes=None, peer="unix:"):
        return await authenticator.create_token_for_key(key, scopes, peer=peer)

    return use


async def test_create_token_with_a_key_gives_the_scopes_of_the_key(make, use, authenticator):
    issued = await use(await make(scopes=[Scope.BASIC], access=Access.TEAM))
    assert issued.scopes == {Scope.BASIC}
    assert issued.refresh_token == ""
    caller = await authenticator.authenticate(f"Bearer {issued.token}")
    assert (caller.username, caller.claims.access) == ("ann", Access.TEAM)


async def test_create_token_with_a_key_and_scopes_gives_those(make, use):
    key = await make(scopes=[Scope.BASIC, Scope.ADVANCED])
    assert (await use(key, [Scope.BASIC])).scopes == {Scope.BASIC}
    with pytest.raises(ScopeMissingError):
        await use(key, [Scope.BASIC, Scope.AUDIT])


async def test_create_token_with_a_key_of_a_user_who_lost_a_scope_gives_less(make, use, users):
    key = await make()
    await users.set_scopes("ann", [Scope.BASIC])
    assert (await use(key)).scopes == {Scope.BASIC}
    with pytest.raises(ScopeMissingError):
        await use(key, [Scope.ADVANCED])


async def test_create_token_with_a_key_of_a_user_with_narrower_access_gives_that(
    make, use, users, authenticator
):
    key = await make(access=Access.TEAM)
    await users.set_access("ann", Access.OWN, "")
    issued = await use(key)
    caller = await authenticator.authenticate(f"Bearer {issued.token}")
    assert caller.claims.access is Access.OWN


async def test_key_survives_another_password_of_its_user(make, use, users):
    key = await make()
    await users.set_password("ann", "$2b$04$" + "x" * 53)
    await use(key)


@pytest.mark.parametrize(
    "change",
    [
        lambda users: users.set_disabled("ann", disabled=True),
        lambda users: users.remove("ann"),
    ],
    ids=["disabled", "removed"],
)
async def test_create_token_with_a_key_of_a_user_who_is_gone_raises(make, use, users, change):
    key = await make()
    await change(users)
    with pytest.raises(BadServiceKeyError):
        await use(key)


async def test_remove_of_a_user_removes_the_keys(make, users, keys):
    await make()
    await make(user="bob", scopes=[])
    await users.remove("ann")
    assert [key.name for key in await keys.list()] == ["ci"]


async def test_create_token_with_an_expired_key_raises(make, use):
    with pytest.raises(BadServiceKeyError):
        await use(await make(expires=datetime.now(UTC) - timedelta(seconds=1)))


async def test_token_of_a_key_ends_with_the_key(make, use):
    end = datetime.now(UTC) + timedelta(minutes=5)
    assert (await use(await make(expires=end))).expire_time <= end


async def test_revoked_key_ends_with_its_tokens_and_no_others(
    make, use, keys, users, authenticator, clock
):
    key, other = await make("one"), await make("two")
    issued, still = await use(key), await use(other)
    ann = await users.get("ann")
    await keys.remove(ann.id, "one", revoked_until=datetime.now(UTC) + timedelta(hours=1))
    clock.now += PAST_THE_CACHE
    with pytest.raises(BadServiceKeyError):
        await use(key)
    with pytest.raises(TokenRevokedError):
        await authenticator.authenticate(f"Bearer {issued.token}")
    await authenticator.authenticate(f"Bearer {still.token}")


async def test_revoke_of_a_token_of_a_key_leaves_the_key(make, use, authenticator, clock):
    key = await make()
    issued, other = await use(key), await use(key)
    await authenticator.revoke(await authenticator.authenticate(f"Bearer {issued.token}"))
    clock.now += PAST_THE_CACHE
    with pytest.raises(TokenRevokedError):
        await authenticator.authenticate(f"Bearer {issued.token}")
    await authenticator.authenticate(f"Bearer {other.token}")
    await use(key)


async def test_token_of_a_key_ends_when_its_user_is_disabled(
    make, use, users, authenticator, clock
):
    issued = await use(await make())
    await users.set_disabled("ann", disabled=True)
    clock.now += PAST_THE_CACHE
    with pytest.raises(TokenInvalidError):
        await authenticator.authenticate(f"Bearer {issued.token}")


async def test_failures_never_tell_why(make, use, users):
    good = await make("good")
    wrong = KeyText(KeyText.read(good).id, b"\0" * 32).write()
    unknown = KeyText.new().write()
    expired = await make("old", expires=datetime.now(UTC) - timedelta(days=1))
    disabled = await make("bobs", user="bob", scopes=[])
    await users.set_disabled("bob", disabled=True)
    texts = set()
    for key in (wrong, unknown, expired, disabled, "made up"):
        with pytest.raises(BadServiceKeyError) as caught:
            await use(key)
        texts.add((caught.value.message, str(caught.value.metadata)))
    assert len(texts) == 1


async def test_guessed_secrets_of_a_key_are_paused_at_that_address_alone(make, use, login):
    key = await make()
    for number in range(6):
        wrong = KeyText(KeyText.read(key).id, bytes([number] * 32)).write()
        with pytest.raises(BadServiceKeyError):
            await use(wrong, peer="ipv4:10.0.0.1:1")
    with pytest.raises(TooManyAttemptsError):
        await use(key, peer="ipv4:10.0.0.1:1")
    await use(key, peer="ipv4:10.0.0.2:1")
    await login(peer="ipv4:10.0.0.1:1")


async def test_use_time_is_noted_to_the_minute(make, use, keys):
    before = datetime.now(UTC).replace(second=0, microsecond=0)
    key = await make()
    (stored,) = await keys.list()
    assert stored.use_time is None
    await use(key)
    (stored,) = await keys.list()
    assert before <= stored.use_time <= datetime.now(UTC)
    assert stored.use_time.second == 0


async def test_create_token_with_a_key_while_the_database_takes_no_writes_passes(
    make, keys, users, tokens
):
    class Full(ServiceKeyStore):
        async def note_use(self, key):
            raise DatabaseUnreachableError

    key = await make()
    service = ServiceKeys(Full(keys._database), users, tokens)
    assert (await service.issue(key, None, address="unix")).scopes == ALL


async def test_database_has_a_digest_of_the_key_alone(make, tmp_path):
    key = await make()
    secret = KeyText.read(key).secret
    with closing(sqlite3.connect(tmp_path / "proa.db")) as connection:
        text = "\n".join(connection.iterdump())
    assert KeyText.read(key).digest.hex() in text.lower()
    for form in (key, secret.hex(), base64.b64encode(secret).decode(), str(secret)):
        assert form not in text


@given(st.uuids(), st.binary(min_size=32, max_size=32))
def test_write_and_read_agree(id, secret):
    text = KeyText(str(id), secret)
    assert KeyText.read(text.write()) == text
    assert secret.hex() not in repr(text)
    assert str(secret) not in repr(text)


KEY = KeyText("5e0a7f3c-2b1d-4c6e-9f80-1a2b3c4d5e6f", b"s" * 32).write()


@given(st.text())
def test_read_of_any_text_raises(text):
    for key in (text, f"proa_sk_{text}", f"{KEY}{text}x", f"x{text}{KEY}"):
        with pytest.raises(BadServiceKeyError):
            KeyText.read(key)


@given(st.integers(0, len(KEY) - 1), st.characters())
def test_read_of_a_key_with_one_other_character_gives_another_or_raises(position, character):
    text = KEY[:position] + character + KEY[position + 1 :]
    try:
        read = KeyText.read(text)
    except BadServiceKeyError:
        return
    assert read.write() == text

import asyncio
import base64
import time

import pytest

from proad.errors import (
    ScopeMissingError,
    TokenInvalidError,
    TokenRevokedError,
)
from proad.model import Access
from proad.model.scope import Scope
from unit.auth.oidc.signing_keys import EC, ED, NAME, RSA

PAST_THE_CACHE = 0.51  # seconds


@pytest.mark.parametrize("key", [EC, RSA, ED], ids=lambda key: key.algorithm)
async def test_token_of_the_issuer_is_of_a_user_of_its_own(issuer, accepted, users, key):
    caller = await accepted(issuer.token(key))
    assert caller.scopes == {Scope.BASIC}
    assert (caller.username, caller.user.access, caller.user.profile) == (
        NAME,
        Access.OWN,
        "desktop",
    )
    user = await users.get(NAME)
    assert user.id == caller.user_id
    again = await accepted(issuer.token(iat=int(time.time()) - 5))
    assert again.user_id == user.id


async def test_tokens_of_one_new_user_at_once_make_one_user(issuer, accepted, users):
    tokens = [issuer.token(jti=str(number)) for number in range(20)]
    callers = await asyncio.gather(*(accepted(token) for token in tokens))
    assert len({caller.user_id for caller in callers}) == 1
    assert [u.name for u in await users.list() if ":" in u.name] == [NAME]


@pytest.mark.parametrize(
    "groups", [[], ["staff"], "staff", None, {"operators": 1}, [["operators"]], 7]
)
async def test_token_that_no_rule_fits_is_denied_and_makes_no_user(issuer, accepted, users, groups):
    with pytest.raises(ScopeMissingError):
        await accepted(issuer.token(groups=groups))
    assert await users.get(NAME) is None


async def test_token_that_several_rules_fit_gets_what_the_first_says(issuer, accepted):
    caller = await accepted(issuer.token(groups=["operators", "admins"]))
    assert caller.scopes == {Scope.BASIC, Scope.ADVANCED}
    assert (caller.user.access, caller.user.profile) == (Access.ALL, "default")


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["a", "proa"]}}),
        ("https://example.com/roles", {"https://example.com/roles": ["proa"]}),
        ("scope", {"scope": "openid proa email"}),
        ("role", {"role": "proa"}),
    ],
)
async def test_rule_finds_its_claim(issuer, make_authenticator, make_oidc, claim, claims):
    rules = [{"claim": claim, "value": "proa", "scopes": ["basic"]}]
    authenticator = make_authenticator(oidc=make_oidc(rule=rules))
    await authenticator.authenticate(f"Bearer {issuer.token(**claims)}")
    with pytest.raises(ScopeMissingError):
        await authenticator.authenticate(f"Bearer {issuer.token(sub='other')}")


@pytest.mark.parametrize("claims", [{"role": "not proa"}, {"role": "proa x"}, {"role.x": "proa"}])
async def test_rule_takes_no_part_of_a_value(issuer, make_authenticator, make_oidc, claims):
    rules = [{"claim": "role", "value": "proa", "scopes": ["basic"]}]
    authenticator = make_authenticator(oidc=make_oidc(rule=rules))
    with pytest.raises(ScopeMissingError):
        await authenticator.authenticate(f"Bearer {issuer.token(**claims)}")


async def test_names_in_the_token_say_nothing(issuer, accepted, users):
    """A name may change hands; the user of the host keeps what is theirs."""
    caller = await accepted(
        issuer.token(name="ann", preferred_username="ann", email="ann@example.com", upn="ann")
    )
    assert caller.user_id != (await users.get("ann")).id
    other = await accepted(issuer.token(sub="another", preferred_username="ann"))
    assert other.user_id != caller.user_id


@pytest.mark.parametrize(
    "subject", ["ann", "ANN", "Ann ", "ann'--", "auth0|5f1c", "../x", "a" * 255]
)
async def test_user_of_any_subject_has_a_name_that_no_user_of_the_host_can_have(
    issuer, accepted, users, subject
):
    caller = await accepted(issuer.token(sub=subject))
    assert len(caller.username) <= 64
    with pytest.raises(Exception, match="must have 1 to 64"):
        await users.add(caller.username, "$2b$04$" + "x" * 53, [])
    assert (await accepted(issuer.token(sub=f"{subject[:-1]}~"))).user_id != caller.user_id


async def test_same_subject_of_another_issuer_is_another_user(
    issuer, make_authenticator, make_oidc, accepted
):
    theirs = make_authenticator(oidc=make_oidc(issuer="https://two.example"))
    one = await accepted(issuer.token())
    two = await theirs.authenticate(f"Bearer {issuer.token(iss='https://two.example')}")
    assert one.user_id != two.user_id


async def test_user_who_is_disabled_is_refused_with_every_token(
    issuer, accepted, users, clock, authenticator
):
    token = issuer.token()
    await accepted(token)
    await users.set_disabled(NAME, disabled=True)
    clock.now += PAST_THE_CACHE
    for refused in (token, issuer.token(jti="new")):
        with pytest.raises(TokenInvalidError):
            await accepted(refused)
    await users.set_disabled(NAME, disabled=False)
    clock.now += PAST_THE_CACHE
    await accepted(token)


async def test_call_of_a_user_who_is_changed_by_hand_ends(
    issuer, accepted, users, clock, authenticator
):
    token = issuer.token()
    caller = await accepted(token)

    await users.set_profile(NAME, "other")

    with pytest.raises(TokenInvalidError):
        async with asyncio.timeout(60), authenticator.while_valid(caller, expires=True):
            await asyncio.Event().wait()
    clock.now += PAST_THE_CACHE
    with pytest.raises(TokenInvalidError):
        await authenticator.check_again(caller)
    assert (await accepted(token)).user.profile == "other"


async def test_user_who_was_removed_is_another_one_with_a_new_token(issuer, accepted, users, clock):
    token = issuer.token()
    first = await accepted(token)
    await users.remove(NAME)
    clock.now += PAST_THE_CACHE
    with pytest.raises(TokenInvalidError):
        await accepted(token)
    assert (await accepted(issuer.token(jti="new"))).user_id != first.user_id


async def test_user_who_was_renamed_stays_the_same(issuer, accepted, users, clock):
    token = issuer.token()
    first = await accepted(token)
    await users.rename(NAME, "anna")
    clock.now += PAST_THE_CACHE
    assert (await accepted(token)).user_id == first.user_id
    later = await accepted(issuer.token(jti="new"))
    assert (later.user_id, later.username) == (first.user_id, "anna")


async def test_user_cannot_log_in_with_a_password(issuer, accepted, users, login):
    await accepted(issuer.token())
    await users.rename(NAME, "anna")
    for password in ("x", "." * 31, " "):
        with pytest.raises(Exception, match="user name or password is wrong"):
            await login("anna", password)


async def test_latest_token_decides_access_and_profile(issuer, accepted, users, clock):
    now = int(time.time())
    await accepted(issuer.token(iat=now - 20, groups=["operators"]))
    await accepted(issuer.token(iat=now - 10, groups=["admins"]))
    user = await users.get(NAME)
    assert (user.access, user.profile) == (Access.ALL, "default")
    clock.now += PAST_THE_CACHE
    older = await accepted(issuer.token(iat=now - 15, groups=["operators"]))
    assert (await users.get(NAME)).access is Access.ALL
    assert (older.scopes, older.claims.access) == ({Scope.BASIC}, Access.OWN)


async def test_revoked_token_stays_revoked_in_every_form(issuer, accepted, authenticator, clock):
    token, other = issuer.token(), issuer.token(jti="other")
    await authenticator.revoke(await accepted(token))
    clock.now += PAST_THE_CACHE
    with pytest.raises(TokenRevokedError):
        await accepted(token)
    # Of a signature by ECDSA anybody can make a second one of the same text.
    signed, _, signature = token.rpartition(".")
    data = base64.urlsafe_b64decode(signature + "==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    flipped = order - int.from_bytes(data[32:], "big")
    forged = base64.urlsafe_b64encode(data[:32] + flipped.to_bytes(32, "big")).rstrip(b"=")
    with pytest.raises(TokenRevokedError):
        await accepted(f"{signed}.{forged.decode()}")
    for spelling in (f"{token}=", f"{token}\n", token + "A"):
        with pytest.raises((TokenInvalidError, TokenRevokedError)):
            await accepted(spelling)
    await accepted(other)

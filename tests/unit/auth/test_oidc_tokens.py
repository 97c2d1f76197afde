import asyncio
import base64
import hmac
import json
import time
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventually import eventually
from issuer import AUDIENCE, ISSUER, Issuer, ec_key, ed_key, rsa_key
from proad.auth.oidc import IssuerKeys, OidcTokens
from proad.config import OidcSettings
from proad.errors import (
    ScopeMissingError,
    TokenExpiredError,
    TokenInvalidError,
    TokenRevokedError,
)
from proad.model import Access
from proad.model.scope import Scope
from proad.store.identities import IdentityStore, identity_name
from proad.store.users import UserStore

RSA, EC, ED = rsa_key(), ec_key(), ed_key()
RULES = [
    {"claim": "groups", "value": "admins", "scopes": ["basic", "advanced"], "access": "all"},
    {"claim": "groups", "value": "operators", "scopes": ["basic"], "profile": "desktop"},
]
PAST_THE_CACHE = 0.51  # seconds


class Source:
    def __init__(self, issuer):
        self.issuer = issuer

    async def read(self):
        return self.issuer.jwks()


@pytest.fixture
def issuer():
    return Issuer(EC, RSA, ED)


@pytest.fixture
def make_oidc(issuer, database, clock):
    def make(**values):
        usual = {
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "jwks_file": "/nowhere",
            "rule": RULES,
        }
        settings = OidcSettings(**usual | values)
        keys = IssuerKeys(Source(issuer), settings.algorithms, clock=clock)
        return OidcTokens(settings, keys, IdentityStore(database))

    return make


@pytest.fixture
def authenticator(make_authenticator, make_oidc):
    return make_authenticator(oidc=make_oidc())


@pytest.fixture
def accepted(authenticator):
    async def accepted(token):
        return await authenticator.authenticate(f"Bearer {token}")

    return accepted


NAME = identity_name(ISSUER, "5f1c-ann")


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


async def test_token_of_our_own_is_accepted_beside_the_issuers(login, accepted):
    assert (await accepted((await login()).token)).username == "ann"


REFUSED = {
    "another issuer": {"iss": "https://evil.example"},
    "an issuer with a slash": {"iss": f"{ISSUER}/"},
    "an issuer in a list": {"iss": [ISSUER]},
    "another audience": {"aud": "other"},
    "audiences without ours": {"aud": ["other", "proa2"]},
    "an audience that contains ours": {"aud": "proa-admin"},
    "no audience": {"aud": None},
    "no issuer": {"iss": None},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a long subject": {"sub": "x" * 256},
    "a number as subject": {"sub": 7},
    "a subject with NUL": {"sub": "ann\0"},
    "a subject beyond ASCII": {"sub": "日本"},
    "a subject that is no Unicode": {"sub": "\ud800"},
    "no expiry": {"exp": None},
    "no time of issue": {"iat": None},
    "issued in the future": {"iat": int(time.time()) + 3600, "exp": int(time.time()) + 3700},
    "not yet valid": {"nbf": int(time.time()) + 3600},
    "an expiry that is no number": {"exp": "soon"},
    "an expiry without end": {"exp": 1e300},
    "a time of issue that is no number": {"iat": "now"},
    "a lifetime of a year": {"exp": int(time.time()) + 366 * 86400},
    "issued long ago, for long": {"iat": int(time.time()) - 30 * 86400},
    "an expiry before the issue": {"iat": int(time.time()) + 60, "exp": int(time.time()) + 30},
}


@pytest.mark.parametrize("claims", REFUSED.values(), ids=REFUSED.keys())
async def test_token_with_claims_that_do_not_fit_is_refused(issuer, accepted, users, claims):
    with pytest.raises(TokenInvalidError):
        await accepted(issuer.token(**claims))
    assert await users.get(NAME) is None


async def test_token_that_expired_is_refused_without_tolerance(issuer, accepted):
    past = int(time.time()) - 1
    with pytest.raises(TokenExpiredError):
        await accepted(issuer.token(iat=past - 60, exp=past))


async def test_token_that_expires_is_refused_from_then_on(issuer, accepted):
    soon = int(time.time()) + 2
    token = issuer.token(exp=soon)
    await accepted(token)
    await eventually(lambda: time.time() >= soon)
    with pytest.raises(TokenExpiredError):
        await accepted(token)


async def test_token_for_several_audiences_with_ours_is_accepted(issuer, accepted):
    await accepted(issuer.token(aud=["other", AUDIENCE]))


@pytest.mark.parametrize("type", ["at+jwt", "JWT", "jwt", "application/at+jwt", None])
async def test_token_of_a_known_type_is_accepted(issuer, accepted, type):
    await accepted(issuer.token(headers={"typ": type}))


@pytest.mark.parametrize(
    "headers",
    [
        {"typ": "dpop+jwt"},
        {"typ": "logout+jwt"},
        {"typ": "secevent+jwt"},
        {"kid": "unknown"},
        {"kid": None},
        {"kid": ""},
        {"kid": "../../etc/passwd"},
        {"kid": "' OR 1=1 --"},
        {"kid": "ec\0"},
        {"kid": " ec"},
        {"kid": "rsa"},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": False},
    ],
    ids=str,
)
async def test_token_with_another_header_is_refused(issuer, accepted, headers):
    with pytest.raises(TokenInvalidError):
        await accepted(issuer.token(headers=headers))


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, "HS256", 7])
async def test_token_without_a_signature_is_refused(issuer, accepted, algorithm):
    header = {"alg": algorithm, "kid": "ec", "typ": "at+jwt"}
    for signature in ("", "AA"):
        with pytest.raises(TokenInvalidError):
            await accepted(f"{encoded(header)}.{encoded(issuer.claims())}.{signature}")


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
async def test_token_with_a_mac_by_the_public_key_is_refused(
    issuer, make_authenticator, make_oidc, form
):
    """The attack by which a public key is taken for the secret of an HMAC."""
    public = RSA.private.public_key()
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    secret = {
        "pem": public.public_bytes(serialization.Encoding.PEM, kind),
        "der": public.public_bytes(serialization.Encoding.DER, kind),
        "jwk": json.dumps(RSA.jwk()).encode(),
    }[form]
    signed = (
        f"{encoded({'alg': 'HS256', 'kid': 'rsa', 'typ': 'at+jwt'})}.{encoded(issuer.claims())}"
    )
    mac = hmac.digest(secret, signed.encode(), "sha256")
    token = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    authenticator = make_authenticator(oidc=make_oidc(algorithms=["RS256", "ES256"]))
    with pytest.raises(TokenInvalidError):
        await authenticator.authenticate(f"Bearer {token}")


async def test_token_that_brings_its_own_key_is_refused(issuer, accepted):
    own = ec_key("ec")
    for headers in (
        {"jwk": own.jwk()},
        {"jku": "https://evil.example/certs"},
        {"x5u": "https://evil.example/x.pem"},
        {"x5c": ["MIIB"]},
    ):
        with pytest.raises(TokenInvalidError):
            await accepted(issuer.token(own, headers=headers))


async def test_token_with_an_algorithm_that_is_not_allowed_is_refused(
    issuer, make_authenticator, make_oidc
):
    authenticator = make_authenticator(oidc=make_oidc(algorithms=["ES256"]))
    await authenticator.authenticate(f"Bearer {issuer.token(EC)}")
    for key in (RSA, ED):
        with pytest.raises(TokenInvalidError):
            await authenticator.authenticate(f"Bearer {issuer.token(key)}")


async def test_token_with_a_key_under_another_algorithm_is_refused(issuer, accepted):
    token = jwt.encode(issuer.claims(), RSA.private, algorithm="RS384", headers={"kid": "rsa"})
    with pytest.raises(TokenInvalidError):
        await accepted(token)


async def test_token_of_a_key_of_another_issuer_is_refused(accepted):
    with pytest.raises(TokenInvalidError):
        await accepted(Issuer(ec_key("ec")).token())


@pytest.mark.parametrize(
    ("claims", "admitted"),
    [
        ({}, True),
        ({"azp": "other"}, False),
        ({"azp": None}, False),
        ({"azp": None, "client_id": "webapp"}, True),
        ({"azp": "other", "client_id": "webapp"}, False),
        ({"azp": ["webapp"]}, False),
        ({"azp": {"a": 1}}, False),
    ],
)
async def test_token_for_another_party_is_refused(
    issuer, make_authenticator, make_oidc, claims, admitted
):
    authenticator = make_authenticator(oidc=make_oidc(authorized_parties=["webapp"]))
    authentication = authenticator.authenticate(f"Bearer {issuer.token(**claims)}")
    if admitted:
        await authentication
    else:
        with pytest.raises(TokenInvalidError):
            await authentication


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


@pytest.mark.parametrize("size", [8193, 100_000, 5_000_000])
async def test_token_that_is_huge_is_refused_at_once(issuer, accepted, size):
    for token in (issuer.token(pad="x" * size), "a." * size, f"{'a' * size}.b.c"):
        with pytest.raises(TokenInvalidError):
            await accepted(token)


TOKEN = Issuer(EC).token()


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("abcXYZ019-_.=+/ \n\0é"))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_token_with_one_other_character_is_refused(accepted, position, character):
    token = TOKEN[:position] + character + TOKEN[position + 1 :]
    if token == TOKEN:
        return
    with pytest.raises(TokenInvalidError):
        await accepted(token)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from([*Issuer(EC).claims()]), _JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_token_with_any_value_of_a_claim_is_refused_or_fits(accepted, issuer, name, value):
    """What the issuer signs may be odd, too: no claim of it may end in a fault."""
    claims = {**issuer.claims(), name: value}
    header = {"alg": "ES256", "kid": "ec", "typ": "at+jwt"}
    signed = f"{encoded(header)}.{encoded(claims)}"
    signature = jwt.get_algorithm_by_name("ES256").sign(signed.encode(), EC.private)
    try:
        caller = await accepted(
            f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
        )
    except (TokenInvalidError, TokenExpiredError, ScopeMissingError):
        return
    assert caller.expire_time > datetime.now(UTC)
    assert caller.claims.username.startswith("oidc:")


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "zip"]), _JSON))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_token_with_any_header_without_a_signature_is_refused(accepted, issuer, header):
    with pytest.raises(TokenInvalidError):
        await accepted(f"{encoded(header)}.{encoded(issuer.claims())}.AAAA")


async def test_unknown_users_of_a_public_issuer_cost_no_query(
    issuer, make_oidc, make_authenticator
):
    class NoUsers(UserStore):
        def __init__(self):
            pass

    authenticator = make_authenticator(oidc=make_oidc(), users=NoUsers())
    with pytest.raises(ScopeMissingError):
        await authenticator.authenticate(f"Bearer {issuer.token(groups=[])}")

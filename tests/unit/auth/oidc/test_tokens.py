import base64
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventually import eventually
from issuer import AUDIENCE, ISSUER, Issuer, ec_key
from proad.errors import (
    ScopeMissingError,
    TokenExpiredError,
    TokenInvalidError,
)
from proad.store.users import UserStore
from unit.auth.oidc.signing_keys import EC, ED, NAME, RSA


async def test_token_of_our_own_is_accepted_beside_the_issuers(login, accepted):
    assert (await accepted((await login()).token)).username == "ann"


def refused() -> dict[str, dict[str, Any]]:
    """Claims that do not fit, of this moment."""
    now = int(time.time())
    return {
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
        "issued in the future": {"iat": now + 3600, "exp": now + 3700},
        "not yet valid": {"nbf": now + 3600},
        "an expiry that is no number": {"exp": "soon"},
        "an expiry without end": {"exp": 1e300},
        "a time of issue that is no number": {"iat": "now"},
        "a lifetime of a year": {"exp": now + 366 * 86400},
        "issued long ago, for long": {"iat": now - 30 * 86400},
        "an expiry before the issue": {"iat": now + 60, "exp": now + 30},
    }


@pytest.mark.parametrize("case", refused())
async def test_token_with_claims_that_do_not_fit_is_refused(issuer, accepted, users, case):
    with pytest.raises(TokenInvalidError):
        await accepted(issuer.token(**refused()[case]))
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

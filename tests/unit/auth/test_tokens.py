import base64
import hmac
import json
import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proad.auth.keys import Key, KeyRing
from proad.auth.tokens import Tokens
from proad.errors import TokenExpiredError, TokenInvalidError
from proad.model.scope import Scope

KEY = Key(b"k" * 32)
OLD = Key(b"o" * 32)
OLDEST = Key(b"q" * 32)
MINUTES = timedelta(minutes=30)


def make(*keys, issuer="proa", audience="proa", lifetime=MINUTES):
    ring = KeyRing(keys or (OLD, KEY))
    return Tokens(ring, issuer=issuer, audience=audience, lifetime=lifetime)


def payload(**changes):
    now = int(time.time())
    claims = {
        "iss": "proa",
        "aud": "proa",
        "sub": "ann",
        "iat": now,
        "exp": now + 60,
        "jti": "id",
        "scope": "basic",
        "ver": 7,
    }
    claims |= changes
    return {name: value for name, value in claims.items() if value is not ...}


def sign(claims, *, key=KEY, secret=None, algorithm="HS256", **header):
    header = {"typ": "at+jwt", "kid": key.id} | header
    header = {name: value for name, value in header.items() if value is not ...}
    # The lower layer of PyJWT, which does not check the claims
    return jwt.api_jws.encode(
        json.dumps(claims).encode(), secret or key.secret, algorithm=algorithm, headers=header
    )


def raw(header, claims, signature=b""):
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def mac(header, claims):
    """Sign any header at all with the right key and HMAC-SHA-256."""
    signed = raw(header, claims).rpartition(".")[0].encode()
    return raw(header, claims, hmac.digest(KEY.secret, signed, "sha256"))


def invalid(token):
    with pytest.raises(TokenInvalidError):
        make().verify(token)


@pytest.mark.parametrize("scopes", [[], [Scope.BASIC], [Scope.ADVANCED], list(Scope)])
def test_verify_of_an_issued_token_returns_its_claims(scopes):
    before = datetime.now(UTC)
    issued = make().issue("ann", scopes, 7)
    claims = make().verify(issued.token)
    assert claims.username == "ann"
    assert claims.scopes == issued.scopes == frozenset(scopes)
    assert claims.version == 7
    assert claims.expire_time == issued.expire_time
    assert abs(issued.expire_time - before - MINUTES) <= timedelta(seconds=2)
    assert issued.token not in repr(issued)


def test_issue_writes_the_documented_header_and_claims():
    token = make().issue("ann", [Scope.ADVANCED, Scope.BASIC], 7).token
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "at+jwt", "kid": KEY.id}
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.pop("exp") - claims.pop("iat") == 1800
    assert len(claims.pop("jti")) >= 20
    assert claims == {
        "iss": "proa",
        "aud": "proa",
        "sub": "ann",
        "scope": "basic advanced",
        "ver": 7,
    }


def test_issue_gives_each_token_an_id_of_its_own():
    tokens = make()
    assert len({tokens.verify(tokens.issue("ann", [], 1).token).token_id for _ in range(50)}) == 50


def test_verify_of_a_token_signed_by_the_test_returns_its_claims():
    """Otherwise every test below could pass for another reason."""
    assert make().verify(sign(payload())).username == "ann"


def test_verify_accepts_the_previous_key_and_no_older_one():
    token = make(OLDEST, OLD).issue("ann", [], 1).token
    assert make(OLD, KEY).verify(token).username == "ann"
    with pytest.raises(TokenInvalidError):
        make(KEY).verify(token)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
def test_verify_with_algorithm_none_raises_invalid(alg):
    header = {"alg": alg, "typ": "at+jwt", "kid": KEY.id}
    invalid(raw(header, payload()))
    invalid(raw(header, payload(), b"x"))


def test_verify_without_a_signature_raises_invalid():
    header, claims, _ = sign(payload()).split(".")
    invalid(f"{header}.{claims}.")
    invalid(f"{header}.{claims}")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")  # the attack itself
def test_verify_with_another_hmac_raises_invalid(algorithm):
    invalid(sign(payload(), algorithm=algorithm))


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_verify_with_an_asymmetric_algorithm_raises_invalid(algorithm):
    """A confused verifier would use our secret as if it were a public key."""
    invalid(mac({"alg": algorithm, "typ": "at+jwt", "kid": KEY.id}, payload()))


def test_verify_with_another_header_raises_invalid():
    header = {"alg": "HS256", "typ": "at+jwt", "kid": KEY.id}
    invalid(mac(header | {"crit": ["b64"], "b64": False}, payload()))
    invalid(mac(header | {"jwk": {"kty": "oct", "k": "a2tra2tra2s"}}, payload()))
    invalid(mac(header | {"jku": "http://127.0.0.1/keys"}, payload()))


def test_verify_with_another_secret_raises_invalid():
    invalid(sign(payload(), secret=b"w" * 32))
    invalid(sign(payload(), secret=OLD.secret))


def test_verify_with_a_changed_payload_raises_invalid():
    header, _, signature = sign(payload()).split(".")
    changed = raw({}, payload(scope="basic advanced")).split(".")[1]
    invalid(f"{header}.{changed}.{signature}")


@pytest.mark.parametrize("kid", [..., "", "unknown", OLDEST.id, "../../etc/passwd"])
def test_verify_with_an_unknown_key_id_raises_invalid(kid):
    invalid(sign(payload(), kid=kid))


@pytest.mark.parametrize("typ", [..., "JWT", "jwt", "AT+JWT", "application/at+jwt", "id+jwt"])
def test_verify_with_another_type_raises_invalid(typ):
    # PyJWT puts "JWT" where no type is given
    invalid(sign(payload(), typ=None if typ is ... else typ))


@pytest.mark.parametrize("value", ["other", "", ["proa"], ["proa", "other"], 1, None])
def test_verify_with_another_audience_raises_invalid(value):
    invalid(sign(payload(aud=value)))


@pytest.mark.parametrize("value", ["other", "", "proaa", None])
def test_verify_with_another_issuer_raises_invalid(value):
    invalid(sign(payload(iss=value)))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp", "jti", "scope", "ver"])
def test_verify_without_a_claim_raises_invalid(claim):
    invalid(sign(payload(**{claim: ...})))
    invalid(sign(payload(**{claim: None})))


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": "soon"},
        {"exp": 10**30},
        {"iat": "x"},
        {"iat": int(time.time()) + 3600},
        {"nbf": int(time.time()) + 3600},
        {"ver": "7"},
        {"ver": True},
        {"ver": 7.0},
        {"scope": ["basic"]},
        {"scope": "root"},
        {"scope": 1},
    ],
)
def test_verify_with_a_claim_of_another_type_raises_invalid(claims):
    invalid(sign(payload(**claims)))


def test_verify_with_a_payload_that_is_no_object_raises_invalid():
    token = jwt.api_jws.encode(
        b"[1]", KEY.secret, algorithm="HS256", headers={"typ": "at+jwt", "kid": KEY.id}
    )
    invalid(token)


def test_verify_at_the_expiry_raises_expired():
    now = int(time.time())
    with pytest.raises(TokenExpiredError):
        make().verify(sign(payload(iat=now - 100, exp=now - 1)))
    with pytest.raises(TokenExpiredError):
        make().verify(sign(payload(iat=now - 100, exp=now)))
    make().verify(sign(payload(iat=now - 100, exp=now + 5)))


@pytest.mark.parametrize("step", [1, 60, 119])
def test_verify_after_the_clock_was_set_back_accepts_the_token(step):
    """By the present clock, the token was issued in the future."""
    now = int(time.time())
    claims = make().verify(sign(payload(iat=now + step, exp=now + step + 1800)))
    assert claims.username == "ann"


def test_verify_of_an_expired_token_issued_in_the_near_future_raises_expired():
    now = int(time.time())
    with pytest.raises(TokenExpiredError):
        make().verify(sign(payload(iat=now + 60, exp=now - 1)))


def test_verify_of_a_forged_expired_token_raises_invalid():
    now = int(time.time())
    invalid(sign(payload(exp=now - 1), secret=b"w" * 32))


def test_verify_of_a_token_of_another_daemon_raises_invalid():
    issued = make(issuer="a").issue("ann", [], 1)
    with pytest.raises(TokenInvalidError):
        make(issuer="b").verify(issued.token)
    issued = make(audience="a").issue("ann", [], 1)
    with pytest.raises(TokenInvalidError):
        make(audience="b").verify(issued.token)


@given(st.text())
def test_verify_of_any_text_raises_invalid(text):
    invalid(text)


@given(st.text(max_size=40))
def test_verify_of_any_tail_raises_invalid(text):
    header, claims, _ = sign(payload()).split(".")
    invalid(f"{header}.{text}")
    invalid(f"{header}.{claims}.{text}")


def test_verify_of_huge_texts_raises_invalid():
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    invalid(f"{deep}.{deep}.{deep}")
    invalid("x" * 10_000_000)
    header = sign(payload()).partition(".")[0]
    invalid(header + "." * 10_000_000)

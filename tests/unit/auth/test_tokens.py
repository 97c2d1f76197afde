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
from proad.auth.scopes import Scope
from proad.auth.tokens import Tokens
from proad.errors import TokenExpiredError, TokenInvalidError

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
    # The lower layer of PyJWT, which does not look at the claims
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
def test_issued_and_verified(scopes):
    before = datetime.now(UTC)
    issued = make().issue("ann", scopes, 7)
    claims = make().verify(issued.token)
    assert claims.username == "ann"
    assert claims.scopes == issued.scopes == frozenset(scopes)
    assert claims.version == 7
    assert claims.expire_time == issued.expire_time
    assert abs(issued.expire_time - before - MINUTES) <= timedelta(seconds=2)
    assert issued.token not in repr(issued)


def test_what_is_in_a_token():
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


def test_no_two_tokens_are_alike():
    tokens = make()
    assert len({tokens.verify(tokens.issue("ann", [], 1).token).token_id for _ in range(50)}) == 50


def test_our_own_way_of_signing_is_taken():
    """Else every test below could pass for another reason."""
    assert make().verify(sign(payload())).username == "ann"


def test_the_key_before_still_verifies_and_older_ones_do_not():
    token = make(OLDEST, OLD).issue("ann", [], 1).token
    assert make(OLD, KEY).verify(token).username == "ann"
    with pytest.raises(TokenInvalidError):
        make(KEY).verify(token)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
def test_without_a_signature(alg):
    header = {"alg": alg, "typ": "at+jwt", "kid": KEY.id}
    invalid(raw(header, payload()))
    invalid(raw(header, payload(), b"x"))


def test_with_the_signature_cut_off():
    header, claims, _ = sign(payload()).split(".")
    invalid(f"{header}.{claims}.")
    invalid(f"{header}.{claims}")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")  # the attack itself
def test_another_hmac_with_the_right_key(algorithm):
    invalid(sign(payload(), algorithm=algorithm))


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_an_asymmetric_algorithm_in_the_header(algorithm):
    """What a confused verifier would check with our secret as if it were a public key."""
    invalid(mac({"alg": algorithm, "typ": "at+jwt", "kid": KEY.id}, payload()))


def test_another_header_with_a_right_signature():
    header = {"alg": "HS256", "typ": "at+jwt", "kid": KEY.id}
    invalid(mac(header | {"crit": ["b64"], "b64": False}, payload()))
    invalid(mac(header | {"jwk": {"kty": "oct", "k": "a2tra2tra2s"}}, payload()))
    invalid(mac(header | {"jku": "http://127.0.0.1/keys"}, payload()))


def test_the_wrong_key():
    invalid(sign(payload(), secret=b"w" * 32))
    invalid(sign(payload(), secret=OLD.secret))


def test_a_payload_that_was_changed():
    header, _, signature = sign(payload()).split(".")
    changed = raw({}, payload(scope="basic advanced")).split(".")[1]
    invalid(f"{header}.{changed}.{signature}")


@pytest.mark.parametrize("kid", [..., "", "unknown", OLDEST.id, "../../etc/passwd"])
def test_an_unknown_key(kid):
    invalid(sign(payload(), kid=kid))


@pytest.mark.parametrize("typ", [..., "JWT", "jwt", "AT+JWT", "application/at+jwt", "id+jwt"])
def test_another_type(typ):
    # PyJWT puts "JWT" where no type is given
    invalid(sign(payload(), typ=None if typ is ... else typ))


@pytest.mark.parametrize("value", ["other", "", ["proa"], ["proa", "other"], 1, None])
def test_another_audience(value):
    invalid(sign(payload(aud=value)))


@pytest.mark.parametrize("value", ["other", "", "proaa", None])
def test_another_issuer(value):
    invalid(sign(payload(iss=value)))


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp", "jti", "scope", "ver"])
def test_a_missing_claim(claim):
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
def test_claims_of_another_kind(claims):
    invalid(sign(payload(**claims)))


def test_a_payload_that_is_no_object():
    token = jwt.api_jws.encode(
        b"[1]", KEY.secret, algorithm="HS256", headers={"typ": "at+jwt", "kid": KEY.id}
    )
    invalid(token)


def test_expired():
    now = int(time.time())
    with pytest.raises(TokenExpiredError):
        make().verify(sign(payload(iat=now - 100, exp=now - 1)))
    with pytest.raises(TokenExpiredError):
        make().verify(sign(payload(iat=now - 100, exp=now)))
    make().verify(sign(payload(iat=now - 100, exp=now + 5)))


@pytest.mark.parametrize("step", [1, 60, 119])
def test_a_token_after_the_clock_was_set_back_is_good(step):
    """To the clock of now it was given in the future."""
    now = int(time.time())
    claims = make().verify(sign(payload(iat=now + step, exp=now + step + 1800)))
    assert claims.username == "ann"


def test_a_token_of_the_near_future_that_is_over_is_expired():
    now = int(time.time())
    with pytest.raises(TokenExpiredError):
        make().verify(sign(payload(iat=now + 60, exp=now - 1)))


def test_expired_and_forged_is_invalid():
    now = int(time.time())
    invalid(sign(payload(exp=now - 1), secret=b"w" * 32))


def test_tokens_of_another_daemon():
    issued = make(issuer="a").issue("ann", [], 1)
    with pytest.raises(TokenInvalidError):
        make(issuer="b").verify(issued.token)
    issued = make(audience="a").issue("ann", [], 1)
    with pytest.raises(TokenInvalidError):
        make(audience="b").verify(issued.token)


@given(st.text())
def test_any_text_is_invalid(text):
    invalid(text)


@given(st.text(max_size=40))
def test_any_tail_is_invalid(text):
    header, claims, _ = sign(payload()).split(".")
    invalid(f"{header}.{text}")
    invalid(f"{header}.{claims}.{text}")


def test_monsters_are_invalid():
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    invalid(f"{deep}.{deep}.{deep}")
    invalid("x" * 10_000_000)
    header = sign(payload()).partition(".")[0]
    invalid(header + "." * 10_000_000)

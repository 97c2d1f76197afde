"""Tokens: signing and verifying JWTs. Who they are good for, `service` knows."""

import secrets
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from jwt.utils import base64url_decode, base64url_encode

from proad.auth.keys import Key, KeyRing
from proad.auth.scopes import Scope, read_scopes, write_scopes
from proad.errors import TokenExpiredError, TokenInvalidError

# The only algorithm there is: a token never chooses one.
_ALGORITHM = "HS256"
_TYPE = "at+jwt"
_CLAIMS = ("iss", "aud", "sub", "iat", "exp", "jti", "scope", "ver")
# Ours have about 450; a megabyte from a stranger is not worth a look.
_MAX_LENGTH = 4096
# How far into the future a token of ours may have been given: since then the clock may
# have been set back. The end of a token has no such tolerance.
_CLOCK_STEP = timedelta(minutes=2)
# Tokens whose signature need not be computed again.
_MOST_VERIFIED = 10_000


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token.

    Attributes:
        token: the JWT itself, a secret.
        expire_time: when it ends, in whole seconds.
        scopes: what it allows.
    """

    token: str = field(repr=False)
    expire_time: datetime
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a genuine token says.

    Attributes:
        username: whose token it is.
        scopes: what it allows.
        token_id: unique among all tokens.
        version: the user's token version when it was given.
        expire_time: when it ends.
    """

    username: str
    scopes: frozenset[Scope]
    token_id: str
    version: int
    expire_time: datetime

    def check_time(self) -> None:
        """Do nothing if the token's time is not over.

        Raises:
            TokenExpiredError: it is.
        """
        if self.expire_time <= datetime.now(UTC):
            raise TokenExpiredError


class Tokens:
    """Signs and verifies tokens with the keys of a ring.

    Args:
        keys: the newest signs; all verify.
        issuer: who gives the tokens.
        audience: who takes them.
        lifetime: how long they are good for.
    """

    def __init__(self, keys: KeyRing, *, issuer: str, audience: str, lifetime: timedelta) -> None:
        self._signer = keys.newest
        self._issuer = issuer
        self._audience = audience
        self._lifetime = lifetime
        # The header of our tokens depends on the key alone. Whoever sends another
        # one, with whatever algorithm, type or key id, has no token of ours.
        self._verifiers = {self._sign({}, key).partition(".")[0]: key.secret for key in keys.keys}
        # A caller shows the same token again and again; a signature stays good.
        self._verified: OrderedDict[str, Claims] = OrderedDict()

    def issue(self, username: str, scopes: Collection[Scope], version: int) -> IssuedToken:
        """Give a token that is good from now on."""
        now = datetime.now(UTC).replace(microsecond=0)
        expire_time = now + self._lifetime
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": username,
            "iat": now,
            "exp": expire_time,
            "jti": secrets.token_urlsafe(16),
            "scope": write_scopes(scopes),
            "ver": version,
        }
        return IssuedToken(self._sign(claims, self._signer), expire_time, frozenset(scopes))

    def verify(self, token: str) -> Claims:
        """Give the claims of a token of ours whose time has not come.

        Raises:
            TokenExpiredError: it was good once.
            TokenInvalidError: anything else is wrong with it.
        """
        if (known := self._verified.get(token)) is not None:
            known.check_time()
            return known
        secret = self._verifiers.get(token[:_MAX_LENGTH].partition(".")[0])
        if secret is None or len(token) > _MAX_LENGTH or not _is_spelled_plainly(token):
            raise TokenInvalidError
        try:
            payload = jwt.decode(
                token,
                secret,
                algorithms=[_ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_CLOCK_STEP,
                options={"require": list(_CLAIMS), "strict_aud": True},
            )
            claims = _claims(payload)
            claims.check_time()
        except jwt.ExpiredSignatureError:
            raise TokenExpiredError from None
        except (jwt.InvalidTokenError, ValueError, OverflowError):
            raise TokenInvalidError from None
        self._verified[token] = claims
        if len(self._verified) > _MOST_VERIFIED:
            self._verified.popitem(last=False)
        return claims

    def _sign(self, claims: dict[str, Any], key: Key) -> str:
        return jwt.encode(
            claims, key.secret, algorithm=_ALGORITHM, headers={"typ": _TYPE, "kid": key.id}
        )


def _is_spelled_plainly(token: str) -> bool:
    """Tell whether a token is written as we write it.

    PyJWT reads base64 leniently: with padding, with characters that are none of it, with
    other unused bits in the last one, a token would pass in many spellings.
    """
    try:
        return all(
            base64url_encode(base64url_decode(part)) == part.encode() for part in token.split(".")
        )
    except ValueError:
        return False


def _claims(payload: dict[str, Any]) -> Claims:
    version, scope = payload["ver"], payload["scope"]
    if type(version) is not int or not isinstance(scope, str):
        raise TokenInvalidError
    return Claims(
        username=payload["sub"],
        scopes=read_scopes(scope),
        token_id=payload["jti"],
        version=version,
        expire_time=datetime.fromtimestamp(int(payload["exp"]), UTC),
    )

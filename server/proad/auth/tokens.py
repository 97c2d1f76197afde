"""Tokens: signing and verification of JWTs. Their revocation is checked in `token_status`."""

import secrets
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from jwt.utils import base64url_decode, base64url_encode

from proad.auth.keys import Key, KeyRing
from proad.auth.timing import AuthTiming
from proad.errors import (
    CertificateInvalidError,
    ProaError,
    TokenExpiredError,
    TokenInvalidError,
)
from proad.model import Access
from proad.model.grant import Grant
from proad.model.scope import Scope, read_scopes, write_scopes
from proad.store.users import User

# The only algorithm: a token does not choose its own.
_ALGORITHM = "HS256"
_TYPE = "at+jwt"
_CLAIMS = ("iss", "aud", "sub", "iat", "exp", "jti", "scope", "ver")
# Our tokens have about 450 characters; do not parse a megabyte from a stranger.
_MAX_LENGTH = 4096
# Size of the cache of verified tokens.
_MAX_VERIFIED = 10_000


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token.

    Attributes:
        token: the JWT, a secret.
        expire_time: expiry, in whole seconds.
        scopes: the scopes of the token.
        token_id: unique id of the token.
        username: name of the user.
        user_id: id of the user.
        refresh_token: renews the login, a secret; empty: the login cannot be renewed.
        refresh_expire_time: expiry of the refresh token; None without one.
    """

    token: str = field(repr=False)
    expire_time: datetime
    scopes: frozenset[Scope]
    token_id: str
    username: str
    user_id: str = ""
    refresh_token: str = field(repr=False, default="")
    refresh_expire_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """The certificate that a caller showed at the handshake, in PEM.

    Attributes:
        certificate: the caller's own.
        chain: all that were sent; empty: none but the caller's own.
        address: the address of the daemon that it was shown at, as the settings have it.
    """

    certificate: bytes
    chain: bytes = b""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified token, or of a client certificate in its place.

    Attributes:
        username: name of the user.
        scopes: the scopes of the token, of which the user may have lost some.
        token_id: unique id of the token.
        version: the user's token version at the login; None: any.
        expire_time: expiry of the token.
        certificate: the certificate that stands for the user; None: a token does.
        access: whose resources the token may serve for, within the user's access.
        user_id: id of the user of an issuer's token; empty: the name tells.
        session_id: id of the session, or of the service key, that the token came of, and with
            which it ends; empty: none.
    """

    username: str
    scopes: frozenset[Scope]
    token_id: str
    version: int | None
    expire_time: datetime
    certificate: ShownCertificate | None = None
    access: Access = Access.ALL
    session_id: str = ""
    user_id: str = ""

    @property
    def refused(self) -> type[ProaError]:
        """The error of a token, or a certificate, that is not valid any more."""
        return TokenInvalidError if self.certificate is None else CertificateInvalidError

    def check_time(self) -> None:
        """Check that the token has not expired.

        Raises:
            TokenExpiredError: the token expired.
            CertificateInvalidError: the certificate did.
        """
        if self.expire_time <= datetime.now(UTC):
            raise TokenExpiredError if self.certificate is None else CertificateInvalidError


class Tokens:
    """Signs and verifies tokens with the keys of a ring.

    Args:
        keys: the keys; the newest signs, all verify.
        issuer: issuer of the tokens.
        audience: audience of the tokens.
        lifetime: time from issue to expiry.
        timing: the tolerance for clock steps.
    """

    def __init__(
        self,
        keys: KeyRing,
        *,
        issuer: str,
        audience: str,
        lifetime: timedelta,
        timing: AuthTiming = AuthTiming(),
    ) -> None:
        self._signer = keys.newest
        self._issuer = issuer
        self._audience = audience
        self.lifetime = lifetime
        self._clock_step = timing.clock_step
        # The header of our tokens depends on the key alone: a token with any other header,
        # whatever its algorithm, type or key id, is not one of ours.
        self._verifiers = {self._sign({}, key).partition(".")[0]: key.secret for key in keys.keys}
        # Callers send the same token with each call, and a valid signature stays valid.
        self._verified: OrderedDict[str, Claims] = OrderedDict()

    def issue_to(
        self,
        user: User,
        grant: Grant,
        *,
        session_id: str = "",
        not_after: datetime | None = None,
    ) -> IssuedToken:
        """Issue a token to a user, as the user is now; see `issue`."""
        return self.issue(
            user.name,
            grant.scopes,
            user.token_version,
            access=grant.access,
            user_id=user.id,
            session_id=session_id,
            not_after=not_after,
        )

    def issue(
        self,
        username: str,
        scopes: Collection[Scope],
        version: int,
        *,
        access: Access = Access.ALL,
        user_id: str = "",
        session_id: str = "",
        not_after: datetime | None = None,
    ) -> IssuedToken:
        """Issue a token that is valid from now on.

        Args:
            username: name of the user.
            scopes: the scopes of the token.
            version: the user's token version.
            access: whose resources the token may serve for, within the user's access.
            user_id: id of the user, who is known by the name in the token itself.
            session_id: id of the session or service key that the token ends with; empty: none.
            not_after: when the token expires at the latest.
        """
        now = datetime.now(UTC).replace(microsecond=0)
        expire_time = now + self.lifetime
        if not_after is not None:
            expire_time = min(expire_time, not_after.replace(microsecond=0))
        token_id = secrets.token_urlsafe(16)
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": username,
            "iat": now,
            "exp": expire_time,
            "jti": token_id,
            "scope": write_scopes(scopes),
            "ver": version,
        }
        if access is not Access.ALL:
            claims["access"] = str(access)
        if session_id:
            claims["sid"] = session_id
        token = self._sign(claims, self._signer)
        return IssuedToken(token, expire_time, frozenset(scopes), token_id, username, user_id)

    def verify(self, token: str) -> Claims:
        """Verify a token, and return its claims.

        Raises:
            TokenExpiredError: the token is one of ours and expired.
            TokenInvalidError: the token is not one of ours.
        """
        if (known := self._verified.get(token)) is not None:
            known.check_time()
            return known
        secret = self._verifiers.get(token[:_MAX_LENGTH].partition(".")[0])
        if secret is None or len(token) > _MAX_LENGTH or not is_canonical(token):
            raise TokenInvalidError
        try:
            payload = jwt.decode(
                token,
                secret,
                algorithms=[_ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._clock_step,
                options={"require": list(_CLAIMS), "strict_aud": True},
            )
            claims = _claims(payload)
            claims.check_time()
        except jwt.ExpiredSignatureError:
            raise TokenExpiredError from None
        except (jwt.InvalidTokenError, ValueError, OverflowError):
            raise TokenInvalidError from None
        self._verified[token] = claims
        if len(self._verified) > _MAX_VERIFIED:
            self._verified.popitem(last=False)
        return claims

    def _sign(self, claims: dict[str, Any], key: Key) -> str:
        return jwt.encode(
            claims, key.secret, algorithm=_ALGORITHM, headers={"typ": _TYPE, "kid": key.id}
        )


def is_canonical(token: str) -> bool:
    """Return whether a token is in canonical base64url.

    PyJWT decodes leniently: padding, foreign characters and unused bits of the last character
    would let one token pass in many spellings.
    """
    try:
        return all(
            base64url_encode(base64url_decode(part)) == part.encode() for part in token.split(".")
        )
    except ValueError:
        return False


def _claims(payload: dict[str, Any]) -> Claims:
    version, scope = payload["ver"], payload["scope"]
    session_id = payload.get("sid", "")
    if type(version) is not int or not isinstance(scope, str) or not isinstance(session_id, str):
        raise TokenInvalidError
    return Claims(
        username=payload["sub"],
        scopes=read_scopes(scope),
        token_id=payload["jti"],
        version=version,
        expire_time=datetime.fromtimestamp(int(payload["exp"]), UTC),
        access=Access(payload.get("access", Access.ALL)),
        session_id=session_id,
    )

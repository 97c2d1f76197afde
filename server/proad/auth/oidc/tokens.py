"""Verification of an issuer's tokens."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import jwt
from jwt.utils import base64url_encode

from proad.auth.oidc.keys import IssuerKey, IssuerKeys
from proad.auth.timing import AuthTiming
from proad.auth.tokens import Claims, is_canonical
from proad.config import LONGEST_TOKEN_LIFETIME, OidcRule, OidcSettings
from proad.errors import ScopeMissingError, TokenExpiredError, TokenInvalidError
from proad.model.grant import Grant
from proad.store.identities import IdentityStore

# All headers of a call together have 8 KiB.
_MAX_LENGTH = 8192
_MAX_SUBJECT = 255
_REQUIRED = ("iss", "aud", "sub", "iat", "exp")
# Claims that are a text of words, by RFC 9068 and by usage.
_WORDS = frozenset({"scope", "scp"})
_MAX_VERIFIED = 10_000


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token whose signature has been checked.

    Attributes:
        claims: what it says.
        key_id: id of the key that signed it.
        key: that key.
    """

    claims: Claims
    key_id: str
    key: IssuerKey


class OidcTokens:
    """Verifies tokens of the issuer, and knows which users they are of.

    A user is known by issuer and subject alone: names and addresses in a token may change hands.

    Args:
        settings: the issuer.
        keys: its keys.
        identities: the users who came by it.
        timing: the tolerance for clocks that differ.
    """

    def __init__(
        self,
        settings: OidcSettings,
        keys: IssuerKeys,
        identities: IdentityStore,
        *,
        timing: AuthTiming = AuthTiming(),
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._identities = identities
        self._clock_step = timing.clock_step
        self._types = {_type(each) for each in settings.token_types}
        self._parties = frozenset(settings.authorized_parties)
        # A valid signature stays valid for as long as the issuer has the key.
        self._verified: OrderedDict[str, _Verified] = OrderedDict()

    async def settle(self) -> None:
        """Wait for the fetch of keys that is under way."""
        await self._keys.settle()

    async def verify(self, token: str) -> Claims:
        """Verify a token, and return its claims, with the user that it is of.

        Raises:
            TokenExpiredError: the token is one of the issuer and expired.
            TokenInvalidError: the token is not one of the issuer for this daemon.
            ScopeMissingError: no rule gives the token a scope.
            DatabaseUnreachableError: the user cannot be read or stored.
        """
        if (known := self._verified.get(token)) is not None:
            known.claims.check_time()
            if await self._keys.find(known.key_id) is known.key:
                return known.claims
            self._verified.pop(token, None)  # the keys were fetched anew: this one may have gone
        payload, key_id, key = await self._payload(token)
        claims = await self._claims(token, payload)
        claims.check_time()
        self._verified[token] = _Verified(claims, key_id, key)
        if len(self._verified) > _MAX_VERIFIED:
            self._verified.popitem(last=False)
        return claims

    async def _payload(self, token: str) -> tuple[Mapping[str, Any], str, IssuerKey]:
        """Return the claims of a token of which all has been checked but what they stand for.

        With them come the id of the key that signed it, and the key.
        """
        if len(token) > _MAX_LENGTH or token.count(".") != 2 or not is_canonical(token):  # noqa: PLR2004 - header, claims, signature
            raise TokenInvalidError
        try:
            id = self._key_id(jwt.get_unverified_header(token))
            key = await self._key(id)
            try:
                payload = self._decode(token, key)
            except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
                key = await self._key(id, unlike=key)
                payload = self._decode(token, key)
        except jwt.ExpiredSignatureError:
            raise TokenExpiredError from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise TokenInvalidError from None
        party = payload.get("azp", payload.get("client_id"))
        if self._parties and not (isinstance(party, str) and party in self._parties):
            raise TokenInvalidError
        return payload, id, key

    async def _key(self, id: str, *, unlike: IssuerKey | None = None) -> IssuerKey:
        """Return the key with an id; see `IssuerKeys.find`."""
        key = await self._keys.find(id, unlike=unlike)
        if key is None:
            raise TokenInvalidError
        return key

    def _decode(self, token: str, key: IssuerKey) -> Mapping[str, Any]:
        """Return the claims of a token that a key signed."""
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=sorted(key.algorithms),
            issuer=self._settings.issuer,
            audience=self._settings.audience,
            leeway=self._clock_step,
            options={"require": list(_REQUIRED)},
        )
        return claims

    def _key_id(self, header: Mapping[str, Any]) -> str:
        """Return the id of the key that a header names; a header says nothing else that counts."""
        id, kind = header.get("kid"), header.get("typ", "JWT")
        if (
            not isinstance(id, str)
            or not isinstance(kind, str)
            or _type(kind) not in self._types
            or header.get("alg") not in self._settings.algorithms
            # What a verifier must understand, and this one does not.
            or "crit" in header
            or "b64" in header
        ):
            raise TokenInvalidError
        return id

    async def _claims(self, token: str, payload: Mapping[str, Any]) -> Claims:
        subject = payload["sub"]
        if not _is_subject(subject):
            raise TokenInvalidError
        try:
            issued = datetime.fromtimestamp(payload["iat"], UTC)
            expires = datetime.fromtimestamp(int(payload["exp"]), UTC)
        except (ValueError, TypeError, OverflowError, OSError):
            raise TokenInvalidError from None
        if not timedelta() < expires - issued <= LONGEST_TOKEN_LIFETIME:
            raise TokenInvalidError
        rule = self._rule(payload)
        if rule is None:
            # Nothing is stored for strangers of a public issuer.
            raise ScopeMissingError("basic", [])
        grant = Grant(frozenset(rule.scopes), rule.access)
        user = await self._identities.user(
            self._settings.issuer, subject, grant, profile=rule.profile, issued=issued
        )
        # A signature may have several forms, what it signs has one.
        signed = token.rpartition(".")[0]
        digest = base64url_encode(sha256(signed.encode()).digest()).decode()
        return Claims(
            username=user.name,
            scopes=grant.scopes,
            token_id=f"oidc:{digest}",
            version=None,
            expire_time=expires,
            access=grant.access,
            user_id=user.id,
        )

    def _rule(self, payload: Mapping[str, Any]) -> OidcRule | None:
        return next((rule for rule in self._settings.rules if _fits(rule, payload)), None)


def _is_subject(value: object) -> bool:
    """Return whether a claim is a subject as OpenID Connect has it: up to 255 ASCII characters."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= _MAX_SUBJECT
        and value.isascii()
        and value.isprintable()
    )


def _fits(rule: OidcRule, payload: Mapping[str, Any]) -> bool:
    value = _claim(payload, rule.claim)
    if isinstance(value, str) and rule.claim in _WORDS:
        return rule.value in value.split(" ")
    return value == rule.value or (isinstance(value, list) and rule.value in value)


def _claim(payload: Mapping[str, Any], path: str) -> Any:
    """Return a claim by its name, which may have dots, or else by its path."""
    if path in payload:
        return payload[path]
    value: Any = payload
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _type(text: str) -> str:
    """Return a media type in one form: RFC 7515 lets "application/" be left out."""
    return text.lower().removeprefix("application/")

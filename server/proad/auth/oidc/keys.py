"""The public keys of an issuer."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from proad.auth.oidc.sources import JwksSource, JwksUnreadableError
from proad.auth.timing import AuthTiming

_log = structlog.get_logger(__name__)

_MAX_KEYS = 100
_MAX_KEY_ID = 255
# Smaller ones can be broken; larger ones take the event loop for too long.
_RSA_BITS = range(2048, 8193)
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
# An algorithm of each kind of key, to read it with; of curves PyJWT knows it.
_ANY = {"RSA": "RS256", "OKP": "EdDSA"}
_BY_CURVE = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A public key of the issuer.

    Attributes:
        key: the key.
        algorithms: the algorithms that it verifies.
    """

    key: Any
    algorithms: frozenset[str]


def read_keys(data: bytes, allowed: Collection[str]) -> dict[str, IssuerKey]:
    """Return the keys of a key set by their ids. Those that cannot serve are left out.

    Args:
        data: the key set, as JSON.
        allowed: the algorithms that are accepted.

    Raises:
        JwksUnreadableError: the data is no key set.
    """
    try:
        entries = json.loads(data)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise JwksUnreadableError("the answer is no key set") from None
    if not isinstance(entries, list) or len(entries) > _MAX_KEYS:
        raise JwksUnreadableError(f"the key set has no list of at most {_MAX_KEYS} keys")
    entries = [entry for entry in entries if isinstance(entry, dict)]
    ids = Counter(entry["kid"] for entry in entries if isinstance(entry.get("kid"), str))
    keys = {}
    for entry in entries:
        id = entry.get("kid")
        # Which of two keys with one id is meant is undefined.
        if not isinstance(id, str) or not 0 < len(id) <= _MAX_KEY_ID or ids[id] > 1:
            continue
        key = _read_key(entry)
        algorithms = frozenset(allowed) & _algorithms(key, entry.get("alg"))
        if algorithms:
            keys[id] = IssuerKey(key, algorithms)
    return keys


def _read_key(entry: Mapping[str, Any]) -> Any:
    """Return a public key for signatures; None for any other."""
    usages = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(usages, list) or "verify" not in usages:
        return None
    try:
        # With the key set's own algorithm, PyJWT would read no key for "none", a MAC for "HS256".
        return jwt.PyJWK({**entry, "alg": _ANY.get(str(entry.get("kty")))}).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _algorithms(key: Any, named: object) -> frozenset[str]:
    """Return what a key verifies: never more than its kind does, whatever the key set names."""
    match key:
        case RSAPublicKey() if key.key_size in _RSA_BITS:
            fit = frozenset(_RSA)
        case EllipticCurvePublicKey() if key.curve.name in _BY_CURVE:
            fit = frozenset({_BY_CURVE[key.curve.name]})
        case Ed25519PublicKey():
            fit = frozenset({"EdDSA"})
        case _:
            return frozenset()
    return fit if named is None else fit & {str(named)}


class IssuerKeys:
    """The keys of an issuer, fetched when they are needed.

    They are fetched anew when they are old, and for an unknown id, but no more than once in a
    while; those that were fetched last are kept for as long as no others can be had.

    Args:
        source: where the key set is.
        allowed: the algorithms that are accepted.
        timing: how often the keys are fetched.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        source: JwksSource,
        allowed: Collection[str],
        *,
        timing: AuthTiming = AuthTiming(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._allowed = frozenset(allowed)
        self._refetch_after = timing.jwks_refetch.total_seconds()
        self._max_age = timing.jwks_max_age.total_seconds()
        self._clock = clock
        self._keys: dict[str, IssuerKey] = {}
        self._asked = float("-inf")
        self._fetched = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, id: str, *, unlike: IssuerKey | None = None) -> IssuerKey | None:
        """Return the key with an id; None if the issuer has none.

        A key is known as long as keys are fetched. Where nobody asked for long, it may have been
        withdrawn meanwhile: the fetch is waited for.

        Args:
            id: the id.
            unlike: a key of this id that did not fit: the issuer may have given it to another one.
        """
        known, idle = self._keys.get(id), self._clock() - self._asked > 2 * self._max_age
        wanted = known is None or known is unlike
        if wanted or self._clock() - self._fetched > self._max_age:
            fetching = self._fetch()
            if (wanted or idle) and fetching is not None:
                # Shield: others wait for the same fetch.
                await asyncio.shield(fetching)
                known = self._keys.get(id)
        return None if known is unlike else known

    async def settle(self) -> None:
        """Wait for the fetch that is under way."""
        if self._fetching is not None:
            await self._fetching

    def _fetch(self) -> "asyncio.Task[None] | None":
        """Return the fetch that is under way, or a new one; None: it is too soon for one."""
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        now = self._clock()
        if now - self._asked < self._refetch_after:
            return None
        self._asked = now
        self._fetching = asyncio.create_task(self._read())
        return self._fetching

    async def _read(self) -> None:
        try:
            keys = read_keys(await self._source.read(), self._allowed)
        except JwksUnreadableError as error:
            _log.warning("keys of the issuer unreadable, kept those before", error=str(error))
            return
        if not keys:
            _log.warning("the issuer has no key that could be used")
        self._keys = keys
        self._fetched = self._clock()

"""Tokens: their source and their renewal."""

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar

from proa import v1
from proa.timing import ClientTiming

RENEWABLE = frozenset({"TOKEN_EXPIRED", "TOKEN_REVOKED", "TOKEN_INVALID"})
"""Error reasons that a new token may resolve."""

_SCOPES = {"basic": v1.SCOPE_BASIC, "advanced": v1.SCOPE_ADVANCED}

ScopeName: TypeAlias = str | v1.Scope.ValueType


@dataclass(frozen=True)
class Password:
    """A username and password to log in with.

    Attributes:
        username: name of the user.
        password: password of the user; hidden from repr.
        scopes: scopes of the tokens; empty for all scopes of the user.
    """

    username: str
    password: str = field(repr=False)
    scopes: tuple[v1.Scope.ValueType, ...] = ()

    def request(self) -> v1.CreateTokenRequest:
        """Return the request of a login."""
        return v1.CreateTokenRequest(
            username=self.username, password=self.password, scopes=self.scopes
        )


TokenT = TypeVar("TokenT")


def source_of(
    token: TokenT | None,
    username: str | None,
    password: str | None,
    scopes: Iterable[ScopeName] | None,
) -> Password | TokenT | None:
    """Return the source of tokens from the arguments of `connect`.

    Raises:
        ValueError: the arguments are incomplete or exclude each other.
    """
    chosen = tuple(_scope(scope) for scope in scopes or ())
    if username is None and password is None:
        if chosen:
            raise ValueError("scopes are asked for with a username and a password only")
        return token
    if token is not None:
        raise ValueError("give a token or a username and a password, not both")
    if not username or password is None:
        raise ValueError("a username needs a password and the other way round")
    return Password(username, password, chosen)


def _scope(scope: ScopeName) -> v1.Scope.ValueType:
    if not isinstance(scope, str):
        return scope
    if scope not in _SCOPES:
        raise ValueError(f"no scope {scope!r}; there are {', '.join(_SCOPES)}")
    return _SCOPES[scope]


@dataclass(frozen=True)
class CachedToken:
    """The token of a login.

    Attributes:
        token: the token.
        renew_at: monotonic time of the next login, in seconds.
    """

    token: str
    renew_at: float

    @classmethod
    def from_response(
        cls, response: v1.CreateTokenResponse, *, margin: float, now: float
    ) -> "CachedToken":
        """Return the token of a login's response.

        Args:
            response: the response.
            margin: how long before its expiry the token is renewed, in seconds, but at most a
                tenth of its lifetime.
            now: monotonic time in seconds.
        """
        left = (response.expire_time.ToDatetime(UTC) - datetime.now(UTC)).total_seconds()
        if left <= 0:
            # A new token cannot have expired: the clocks of client and daemon differ. Keep the
            # token until the daemon refuses it.
            return cls(response.token, math.inf)
        return cls(response.token, now + left - min(margin, left / 10))


class TokenSource:
    """Provides the token of a synchronous client. Thread-safe.

    Args:
        source: None for no token; a token; a function that returns a token and is called
            before every call; or a password, with which `login` is called to get and renew a
            token, by one thread at a time.
        login: makes the CreateToken call.
        timing: when a token is renewed.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        source: Password | Callable[[], str] | str | None,
        login: Callable[[v1.CreateTokenRequest], v1.CreateTokenResponse],
        *,
        timing: ClientTiming = ClientTiming(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._login = login
        self._margin = timing.renewal_margin
        self._clock = clock
        self._lock = threading.Lock()
        self._cached: CachedToken | None = None

    def get(self) -> str | None:
        """Return the token for a call; None for no token."""
        return self._token(refused=None)

    def renew(self, refused: str) -> str | None:
        """Return another token after one was refused; None if there is no other."""
        token = self._token(refused=refused)
        return None if token == refused else token

    def _token(self, *, refused: str | None) -> str | None:
        source = self._source
        if source is None or isinstance(source, str):
            return source
        if not isinstance(source, Password):
            return source()
        with self._lock:
            cached = self._cached
            if cached is None or self._clock() >= cached.renew_at or cached.token == refused:
                response = self._login(source.request())
                cached = CachedToken.from_response(response, margin=self._margin, now=self._clock())
                self._cached = cached
            return cached.token

"""Tokens: where they come from and when they are renewed."""

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, TypeVar

from proa import v1

RENEWABLE = frozenset({"TOKEN_EXPIRED", "TOKEN_REVOKED", "TOKEN_INVALID"})
"""Reasons of a refusal that another token may cure."""

LOGIN_TIMEOUT = 30.0
"""Deadline of a login, in seconds, where the client has no default of its own: a call
that names a deadline must not wait for ever for its token."""

_SCOPES = {"basic": v1.SCOPE_BASIC, "advanced": v1.SCOPE_ADVANCED}

_MARGIN = timedelta(seconds=60)

ScopeName: TypeAlias = str | v1.Scope.ValueType


@dataclass(frozen=True)
class Password:
    """A user name and password, to get tokens with.

    Attributes:
        username: the user.
        password: the password; hidden from repr.
        scopes: what the tokens shall carry; empty: all that the user was granted.
    """

    username: str
    password: str = field(repr=False)
    scopes: tuple[v1.Scope.ValueType, ...] = ()

    def request(self) -> v1.CreateTokenRequest:
        """The login."""
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
    """Check what a caller gave to `connect`. Raises ValueError for too much or half of it."""
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
    """A token that a login gave.

    Attributes:
        token: the token.
        renew_at: when to get another one, on this machine's monotonic clock.
    """

    token: str
    renew_at: float

    @classmethod
    def from_response(cls, response: v1.CreateTokenResponse) -> "CachedToken":
        """Take it from a response."""
        left = (response.expire_time.ToDatetime(UTC) - datetime.now(UTC)).total_seconds()
        if left <= 0:
            # A token cannot be over when it is made: the clocks disagree. The
            # daemon's refusal will say when it is time.
            return cls(response.token, math.inf)
        margin = min(_MARGIN.total_seconds(), left / 10)
        return cls(response.token, time.monotonic() + left - margin)

    @property
    def is_fresh(self) -> bool:
        """Whether it is good for another call."""
        return time.monotonic() < self.renew_at


class TokenSource:
    """The token of a synchronous client. Safe to use from several threads.

    Args:
        source: None: no token; a token; a function that gives one and is asked before
            every call; or a password, for which `login` is called when it is time,
            by one thread at a time.
        login: makes the CreateToken call.
    """

    def __init__(
        self,
        source: Password | Callable[[], str] | str | None,
        login: Callable[[v1.CreateTokenRequest], v1.CreateTokenResponse],
    ) -> None:
        self._source = source
        self._login = login
        self._lock = threading.Lock()
        self._cached: CachedToken | None = None

    def get(self) -> str | None:
        """The token for a call."""
        return self._other_than(None)

    def instead_of(self, refused: str) -> str | None:
        """The token to try after one was refused; None: there is no other."""
        token = self._other_than(refused)
        return None if token == refused else token

    def _other_than(self, refused: str | None) -> str | None:
        source = self._source
        if source is None or isinstance(source, str):
            return source
        if not isinstance(source, Password):
            return source()
        with self._lock:
            cached = self._cached
            if cached is None or not cached.is_fresh or cached.token == refused:
                cached = self._cached = CachedToken.from_response(self._login(source.request()))
            return cached.token

"""Tokens: their source and their renewal.

A login gives a token for half an hour, and a refresh token, with which the client gets the next
ones: so a client that is used logs in once a week, or when somebody ends its login.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

from proa import v1
from proa.errors import Unauthenticated
from proa.local_login import LocalLogin
from proa.timing import ClientTiming

RENEWABLE = frozenset({"TOKEN_EXPIRED", "TOKEN_REVOKED", "TOKEN_INVALID"})
"""Error reasons that a new token may resolve."""

_SCOPES = {
    name.removeprefix("SCOPE_").lower(): number
    for name, number in v1.Scope.items()
    if number != v1.SCOPE_UNSPECIFIED
}

ScopeName: TypeAlias = str | v1.Scope.ValueType


@dataclass(frozen=True)
class Password:
    """A username and password to log in with.

    Attributes:
        username: name of the user.
        password: password of the user, or a function that is called for it before each login, so
            that the client does not keep it; hidden from repr.
        scopes: scopes of the tokens; empty for all scopes of the user.
    """

    username: str
    password: str | Callable[[], str] = field(repr=False)
    scopes: tuple[v1.Scope.ValueType, ...] = ()

    def request(self) -> v1.CreateTokenRequest:
        """Return the request of a login."""
        password = self.password if isinstance(self.password, str) else self.password()
        return v1.CreateTokenRequest(username=self.username, password=password, scopes=self.scopes)


@dataclass(frozen=True)
class ServiceKey:
    """A service key to get tokens with.

    Attributes:
        key: the key; hidden from repr.
        scopes: scopes of the tokens; empty for all scopes of the key.
    """

    key: str = field(repr=False)
    scopes: tuple[v1.Scope.ValueType, ...] = ()

    def request(self) -> v1.CreateTokenRequest:
        """Return the request of a token."""
        return v1.CreateTokenRequest(service_key=self.key, scopes=self.scopes)


Login: TypeAlias = Password | ServiceKey | LocalLogin
"""What a client gets and renews tokens with by itself."""
TokenResponse: TypeAlias = v1.CreateTokenResponse | v1.RefreshTokenResponse
Refresh: TypeAlias = Callable[[v1.RefreshTokenRequest], v1.RefreshTokenResponse]


class StoredLogin(Protocol):
    """A login that outlives the client, and that other processes may use at the same time."""

    def token(self, refused: str | None, refresh: Refresh) -> str | None:
        """Return the token for a call; None for no token.

        Args:
            refused: a token that the daemon refused; None before a call.
            refresh: makes the RefreshToken call.
        """
        ...


@runtime_checkable
class TimedLogin(StoredLogin, Protocol):
    """A stored login that knows when its token is to be renewed."""

    def until_renewal(self, token: str | None) -> float | None:
        """Return the seconds until a token is renewed, 0: it was; None: it will not be, or when is not known."""


TokenT = TypeVar("TokenT")


def source_of(
    token: TokenT | None,
    username: str | None,
    password: str | Callable[[], str] | None,
    scopes: Iterable[ScopeName] | None,
    service_key: str | None = None,
    login_socket: str | None = None,
) -> Login | TokenT | None:
    """Return the source of tokens from the arguments of `connect`.

    Raises:
        ValueError: the arguments are incomplete or exclude each other.
    """
    chosen = tuple(_scope(scope) for scope in scopes or ())
    if login_socket is not None:
        if token is not None or password is not None or service_key is not None:
            raise ValueError("a local login takes no token, password or service key")
        return LocalLogin(login_socket, username or "", chosen)
    if service_key is not None:
        if token is not None or username is not None or password is not None:
            raise ValueError("give a service key, a token, or a username and a password")
        return ServiceKey(service_key, chosen)
    if username is None and password is None:
        if chosen:
            raise ValueError(
                "scopes are asked for with a username and a password, a service key, or a local "
                "login only"
            )
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
        renew_at: monotonic time of its renewal, in seconds.
        refresh_token: renews the login; empty: only another login does.
    """

    token: str = field(repr=False)
    renew_at: float
    refresh_token: str = field(default="", repr=False)

    @classmethod
    def from_response(cls, response: TokenResponse, *, margin: float, now: float) -> "CachedToken":
        """Return the token of a response.

        Args:
            response: the response of a login or a refresh.
            margin: how long before its expiry the token is renewed, in seconds, but at most a
                tenth of its lifetime.
            now: monotonic time in seconds.
        """
        return cls(response.token, now + renew_in(response, margin), response.refresh_token)

    def until_renewal(self, token: str | None, now: float) -> float | None:
        """Return the seconds until a token is to be renewed, 0: it was; None: that is not known."""
        if token != self.token:
            return 0.0
        return None if math.isinf(self.renew_at) else max(0.0, self.renew_at - now)

    def needs_renewal(self, *, now: float, refused: str | None) -> bool:
        """Return whether the token is about to expire, or was refused."""
        return now >= self.renew_at or self.token == refused


def renew_in(response: TokenResponse, margin: float) -> float:
    """Return the seconds after which a new token is to be renewed; see `CachedToken`."""
    left = (response.expire_time.ToDatetime(UTC) - datetime.now(UTC)).total_seconds()
    if left <= 0:
        # A new token cannot have expired: the clocks of client and daemon differ. Keep the
        # token until the daemon refuses it.
        return math.inf
    return left - min(margin, left / 10)


class TokenSource:
    """Provides the token of a synchronous client. Thread-safe.

    Args:
        source: None for no token; a token; a function that returns a token and is called
            before every call; a stored login; or a password, service key or login socket, with
            which one thread at a time gets and renews a token.
        login: makes the CreateToken call.
        refresh: makes the RefreshToken call.
        timing: when a token is renewed.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        source: "Source",
        login: Callable[[v1.CreateTokenRequest], v1.CreateTokenResponse],
        refresh: Refresh,
        *,
        timing: ClientTiming = ClientTiming(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._login = login
        self._refresh = refresh
        self._timing = timing
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

    def until_renewal(self, token: str | None) -> float | None:
        """Return the seconds until there may be another token than this one.

        0: there is one by now, as after a renewal by another call. None: there will be none.
        """
        if self._source is None or isinstance(self._source, str):
            return None
        if isinstance(self._source, Login):
            cached = self._cached
            return None if cached is None else cached.until_renewal(token, self._clock())
        if isinstance(self._source, TimedLogin):
            return self._source.until_renewal(token)
        return self._timing.renewal_check

    def _token(self, *, refused: str | None) -> str | None:
        source = self._source
        if source is None or isinstance(source, str):
            return source
        if isinstance(source, Login):
            with self._lock:
                cached = self._cached
                if cached is None or cached.needs_renewal(now=self._clock(), refused=refused):
                    response = self._renewed(cached, source)
                    cached = self._cached = CachedToken.from_response(
                        response, margin=self._timing.renewal_margin, now=self._clock()
                    )
                return cached.token
        return source() if callable(source) else source.token(refused, self._refresh)

    def _renewed(self, cached: CachedToken | None, source: Login) -> TokenResponse:
        """Renew the login, or log in anew where that is over."""
        if isinstance(source, LocalLogin):
            return source.log_in(self._timing)
        if cached is not None and cached.refresh_token:
            try:
                return self._refresh(v1.RefreshTokenRequest(refresh_token=cached.refresh_token))
            except Unauthenticated:
                pass
        return self._login(source.request())


Source: TypeAlias = Login | StoredLogin | Callable[[], str] | str | None
"""Where a client has its tokens from; see `TokenSource`."""

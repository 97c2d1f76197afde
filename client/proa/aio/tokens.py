"""Tokens of an asyncio client."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable

from proa import v1
from proa.errors import Unauthenticated
from proa.local_login import LocalLogin
from proa.timing import ClientTiming
from proa.tokens import CachedToken, Login, TokenResponse

TokenFunction = Callable[[], str | Awaitable[str]]


class AsyncTokenSource:
    """Provides the token of an asyncio client, as `proa.tokens.TokenSource` does."""

    def __init__(
        self,
        source: Login | TokenFunction | str | None,
        login: Callable[[v1.CreateTokenRequest], Awaitable[v1.CreateTokenResponse]],
        refresh: Callable[[v1.RefreshTokenRequest], Awaitable[v1.RefreshTokenResponse]],
        *,
        timing: ClientTiming = ClientTiming(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._login = login
        self._refresh = refresh
        self._timing = timing
        self._clock = clock
        self._lock = asyncio.Lock()
        self._cached: CachedToken | None = None

    async def get(self) -> str | None:
        """Return the token for a call; None for no token."""
        return await self._token(refused=None)

    async def renew(self, refused: str) -> str | None:
        """Return another token after one was refused; None if there is no other."""
        token = await self._token(refused=refused)
        return None if token == refused else token

    def until_renewal(self, token: str | None) -> float | None:
        """Return the seconds until there may be another token than this one, as `TokenSource`."""
        if self._source is None or isinstance(self._source, str):
            return None
        if isinstance(self._source, Login):
            cached = self._cached
            return None if cached is None else cached.until_renewal(token, self._clock())
        return self._timing.renewal_check

    async def _token(self, *, refused: str | None) -> str | None:
        source = self._source
        if source is None or isinstance(source, str):
            return source
        if not isinstance(source, Login):
            token = source()
            return await token if isawaitable(token) else token
        async with self._lock:
            cached = self._cached
            if cached is None or cached.needs_renewal(now=self._clock(), refused=refused):
                response = await self._renewed(cached, source)
                cached = self._cached = CachedToken.from_response(
                    response, margin=self._timing.renewal_margin, now=self._clock()
                )
            return cached.token

    async def _renewed(self, cached: CachedToken | None, source: Login) -> TokenResponse:
        if isinstance(source, LocalLogin):
            return await asyncio.to_thread(source.log_in, self._timing)
        if cached is not None and cached.refresh_token:
            try:
                return await self._refresh(
                    v1.RefreshTokenRequest(refresh_token=cached.refresh_token)
                )
            except Unauthenticated:
                pass
        return await self._login(source.request())

"""Tokens of an asyncio client."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable

from proa import v1
from proa.tokens import CachedToken, Password

TokenFunction = Callable[[], str | Awaitable[str]]


class AsyncTokenSource:
    """As `proa.tokens.TokenSource`, for the tasks of one event loop."""

    def __init__(
        self,
        source: Password | TokenFunction | str | None,
        login: Callable[[v1.CreateTokenRequest], Awaitable[v1.CreateTokenResponse]],
    ) -> None:
        self._source = source
        self._login = login
        self._lock = asyncio.Lock()
        self._cached: CachedToken | None = None

    async def get(self) -> str | None:
        """The token for a call."""
        return await self._other_than(None)

    async def instead_of(self, refused: str) -> str | None:
        """The token to try after one was refused; None: there is no other."""
        token = await self._other_than(refused)
        return None if token == refused else token

    async def _other_than(self, refused: str | None) -> str | None:
        source = self._source
        if source is None or isinstance(source, str):
            return source
        if not isinstance(source, Password):
            token = source()
            return await token if isawaitable(token) else token
        async with self._lock:
            cached = self._cached
            if cached is None or not cached.is_fresh or cached.token == refused:
                cached = self._cached = CachedToken.from_response(
                    await self._login(source.request())
                )
            return cached.token

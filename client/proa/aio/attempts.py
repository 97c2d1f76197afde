"""Attempts at asyncio calls."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from grpc import aio

from proa.aio.tokens import AsyncTokenSource
from proa.errors import Error, error_of
from proa.repeats import Repeats
from proa.tokens import RENEWABLE

MadeT = TypeVar("MadeT")


class Attempts:
    """The attempts of one call: with a token, renewed once, and after a lost answer.

    Args:
        attempt: makes the call with a token.
        tokens: the source of tokens.
        repeats: when the call is repeated whose answer was lost.

    Attributes:
        token: the token of the last attempt; None: it has none.
    """

    def __init__(
        self,
        attempt: Callable[[str | None], Awaitable[MadeT]],
        tokens: AsyncTokenSource,
        repeats: Repeats,
    ) -> None:
        self._attempt = attempt
        self._tokens = tokens
        self._repeats = repeats
        self.token: str | None = None
        self._may_renew = False

    async def first(self, *, with_token: bool) -> Any:
        """Make the call."""
        if with_token:
            self.token = await self._tokens.get()
        self._may_renew = self.token is not None
        return await self._make()

    def answered(self) -> None:
        """Note that a response of a stream has come."""
        self._may_renew = False
        self._repeats.answered()

    async def again(self, error: Error) -> Any:
        """Make the call again after an error, which is raised if that cannot help."""
        await self._mend(error)
        return await self._make()

    async def _make(self) -> Any:
        while True:
            outcome = await _outcome(self._attempt(self.token))
            if not isinstance(outcome, Error):
                return outcome
            await self._mend(outcome)

    async def _mend(self, error: Error) -> None:
        if self.token is not None and self._may_renew and error.reason in RENEWABLE:
            self._may_renew = False
            self.token = await self._tokens.renew(self.token)
            if self.token is None:
                raise error
            return
        pause = self._repeats.pause(error)
        if pause is None:
            raise error
        await asyncio.sleep(pause)


async def _outcome(attempt: Awaitable[MadeT]) -> MadeT | Error:
    """Return an error as a value: raised later, it does not show gRPC's traceback."""
    try:
        return await attempt
    except aio.AioRpcError as failure:
        return error_of(failure)

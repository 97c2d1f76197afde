"""Interceptors of all asyncio calls: deadline, token, typed errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from grpc import aio

from proa.aio.both_ways import BothWaysInterceptor
from proa.aio.details import method_of, with_token
from proa.aio.tokens import AsyncTokenSource
from proa.errors import Error, error_of
from proa.interceptors import Settings, wants_token
from proa.repeats import Repeats
from proa.tokens import RENEWABLE

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
MadeT = TypeVar("MadeT")


class _Attempts:
    """The attempts of one call: with a token, renewed once, and after a lost answer.

    Args:
        attempt: makes the call with a token.
        tokens: the source of tokens.
        repeats: when the call is repeated whose answer was lost.
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
        self._token: str | None = None
        self._may_renew = False

    async def first(self, *, with_token: bool) -> Any:
        """Make the call."""
        if with_token:
            self._token = await self._tokens.get()
        self._may_renew = self._token is not None
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
            outcome = await _outcome(self._attempt(self._token))
            if not isinstance(outcome, Error):
                return outcome
            await self._mend(outcome)

    async def _mend(self, error: Error) -> None:
        if self._token is not None and self._may_renew and error.reason in RENEWABLE:
            self._may_renew = False
            self._token = await self._tokens.renew(self._token)
            if self._token is None:
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


def interceptors(tokens: AsyncTokenSource, settings: Settings) -> Sequence[aio.ClientInterceptor]:
    """Return interceptors that add deadline, token and request id, and type the errors.

    Args:
        tokens: the source of tokens.
        settings: settings of all calls.
    """
    kinds = (_UnaryInterceptor, _StreamInterceptor, BothWaysInterceptor)
    return [kind(tokens, settings) for kind in kinds]


class _UnaryInterceptor(aio.UnaryUnaryClientInterceptor):
    def __init__(self, tokens: AsyncTokenSource, settings: Settings) -> None:
        self._tokens = tokens
        self._settings = settings

    async def intercept_unary_unary(
        self,
        continuation: Callable[
            [aio.ClientCallDetails, RequestT], Awaitable[aio.UnaryUnaryCall[RequestT, ResponseT]]
        ],
        client_call_details: aio.ClientCallDetails,
        request: RequestT,
    ) -> aio.UnaryUnaryCall[RequestT, ResponseT]:
        details = client_call_details
        method = method_of(details)
        timeout = details.timeout if details.timeout is not None else self._settings.timeout
        prepared, repeats = self._settings.prepared(method, request, timeout)

        async def attempt(token: str | None) -> aio.UnaryUnaryCall[RequestT, ResponseT]:
            call = await continuation(with_token(details, repeats.remaining(), token), prepared)
            await call
            return call

        attempts = _Attempts(attempt, self._tokens, repeats)
        made: aio.UnaryUnaryCall[RequestT, ResponseT] = await attempts.first(
            with_token=wants_token(method, details.metadata)
        )
        return made


class _StreamInterceptor(aio.UnaryStreamClientInterceptor):
    def __init__(self, tokens: AsyncTokenSource, settings: Settings) -> None:
        self._tokens = tokens
        self._settings = settings

    async def intercept_unary_stream(
        self,
        continuation: Callable[
            [aio.ClientCallDetails, RequestT], Awaitable[aio.UnaryStreamCall[RequestT, ResponseT]]
        ],
        client_call_details: aio.ClientCallDetails,
        request: RequestT,
    ) -> AsyncIterator[ResponseT]:
        details = client_call_details
        method = method_of(details)
        prepared, repeats = self._settings.prepared(method, request, details.timeout)

        async def attempt(
            token: str | None,
        ) -> tuple[AsyncIterator[ResponseT], ResponseT | None]:
            call = await continuation(with_token(details, repeats.remaining(), token), prepared)
            responses = aiter(call)
            # The first response, or the end, shows whether the token was accepted.
            return responses, await anext(responses, None)

        attempts = _Attempts(attempt, self._tokens, repeats)
        made = await attempts.first(with_token=wants_token(method, details.metadata))
        return _replay(attempts, *made)


async def _replay(
    attempts: _Attempts, responses: AsyncIterator[ResponseT], first: ResponseT | None
) -> AsyncIterator[ResponseT]:
    while first is not None:
        attempts.answered()
        yield first
        try:
            first = await anext(responses, None)
        except aio.AioRpcError as failure:
            error = error_of(failure)
        else:
            continue
        responses, first = await attempts.again(error)

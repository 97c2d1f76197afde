"""Interceptors of all asyncio calls: deadline, token, typed errors."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from grpc import aio

from proa.aio.attempts import Attempts
from proa.aio.both_ways import BothWaysInterceptor
from proa.aio.details import method_of, with_token
from proa.aio.tokens import AsyncTokenSource
from proa.errors import error_of
from proa.interceptors import Settings, wants_token

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
MadeT = TypeVar("MadeT")


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

        attempts = Attempts(attempt, self._tokens, repeats)
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

        attempts = Attempts(attempt, self._tokens, repeats)
        made = await attempts.first(with_token=wants_token(method, details.metadata))
        return _replay(attempts, *made)


async def _replay(
    attempts: Attempts, responses: AsyncIterator[ResponseT], first: ResponseT | None
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

"""Interceptors of all asyncio calls: deadline, token, typed errors."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from grpc import aio

from proa import contract
from proa.aio.tokens import AsyncTokenSource
from proa.errors import Error, error_of
from proa.interceptors import wants_token
from proa.tokens import RENEWABLE

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
MadeT = TypeVar("MadeT")


class _CallAuthorizer:
    """Makes calls with a token, and repeats them once with a renewed one.

    Shared by both interceptors, since grpc.aio requires a class for each kind of call.
    """

    def __init__(self, tokens: AsyncTokenSource, check: Callable[[str], None]) -> None:
        self._tokens = tokens
        self._check = check

    async def make(
        self,
        details: aio.ClientCallDetails,
        request: object,
        attempt: Callable[[str | None], Awaitable[MadeT]],
    ) -> MadeT:
        """Make a call, and repeat it with a new token if the first was refused."""
        method = _method(details)
        self._check(method)
        contract.check_request(method, request)
        token = await self._tokens.get() if wants_token(method, details.metadata) else None
        outcome = await _outcome(attempt(token))
        if isinstance(outcome, Error) and token is not None and outcome.reason in RENEWABLE:
            other = await self._tokens.renew(token)
            if other is not None:
                outcome = await _outcome(attempt(other))
        if isinstance(outcome, Error):
            raise outcome
        return outcome


async def _outcome(attempt: Awaitable[MadeT]) -> MadeT | Error:
    """Return an error as a value: raised later, it does not show gRPC's traceback."""
    try:
        return await attempt
    except aio.AioRpcError as failure:
        return error_of(failure)


def interceptors(
    tokens: AsyncTokenSource, timeout: float | None, check: Callable[[str], None]
) -> Sequence[aio.ClientInterceptor]:
    """Return interceptors that add deadline and token, renew that once, and type the errors.

    Args:
        tokens: the source of tokens.
        timeout: default deadline of unary calls, in seconds; None for none.
        check: raises ValueError for a method that must not be called on this channel.
    """
    authorizer = _CallAuthorizer(tokens, check)
    return [_UnaryInterceptor(authorizer, timeout), _StreamInterceptor(authorizer)]


class _UnaryInterceptor(aio.UnaryUnaryClientInterceptor):
    def __init__(self, authorizer: _CallAuthorizer, timeout: float | None) -> None:
        self._authorizer = authorizer
        self._timeout = timeout

    async def intercept_unary_unary(
        self,
        continuation: Callable[
            [aio.ClientCallDetails, RequestT], Awaitable[aio.UnaryUnaryCall[RequestT, ResponseT]]
        ],
        client_call_details: aio.ClientCallDetails,
        request: RequestT,
    ) -> aio.UnaryUnaryCall[RequestT, ResponseT]:
        async def attempt(token: str | None) -> aio.UnaryUnaryCall[RequestT, ResponseT]:
            call = await continuation(_with(client_call_details, self._timeout, token), request)
            await call
            return call

        return await self._authorizer.make(client_call_details, request, attempt)


class _StreamInterceptor(aio.UnaryStreamClientInterceptor):
    def __init__(self, authorizer: _CallAuthorizer) -> None:
        self._authorizer = authorizer

    async def intercept_unary_stream(
        self,
        continuation: Callable[
            [aio.ClientCallDetails, RequestT], Awaitable[aio.UnaryStreamCall[RequestT, ResponseT]]
        ],
        client_call_details: aio.ClientCallDetails,
        request: RequestT,
    ) -> AsyncIterator[ResponseT]:
        async def attempt(
            token: str | None,
        ) -> tuple[AsyncIterator[ResponseT], ResponseT | None]:
            call = await continuation(_with(client_call_details, None, token), request)
            responses = aiter(call)
            # The first response, or the end, shows whether the token was accepted.
            return responses, await anext(responses, None)

        return _replay(*await self._authorizer.make(client_call_details, request, attempt))


async def _replay(
    responses: AsyncIterator[ResponseT], first: ResponseT | None
) -> AsyncIterator[ResponseT]:
    if first is None:
        return
    yield first
    try:
        async for response in responses:
            yield response
    except aio.AioRpcError as failure:
        raise error_of(failure) from None


def _with(
    details: aio.ClientCallDetails, timeout: float | None, token: str | None
) -> aio.ClientCallDetails:
    """Return the details with deadline and token, unless the caller set them."""
    metadata = aio.Metadata(*(details.metadata or ()))
    if token is not None:
        metadata.add("authorization", f"Bearer {token}")
    return aio.ClientCallDetails(
        details.method,
        details.timeout if details.timeout is not None else timeout,
        metadata,
        details.credentials,
        details.wait_for_ready,
    )


def _method(details: aio.ClientCallDetails) -> str:
    # Declared as str, but grpc.aio passes bytes.
    method: str | bytes = details.method
    return method.decode() if isinstance(method, bytes) else method

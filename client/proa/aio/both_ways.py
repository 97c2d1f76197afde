"""Calls with a stream of requests, of the asyncio client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import grpc
from grpc import aio

from proa import contract
from proa.aio.attempts import Attempts
from proa.aio.details import method_of, with_token
from proa.aio.renewals import AsyncRenewals
from proa.aio.request_stream import AsyncRequestStream, Requests
from proa.aio.tokens import AsyncTokenSource
from proa.errors import Error, error_of
from proa.interceptors import Settings, wants_token

T = TypeVar("T")
Continuation = Callable[[aio.ClientCallDetails, Any], Awaitable[Any]]

_LOST = "Internal error from Core"


class FirstStatus:
    """The status of a call as the daemon sent it.

    Where a request is on its way when a call ends, grpc.aio puts an INTERNAL error in the place of
    the status that it has got.

    Args:
        call: the call.
    """

    def __init__(self, call: Any) -> None:
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._metadata: Any = None
        call.add_done_callback(self._note)

    def code(self) -> grpc.StatusCode:
        """Return the status code."""
        return self._code or grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        """Return the status message."""
        return self._details

    def trailing_metadata(self) -> Any:
        """Return the metadata of the status."""
        return self._metadata

    def error(self, failure: aio.AioRpcError) -> Error:
        """Return the typed error of a failure of the call."""
        return error_of(self.restored(failure))

    def is_ok(self, failure: aio.AioRpcError) -> bool:
        """Return whether a failure of the call is none: the daemon has ended it well."""
        return _is_lost(failure) and self._code is grpc.StatusCode.OK

    def restored(self, failure: aio.AioRpcError) -> aio.AioRpcError:
        """Return a failure of the call with the status of the daemon."""
        if not _is_lost(failure) or self._code in {None, grpc.StatusCode.OK}:
            return failure
        return aio.AioRpcError(
            self.code(), failure.initial_metadata(), self.trailing_metadata(), self.details()
        )

    def _note(self, call: Any) -> None:
        # It is called for each status that is put there.
        details = _known(call.details())
        if self._code is None or self._details == _LOST:
            self._code, self._details = _known(call.code()), details
            self._metadata = _known(call.trailing_metadata())


def _is_lost(failure: aio.AioRpcError) -> bool:
    """Return whether a failure is what grpc.aio has put in the place of a status."""
    return failure.code() is grpc.StatusCode.INTERNAL and failure.details() == _LOST


def _known(value: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that has nothing to wait for."""
    try:
        value.send(None)
    except StopIteration as stop:
        known: T = stop.value
        return known
    raise RuntimeError("a call that has ended has no status")


class BothWaysInterceptor(aio.StreamStreamClientInterceptor):
    """Adds a token to calls, renews it while they last, and types their errors.

    Args:
        tokens: the source of tokens.
        settings: settings of all calls.
    """

    def __init__(self, tokens: AsyncTokenSource, settings: Settings) -> None:
        self._tokens = tokens
        self._settings = settings

    async def intercept_stream_stream(
        self,
        continuation: Continuation,
        client_call_details: aio.ClientCallDetails,
        request_iterator: Requests,
    ) -> AsyncIterator[Any]:
        """Make a call with a stream of requests, and one of responses."""
        details, settings = client_call_details, self._settings
        method = method_of(details)
        repeats = settings.prepared_stream(method, request_iterator, details.timeout)
        requests = AsyncRequestStream.of(request_iterator, partial(contract.check_request, method))

        async def attempt(token: str | None) -> Any:
            attempt = requests.attempt()
            if attempt is None:
                return None
            call = await continuation(with_token(details, repeats.remaining(), token), attempt)
            requests.attach(call)
            return call

        attempts = Attempts(attempt, self._tokens, repeats)
        try:
            call = await attempts.first(with_token=wants_token(method, details.metadata))
        except BaseException:
            requests.close()  # nobody will read them
            raise
        renewals = AsyncRenewals(self._tokens, method, requests, settings.timing)
        return _responses(call, attempts, requests, renewals)


async def _responses(
    call: Any, attempts: Attempts, requests: AsyncRequestStream, renewals: AsyncRenewals
) -> AsyncIterator[Any]:
    """Yield the responses of a call, which is made once more if its token is refused."""
    try:
        while True:
            status = FirstStatus(call)
            responses = aiter(call)
            # The first response, or the end, shows whether the token was accepted.
            first = await _outcome(anext(responses, None), status, requests)
            if not isinstance(first, Error):
                break
            call = await attempts.again(first)
            if call is None:
                raise first
        attempts.answered()
        requests.answered()
        call.add_done_callback(lambda _call: requests.close())
        with renewals.while_open(attempts.token):
            response = first
            while response is not None:
                yield response
                response = await _outcome(anext(responses, None), status, requests)
                if isinstance(response, Error):
                    raise response
    finally:
        requests.close()


async def _outcome(
    response: Awaitable[T], status: FirstStatus, requests: AsyncRequestStream
) -> T | Error | None:
    """Return an error as a value: raised later, it does not show gRPC's traceback.

    None: the call has ended well.

    Raises:
        Exception: what the requests come from has failed.
    """
    try:
        return await response
    except aio.AioRpcError as failure:
        # The status comes after the last response, so that none is left.
        if status.is_ok(failure) and requests.failure is None:
            return None
        error = status.error(failure)
    except asyncio.CancelledError:
        if requests.failure is None:
            raise
        error = None
    if requests.failure is not None:
        raise requests.failure
    assert error is not None  # noqa: S101 - for mypy
    return error

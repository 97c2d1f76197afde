"""Interceptor of all synchronous calls: deadline, token, typed errors."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc

from proa import contract
from proa.errors import Error, error_of
from proa.tokens import RENEWABLE, TokenSource

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

Retry = Callable[[Error], Any]
"""Repeats a call after an error; returns None if a repetition cannot help."""


@dataclass(frozen=True)
class CallDetails(grpc.ClientCallDetails):
    """The details of a call, with the client's defaults."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None

    @classmethod
    def of(
        cls, details: grpc.ClientCallDetails, timeout: float | None, token: str | None
    ) -> "CallDetails":
        """Return the details with deadline and token, unless the caller set them."""
        metadata = list(details.metadata or ())
        if token is not None:
            metadata.append(("authorization", f"Bearer {token}"))
        return cls(
            method=details.method,
            timeout=details.timeout if details.timeout is not None else timeout,
            metadata=metadata,
            credentials=details.credentials,
            wait_for_ready=details.wait_for_ready,
            compression=details.compression,
        )


class ClientInterceptor(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Adds deadline and token to calls, renews a refused token once, and types the errors.

    Args:
        tokens: the source of tokens.
        timeout: default deadline of unary calls, in seconds; None for none.
        check: raises ValueError for a method that must not be called on this channel.
    """

    def __init__(
        self, tokens: TokenSource, timeout: float | None, check: Callable[[str], None]
    ) -> None:
        self._tokens = tokens
        self._timeout = timeout
        self._check = check

    def intercept_unary_unary(  # type: ignore[override] # a call by duck type, not the private class
        self,
        continuation: Callable[[grpc.ClientCallDetails, RequestT], Any],
        client_call_details: grpc.ClientCallDetails,
        request: RequestT,
    ) -> "UnaryCall[Any]":
        """Make a unary call."""
        return UnaryCall(*self._begin(continuation, client_call_details, request, self._timeout))

    def intercept_unary_stream(  # type: ignore[override] # as above
        self,
        continuation: Callable[[grpc.ClientCallDetails, RequestT], Any],
        client_call_details: grpc.ClientCallDetails,
        request: RequestT,
    ) -> "StreamCall[Any]":
        """Make a call with a stream of responses."""
        return StreamCall(*self._begin(continuation, client_call_details, request, None))

    def _begin(
        self,
        continuation: Callable[[grpc.ClientCallDetails, RequestT], Any],
        details: grpc.ClientCallDetails,
        request: RequestT,
        timeout: float | None,
    ) -> tuple[Any, Retry]:
        self._check(details.method)
        contract.check_request(details.method, request)
        token = self._tokens.get() if wants_token(details.method, details.metadata) else None

        def attempt(token: str | None) -> Any:
            return continuation(CallDetails.of(details, timeout, token), request)

        def retry(error: Error) -> Any:
            if token is None or error.reason not in RENEWABLE:
                return None
            other = self._tokens.renew(token)
            return None if other is None else attempt(other)

        return attempt(token), retry


def wants_token(method: str, metadata: Any) -> bool:
    """Return whether to add a token: the RPC requires one, and the caller set none."""
    return method in _WITH_TOKEN and all(key != "authorization" for key, _ in metadata or ())


_WITH_TOKEN = frozenset(contract.path(m) for m in contract.methods() if contract.needs_token(m))


class _CallWrapper:
    def __init__(self, call: Any, retry: Retry) -> None:
        self._call = call
        self._retry = retry

    def __getattr__(self, name: str) -> Any:
        # metadata, code, cancel, done, … are those of the call itself.
        return getattr(self._call, name)

    def _after(self, failure: Any) -> None:
        """Repeat the call, or raise its error.

        Must be called outside of the `except` block of `failure`: otherwise the traceback of
        the raised error would show gRPC's as well.
        """
        if not hasattr(failure, "code"):
            raise failure
        error = error_of(failure)
        call = self._retry(error)
        if call is None:
            raise error
        self._call = call
        self._retry = _no_retry


def _no_retry(_: Error) -> None:
    return None


class UnaryCall(_CallWrapper, Generic[ResponseT]):
    """A unary call, running or ended, whose result is the response or a typed error."""

    def result(self, timeout: float | None = None) -> ResponseT:
        """Wait for the response, for at most `timeout` seconds."""
        while True:
            try:
                response: ResponseT = self._call.result(timeout)
            except grpc.RpcError as error:
                failure = error
            else:
                return response
            self._after(failure)

    def exception(self, timeout: float | None = None) -> Error | None:
        """Wait for the end, and return the error; None for success."""
        try:
            self.result(timeout)
        except Error as error:
            return error
        return None

    def add_done_callback(self, callback: "Callable[[UnaryCall[ResponseT]], object]") -> None:
        """Call `callback` with this call once it has ended."""
        self._call.add_done_callback(lambda _: callback(self))


class StreamCall(_CallWrapper, Generic[ResponseT]):
    """A stream of responses that raises a typed error on failure."""

    def __iter__(self) -> Iterator[ResponseT]:
        return self

    def __next__(self) -> ResponseT:
        while True:
            try:
                response: ResponseT = next(self._call)
            except grpc.RpcError as error:
                failure = error
            else:
                self._retry = _no_retry
                return response
            self._after(failure)

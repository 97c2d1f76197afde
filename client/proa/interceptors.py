"""Interceptor of all synchronous calls: deadline, token, typed errors."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import grpc

from proa import contract
from proa.errors import Error, error_of
from proa.renewals import Renewals
from proa.repeats import Repeats, with_id
from proa.request_stream import RequestStream
from proa.timing import ClientTiming
from proa.tokens import RENEWABLE, TokenSource

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


@dataclass(frozen=True)
class Settings:
    """The settings of all calls of a client.

    Attributes:
        timeout: default deadline of unary calls, in seconds; None for none.
        request_ids: whether changing calls get a request id.
        check: raises ValueError for a method that must not be called on this channel, or not now.
        timing: durations of the client.
        clock: monotonic time in seconds.
    """

    timeout: float | None
    request_ids: bool
    check: Callable[[str], None]
    timing: ClientTiming
    clock: Callable[[], float]

    def prepared(self, method: str, request: Any, timeout: float | None) -> tuple[Any, Repeats]:
        """Return the checked request of a call, and when the call is repeated."""
        self.check(method)
        contract.check_request(method, request)
        if self.request_ids:
            request = with_id(method, request)
        return request, Repeats(
            allowed=self.request_ids and method in contract.JOURNALLED,
            timing=self.timing,
            deadline=None if timeout is None else self.clock() + timeout,
            clock=self.clock,
        )

    def prepared_stream(self, method: str, requests: Any, timeout: float | None) -> Repeats:
        """Check a call with a stream of requests, and return when it is repeated: never."""
        self.check(method)
        contract.check_requests(method, requests)
        return Repeats(
            allowed=False,
            refused=False,
            timing=self.timing,
            deadline=None if timeout is None else self.clock() + timeout,
            clock=self.clock,
        )


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
        """Return the details with the deadline, and with a token unless the caller set one."""
        metadata = list(details.metadata or ())
        if token is not None:
            metadata.append(("authorization", f"Bearer {token}"))
        return cls(
            method=details.method,
            timeout=timeout,
            metadata=metadata,
            credentials=details.credentials,
            wait_for_ready=details.wait_for_ready,
            compression=details.compression,
        )


class ClientInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds deadline and token to calls, renews a refused token once, and types the errors.

    Args:
        tokens: the source of tokens.
        settings: settings of all calls.
    """

    def __init__(self, tokens: TokenSource, settings: Settings) -> None:
        self._tokens = tokens
        self._settings = settings

    def intercept_unary_unary(  # type: ignore[override] # a call by duck type, not the private class
        self,
        continuation: Callable[[grpc.ClientCallDetails, RequestT], Any],
        client_call_details: grpc.ClientCallDetails,
        request: RequestT,
    ) -> "UnaryCall[Any]":
        """Make a unary call."""
        return UnaryCall(
            *self._begin(continuation, client_call_details, request, self._settings.timeout)
        )

    def intercept_unary_stream(  # type: ignore[override] # as above
        self,
        continuation: Callable[[grpc.ClientCallDetails, RequestT], Any],
        client_call_details: grpc.ClientCallDetails,
        request: RequestT,
    ) -> "StreamCall[Any]":
        """Make a call with a stream of responses."""
        return StreamCall(*self._begin(continuation, client_call_details, request, None))

    def intercept_stream_stream(  # type: ignore[override] # as above
        self,
        continuation: Callable[[grpc.ClientCallDetails, Iterator[Any]], Any],
        client_call_details: grpc.ClientCallDetails,
        request_iterator: Iterable[Any],
    ) -> "BothWaysCall[Any]":
        """Make a call with a stream of requests, and one of responses."""
        details, settings = client_call_details, self._settings
        method: str = details.method
        repeats = settings.prepared_stream(method, request_iterator, details.timeout)
        token = self._tokens.get() if wants_token(method, details.metadata) else None
        requests = RequestStream.of(request_iterator, partial(contract.check_request, method))

        def attempt(token: str | None) -> Any:
            settings.check(method)
            attempt = requests.attempt()
            if attempt is None:
                return None
            call = continuation(CallDetails.of(details, repeats.remaining(), token), attempt)
            requests.attach(call)
            return call

        return BothWaysCall(
            attempt(token),
            Retry(attempt, self._tokens, token, repeats),
            requests,
            Renewals(self._tokens, method, requests, settings.timing),
        )

    def _begin(
        self,
        continuation: Callable[[grpc.ClientCallDetails, RequestT], Any],
        details: grpc.ClientCallDetails,
        request: RequestT,
        timeout: float | None,
    ) -> tuple[Any, "Retry"]:
        timeout = details.timeout if details.timeout is not None else timeout
        request, repeats = self._settings.prepared(details.method, request, timeout)
        token = self._tokens.get() if wants_token(details.method, details.metadata) else None

        def attempt(token: str | None) -> Any:
            self._settings.check(details.method)
            return continuation(CallDetails.of(details, repeats.remaining(), token), request)

        return attempt(token), Retry(attempt, self._tokens, token, repeats)


class Retry:
    """Makes a call again after an error that this can mend.

    Args:
        attempt: makes the call with a token.
        tokens: the source of tokens.
        token: token of the first attempt.
        repeats: when the call is repeated whose answer was lost.
    """

    def __init__(
        self,
        attempt: Callable[[str | None], Any],
        tokens: TokenSource,
        token: str | None,
        repeats: Repeats,
    ) -> None:
        self._attempt = attempt
        self._tokens = tokens
        self._token = token
        self._repeats = repeats
        self._may_renew = token is not None

    @property
    def token(self) -> str | None:
        """The token of the last attempt."""
        return self._token

    def answered(self) -> None:
        """Note that a response of a stream has come: its token was accepted."""
        self._may_renew = False
        self._repeats.answered()

    def after(self, error: Error) -> Any:
        """Return the call, made again; None if a repetition cannot help."""
        if self._token is not None and self._may_renew and error.reason in RENEWABLE:
            self._may_renew = False
            self._token = self._tokens.renew(self._token)
            return None if self._token is None else self._attempt(self._token)
        pause = self._repeats.pause(error)
        if pause is None:
            return None
        time.sleep(pause)
        return self._attempt(self._token)


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
        call = self._retry.after(error)
        if call is None:
            raise error
        self._call = call


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
                self._retry.answered()
                return response
            self._after(failure)


class BothWaysCall(StreamCall[ResponseT]):
    """A stream of responses to a stream of requests.

    Args:
        call: the first attempt.
        retry: makes it again, with another token.
        requests: the requests.
        renewals: renews the token while the call lasts.
    """

    def __init__(
        self, call: Any, retry: Retry, requests: RequestStream, renewals: Renewals
    ) -> None:
        super().__init__(call, retry)
        self._requests = requests
        self._renewals = renewals
        self._is_answered = False

    def __next__(self) -> ResponseT:
        try:
            response = super().__next__()
        except BaseException:
            self._requests.close()
            if self._requests.failure is not None:
                raise self._requests.failure from None
            raise
        if not self._is_answered:
            self._is_answered = True
            self._requests.answered()
            if not self._call.add_callback(self._requests.close):
                self._requests.close()
            self._renewals.begin(self._retry.token)
        return response

"""What every call goes through: request id, scope, deadline, errors, access log.

One interceptor, so that the order is plain and nothing can be left out for one method.
"""

import asyncio
import math
import random
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import aclosing, asynccontextmanager, nullcontext, suppress
from datetime import UTC, datetime
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from proa import v1
from proad.auth.scopes import Scope
from proad.auth.service import Authenticator, require
from proad.errors import (
    EngineTimedOutError,
    InvalidArgumentError,
    ProaError,
    ScopeMissingError,
    ShuttingDownError,
    TokenExpiredError,
)
from proad.rpc import caller
from proad.rpc.access import AccessLog
from proad.rpc.required_scopes import STANDARD_METHODS
from proad.rpc.status import internal_status, to_status

_log = structlog.get_logger(__name__)

# The answer to an expired deadline must have arrived before the client gives up. It has
# this share of the client's time for that, and so many seconds at most.
_DEADLINE_SHARE = 0.2
_DEADLINE_MARGIN = 0.5

# A call whose deadline has come is cancelled, as one is whose caller lost interest. The
# time tells them apart: gRPC rounds up what is left by this share at most, and the two
# ends have not quite the same moment.
_DEADLINE_ROUNDING = 0.01
_SAME_MOMENT = 0.1

# Seconds in which watchers can be told that the daemon stops.
_LAST_WORD = 1.0

# Seconds after which the token of a stream that goes on is looked at again.
_CHECK_EVERY = 5.0

_Context = grpc.aio.ServicerContext[Any, Any]


class _Malformed:
    """What could not be parsed, in place of the request."""


class _Counter:
    """Counts calls, and tells when there are none."""

    def __init__(self) -> None:
        self._number = 0
        self._none = asyncio.Event()
        self._none.set()

    def up(self) -> None:
        self._number += 1
        self._none.clear()

    def down(self) -> None:
        self._number -= 1
        if not self._number:
            self._none.set()

    async def zero(self) -> None:
        await self._none.wait()


class Gate(grpc.aio.ServerInterceptor):
    """Lets a call through to its servicer, and its outcome back to the caller.

    Denied by default: a method without a scope in the contract is refused, but for
    health and reflection, which do not pass here. A caller that is not known gets
    UNAUTHENTICATED, one that is known and may not gets PERMISSION_DENIED.

    Args:
        authenticator: tells whose token it is.
        scopes: what each method requires.
        endless: streams that only tell and never end by themselves: they end when the
            token does. A deadline that the caller sets is left to gRPC: nothing is under
            way that could take effect later.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        scopes: Mapping[str, "v1.Scope.ValueType"],
        endless: Collection[str],
    ) -> None:
        self._authenticator = authenticator
        self._scopes = scopes
        self._endless = endless
        self._access = AccessLog()
        # By method: what was put together once is good for every call.
        self._guarded: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self._closing = False
        self._in_flight = _Counter()
        self._watching = _Counter()

    def close(self) -> None:
        """Refuse new calls."""
        self._closing = True

    async def drained(self) -> None:
        """Wait until no call is in flight. `Server.stop` does not wait for all of them.

        Streams that never end by themselves are told to, and not waited for long: their
        callers may not be listening.
        """
        await self._in_flight.zero()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._watching.zero(), _LAST_WORD)

    def write_log(self) -> None:
        """Write what is left of the access log: there is no call any more."""
        self._access.write()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of a method."""
        method = handler_call_details.method
        guarded = self._guarded.get(method)
        if guarded is None:
            handler = await continuation(handler_call_details)
            if handler is None or method in STANDARD_METHODS:
                return handler
            guarded = self._guarded[method] = self._guard(method, handler)
        return guarded

    def _guard(self, method: str, handler: Any) -> "grpc.RpcMethodHandler[Any, Any]":
        deserialize = _tolerant(handler.request_deserializer)
        serialize = _unless_encoded(handler.response_serializer)

        if handler.unary_unary is not None:

            async def unary(request: Any, context: _Context) -> Any:
                async with self._pass(method, _headers(context), request, context):
                    return await handler.unary_unary(request, context)

            return grpc.unary_unary_rpc_method_handler(unary, deserialize, serialize)
        if handler.unary_stream is not None:
            endless = method in self._endless

            async def stream(request: Any, context: _Context) -> AsyncIterator[Any]:
                headers = _headers(context)
                async with (
                    self._pass(method, headers, request, context),
                    aclosing(handler.unary_stream(request, context)) as responses,
                ):
                    source = self._while_admitted(responses, headers) if endless else responses
                    async for response in source:
                        yield response

            return grpc.unary_stream_rpc_method_handler(stream, deserialize, serialize)
        raise TypeError(f"{method}: the contract has no streams of requests")

    @asynccontextmanager
    async def _pass(
        self, method: str, headers: Mapping[str, str], request: object, context: _Context
    ) -> AsyncIterator[None]:
        request_id = _request_id(headers.get("x-request-id"))
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        # Asked now, as the headers are: of a stream that was cancelled, gRPC has let go when
        # we hear of it, and its context then leads into freed memory.
        peer = context.peer()
        code, reason, subject = "OK", "", ""
        endless = method in self._endless
        calls = self._watching if endless else self._in_flight
        deadline = math.inf
        calls.up()
        try:
            subject = await self._admit(method, headers)
            if isinstance(request, _Malformed):
                raise InvalidArgumentError.of("", "the request is not a message of this method")  # noqa: TRY301 - mapped below like every other
            remaining = context.time_remaining()
            if remaining is not None:
                deadline = time.perf_counter() + remaining * (1 - _DEADLINE_ROUNDING)
            async with nullcontext() if remaining is None or endless else _deadline(remaining):
                yield
        except ProaError as error:
            status = to_status(error, request_id)
            code, reason = status.code.name, error.reason
            await context.abort(status.code, status.details, status.trailing_metadata)
        except (asyncio.CancelledError, grpc.aio.AbortError, GeneratorExit):
            met = time.perf_counter() > deadline - _SAME_MOMENT
            code = "DEADLINE_EXCEEDED" if met else "CANCELLED"
            raise
        except Exception:  # noqa: BLE001 - logged in full, and told apart by the request id
            _log.exception("fault", method=method)
            status = internal_status(request_id)
            code, reason = status.code.name, "INTERNAL"
            await context.abort(status.code, status.details, status.trailing_metadata)
        finally:
            calls.down()
            self._access.note(
                method=method,
                code=code,
                reason=reason or None,
                ms=round((time.perf_counter() - started) * 1000, 2),
                subject=subject or None,
                peer=peer,
                request_id=request_id,
            )

    async def _while_admitted(
        self, responses: AsyncGenerator[Any, None], headers: Mapping[str, str]
    ) -> AsyncGenerator[Any, None]:
        """End a stream when the caller's token ends, or is no longer good."""
        loop = asyncio.get_running_loop()
        left = (caller.current().expire_time - datetime.now(UTC)).total_seconds()
        expires = loop.time() + left
        checked = loop.time()
        while True:
            try:
                async with asyncio.timeout_at(expires) as limit:
                    response = await anext(responses, None)
            except TimeoutError:
                if limit.expired():
                    raise TokenExpiredError from None
                raise
            if response is None:
                return
            if loop.time() >= expires:  # it was there at once, but nobody read for long
                raise TokenExpiredError
            if loop.time() - checked > _CHECK_EVERY:
                await self._authenticator.authenticate(headers.get("authorization"))
                checked = loop.time()
            yield response

    async def _admit(self, method: str, headers: Mapping[str, str]) -> str:
        """Let a caller in and give their name; empty in a PUBLIC call."""
        if self._closing:
            raise ShuttingDownError
        scope = self._scopes.get(method, v1.SCOPE_UNSPECIFIED)
        if scope == v1.SCOPE_PUBLIC:
            return ""
        known = await self._authenticator.authenticate(headers.get("authorization"))
        match scope:
            case v1.SCOPE_AUTHENTICATED:
                pass
            case v1.SCOPE_BASIC:
                require(known, Scope.BASIC)
            case v1.SCOPE_ADVANCED:
                require(known, Scope.ADVANCED)
            case _:
                raise ScopeMissingError("none that exists", sorted(known.scopes))
        caller.enter(known)
        return known.username


def _headers(context: _Context) -> dict[str, str]:
    """Give what the caller sent along, but for what is binary."""
    sent = context.invocation_metadata() or ()
    return {key: value for key, value in sent if isinstance(value, str)}


def _request_id(own: str | None) -> str:
    """Take the caller's own id, so that both logs can be laid side by side, or make one."""
    if own is not None and re.fullmatch(r"[A-Za-z0-9._-]{1,64}", own):
        return own
    return f"{random.getrandbits(128):032x}"


@asynccontextmanager
async def _deadline(remaining: float) -> AsyncIterator[None]:
    """End what takes longer than the caller waits; a TimeoutError from inside is a fault."""
    margin = min(remaining * _DEADLINE_SHARE, _DEADLINE_MARGIN)
    limit = asyncio.timeout(max(remaining - margin, 0.0))
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise EngineTimedOutError("the engine") from None


def _unless_encoded(serialize: Callable[[Any], bytes] | None) -> Callable[[Any], bytes] | None:
    """Let pass what a servicer has encoded already."""
    if serialize is None:
        return None
    return lambda response: response if type(response) is bytes else serialize(response)


def _tolerant(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """Give what cannot be parsed to the gate, which says so; grpc would say INTERNAL."""
    if deserialize is None:
        return None

    def parse(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return _Malformed()

    return parse

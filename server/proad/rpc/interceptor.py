"""What every call goes through: scope, request message, deadline, errors, access log.

One interceptor, so that the order is plain and nothing can be left out for one method. On
the wire a call with one message and a stream of messages are the same: every method is
served as the latter, so that a caller is let in before a byte of the request is read.
"""

import asyncio
import math
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import grpc
import structlog

from proa import v1
from proad.auth.service import Authenticator
from proad.errors import ProaError
from proad.rpc import caller
from proad.rpc.access_log import AccessLog
from proad.rpc.authorizer import Authorizer, forwarded, header, sent_along
from proad.rpc.deadline import deadline
from proad.rpc.methods import Method
from proad.rpc.read_limiter import ReadLimiter
from proad.rpc.request_reader import RequestReader
from proad.rpc.status import internal_status, to_status
from proad.rpc.stream_handlers import StreamHandlers
from proad.rpc.timing import RpcTiming

_log = structlog.get_logger(__name__)

# A call whose deadline has come is cancelled, as one is whose caller lost interest. The
# time tells them apart: gRPC rounds up what is left by this share at most, and the two
# ends have not quite the same moment.
_DEADLINE_ROUNDING = 0.01
_SAME_MOMENT = 0.1

_Context = grpc.aio.ServicerContext[Any, Any]
_Serve = Callable[[_Context], Awaitable[Any]]


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


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Lets a call through to its servicer, and its outcome back to the caller.

    Args:
        authenticator: tells whose token it is.
        methods: what is known of each method, by its path; of any other, nobody is let in.
        timing: durations.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        methods: Mapping[str, Method],
        timing: RpcTiming = RpcTiming(),
    ) -> None:
        self._methods = methods
        self._timing = timing
        self._authorizer = Authorizer(authenticator)
        self._streams = StreamHandlers(self._authorizer, timing.public_stream_lifetime)
        self._access = AccessLog(authenticator.client_address, timing)
        # Apart, so that strangers are in the way of nobody who is known.
        self._public_limiter, self._limiter = ReadLimiter(most_waiting=128), ReadLimiter()
        # By method: what was put together once is good for every call.
        self._guarded: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self._in_flight = _Counter()
        self._watching = _Counter()

    def close(self) -> None:
        """Refuse new calls."""
        self._authorizer.close()

    async def drained(self) -> None:
        """Wait until no call is in flight. `Server.stop` does not wait for all of them.

        Streams that never end by themselves are told to, and not waited for long: their
        callers may not be listening.
        """
        await self._in_flight.zero()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._watching.zero(), self._timing.watch_grace)

    def write_log(self) -> None:
        """Write what is left of the access log: there is no call any more."""
        self._access.write()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of a method."""
        path = handler_call_details.method
        guarded = self._guarded.get(path)
        if guarded is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            method = self._methods.get(path) or Method(path)
            guarded = self._guarded[path] = self._guard(method, handler)
        return guarded

    def _guard(self, method: Method, handler: Any) -> "grpc.RpcMethodHandler[Any, Any]":
        public = method.scope == v1.SCOPE_PUBLIC
        reader = RequestReader(
            method.request,
            method.max_request_bytes,
            alone=method.changes,
            timeout=self._timing.read_timeout,
            limiter=self._public_limiter if public else self._limiter,
            sender=self._authorizer.place if public else _user,
        )

        async def read(context: _Context) -> Any:
            message = await reader.read(context)
            if not public:
                # Who was let in may send the message when the token is no longer good.
                await self._authorizer.check_again()
            return message

        serialize = _unless_encoded(handler.response_serializer)
        let_pass = self._pass_standard if method.standard else self._pass
        if handler.unary_unary is not None:
            answer = handler.unary_unary

            async def unary(context: _Context) -> Any:
                return await answer(await read(context), context)

            async def one(_messages: object, context: _Context) -> Any:
                return await let_pass(method, unary, context)

            return grpc.stream_unary_rpc_method_handler(one, None, serialize)

        write = self._streams.writing(method, handler.unary_stream or handler.stream_stream)

        async def stream(context: _Context) -> None:
            await write(await read(context), context)

        async def dialogue(context: _Context) -> None:
            await write(reader.each(context), context)

        serve: _Serve = stream if handler.unary_stream is not None else dialogue

        async def many(_messages: object, context: _Context) -> None:
            await let_pass(method, serve, context)

        return grpc.stream_stream_rpc_method_handler(many, None, serialize)

    async def _pass(self, method: Method, serve: _Serve, context: _Context) -> Any:
        """Serve a call, and give its response; what went wrong is told to the caller."""
        metadata = sent_along(context)
        request_id = _request_id(header(metadata, "x-request-id"))
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        # Asked now: of a stream that was cancelled, gRPC has let go when we hear of it, and
        # its context then leads into freed memory.
        peer = context.peer()
        code, reason = "OK", ""
        calls = self._watching if method.endless else self._in_flight
        expires = math.inf
        calls.up()
        try:
            await self._authorizer.admit(method, metadata)
            remaining: float | None = context.time_remaining()
            if remaining is None:
                return await serve(context)
            expires = time.perf_counter() + remaining * (1 - _DEADLINE_ROUNDING)
            if method.endless:
                # Nothing is under way that could take effect later: it is left to gRPC.
                return await serve(context)
            async with deadline(remaining, self._timing.deadline_margin):
                return await serve(context)
        except ProaError as error:
            status = to_status(error, request_id)
            code, reason = status.code.name, error.reason
            _forget_way(error)
        except asyncio.CancelledError:
            met = time.perf_counter() > expires - _SAME_MOMENT
            code = "DEADLINE_EXCEEDED" if met else "CANCELLED"
            raise
        except Exception:  # noqa: BLE001 - logged in full, and told apart by the request id
            _log.exception("fault", method=method.path)
            status = internal_status(request_id)
            code, reason = status.code.name, "INTERNAL"
        finally:
            calls.down()
            self._access.note(
                method=method.path,
                code=code,
                reason=reason or None,
                ms=round((time.perf_counter() - started) * 1000, 2),
                subject=caller.name(),
                peer=peer,
                forwarded=forwarded(metadata),
                request_id=request_id,
            )
        await _refuse(context, status)
        return None

    async def _pass_standard(self, method: Method, serve: _Serve, context: _Context) -> Any:
        """Serve a call of health or reflection: without a token, also while we stop."""
        request_id = _request_id(None)
        try:
            return await serve(context)
        except ProaError as error:
            status = to_status(error, request_id)
        except grpc.aio.AbortError as error:  # the servicer's own
            _forget_way(error)
            return None
        except Exception:  # noqa: BLE001 - as in _pass
            _log.exception("fault", method=method.path, request_id=request_id)
            status = internal_status(request_id)
        await _refuse(context, status)
        return None


def _user(_context: _Context) -> str:
    return caller.current().username


async def _refuse(context: _Context, status: grpc.Status) -> None:
    """End a call with an error; gRPC keeps the exception of `abort` as long as the call."""
    try:
        await context.abort(status.code, status.details, status.trailing_metadata)
    except grpc.aio.AbortError as error:
        _forget_way(error)


def _forget_way(error: BaseException) -> None:
    """Take the frames from an error that somebody keeps, or that has a frame keep it.

    They hold the call and its request, which would be gone only when the collector comes
    next, and not when the call is over.
    """
    before: BaseException | None = error
    while before is not None:
        before.__traceback__ = None
        before = before.__context__


def _request_id(own: str | None) -> str:
    """Take the caller's own id, so that both logs can be laid side by side, or make one."""
    if own is not None and re.fullmatch(r"[A-Za-z0-9._-]{1,64}", own):
        return own
    return f"{random.getrandbits(128):032x}"


def _unless_encoded(serialize: Callable[[Any], bytes] | None) -> Callable[[Any], bytes] | None:
    """Let pass what a servicer has encoded already."""
    if serialize is None:
        return None
    return lambda response: response if type(response) is bytes else serialize(response)

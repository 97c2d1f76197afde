"""What every call goes through: authorization, request message, deadline, errors, access log.

One interceptor handles all methods, so that the order is plain and no method can leave out a
step. On the wire, a call with one message and a stream of messages are the same: every method
is registered as taking a stream, so that a caller is authorized before a byte of the request
is read.
"""

import asyncio
import math
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import grpc
import structlog

from proad.auth.service import Authenticator
from proad.core.gate import PolicyGate
from proad.core.requests import RepeatedFailure
from proad.errors import ProaError
from proad.rpc import caller
from proad.rpc.access_log import AccessLog
from proad.rpc.authorizer import Authorizer, forwarded, header, headers
from proad.rpc.call_auditor import CallAuditor
from proad.rpc.deadline import deadline
from proad.rpc.methods import Method
from proad.rpc.read_limiter import ReadLimiter
from proad.rpc.redaction import Redactor
from proad.rpc.request_ids import RequestIds
from proad.rpc.request_reader import RequestReader
from proad.rpc.request_stream import RequestStream
from proad.rpc.status import internal_status, repeated_status, to_status
from proad.rpc.stream_handlers import StreamHandlers
from proad.rpc.timing import RpcTiming
from proad.rpc.user_limiter import LimitedCall, UserLimiter

_log = structlog.get_logger(__name__)

# gRPC cancels a call whose deadline has expired and one whose caller has gone alike. The time
# tells which: gRPC rounds up the remaining time by this share at most, and the clocks of the two
# ends differ by so many seconds at most.
_DEADLINE_ROUNDING = 0.01
_CLOCK_SKEW = 0.1

_Context = grpc.aio.ServicerContext[Any, Any]
_Serve = Callable[[_Context], Awaitable[Any]]


class _CallCounter:
    """Counts the calls in flight."""

    def __init__(self) -> None:
        self._count = 0
        self._zero = asyncio.Event()
        self._zero.set()

    def increment(self) -> None:
        self._count += 1
        self._zero.clear()

    def decrement(self) -> None:
        self._count -= 1
        if not self._count:
            self._zero.set()

    async def wait_zero(self) -> None:
        await self._zero.wait()


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Passes calls to their servicers, and responses and errors back to the callers.

    Args:
        authenticator: verifies tokens.
        methods: the methods of the contract by their paths; calls of others are refused.
        request_ids: serves requests that have an id.
        gate: knows the profiles of the host's policy.
        redactor: leaves out of responses what their callers may not read.
        auditor: writes what is changed to the audit log.
        timing: durations.
        user_limiter: limits what each user has under way.
        public_reflection: whether reflection needs no token from other hosts either.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        methods: Mapping[str, Method],
        request_ids: RequestIds,
        gate: PolicyGate,
        redactor: Redactor,
        auditor: CallAuditor,
        timing: RpcTiming = RpcTiming(),
        *,
        user_limiter: UserLimiter | None = None,
        public_reflection: bool = False,
    ) -> None:
        self._user_limiter = user_limiter or UserLimiter()
        self._methods = methods
        self._request_ids = request_ids
        self._redactor = redactor
        self._auditor = auditor
        self._timing = timing
        self._authorizer = Authorizer(authenticator, gate, public_reflection=public_reflection)
        self._streams = StreamHandlers(self._authorizer, timing.public_stream_lifetime)
        self._access = AccessLog(authenticator.client_address, timing)
        # Two limiters, so that callers without a token delay none of those who have one.
        self._public_limiter = ReadLimiter(most_waiting=128, timing=timing)
        self._limiter = ReadLimiter(timing=timing)
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self._calls = _CallCounter()
        self._watches = _CallCounter()

    def close(self) -> None:
        """Refuse new calls."""
        self._authorizer.close()

    async def drained(self) -> None:
        """Wait until no call is in flight. `Server.stop` does not wait for all of them.

        Watches have been told to end. They are not waited for long: their callers may not read.
        """
        await self._calls.wait_zero()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._watches.wait_zero(), self._timing.watch_grace)

    def write_log(self) -> None:
        """Write the rest of the access log: no call is in flight any more."""
        self._access.write()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the handler of a method, which is made at the method's first call."""
        path = handler_call_details.method
        handler = self._handlers.get(path)
        if handler is None:
            servicer = await continuation(handler_call_details)
            if servicer is None:
                return None
            method = self._methods.get(path) or Method(path)
            handler = self._handlers[path] = self._handler(method, servicer)
        return handler

    def _handler(self, method: Method, servicer: Any) -> "grpc.RpcMethodHandler[Any, Any]":
        """Return a handler of a method's calls around the servicer's own handler."""
        handle = self._handle_standard if method.standard else self._handle
        serialize = _unless_encoded(servicer.response_serializer)
        serve = self._serving(method, servicer, serialize)

        async def call(_messages: object, context: _Context) -> Any:
            return await handle(method, serve, context)

        if servicer.unary_unary is not None:
            return grpc.stream_unary_rpc_method_handler(call)
        return grpc.stream_stream_rpc_method_handler(call, None, serialize)

    def _serving(self, method: Method, servicer: Any, serialize: Callable[[Any], bytes]) -> _Serve:
        """Return what reads the request of a call and passes it to the servicer.

        The one answer of a unary call is returned as bytes.
        """
        public = method.access.public
        reader = RequestReader(
            method.request,
            method.max_request_bytes,
            alone=method.changes and not method.takes_stream,
            timeout=self._timing.read_timeout,
            limiter=self._public_limiter if public else self._limiter,
            sender=self._authorizer.client_address if public else _username,
        )
        if method.takes_stream and not method.standard:
            return self._serving_stream(method, servicer.stream_stream, reader)
        if servicer.stream_stream is not None:
            both = self._auditor.stream(method, servicer.stream_stream)
            write = self._streams.writer(method, both)
            return lambda context: write(reader.each(context), context)
        unary = servicer.unary_unary and self._auditor.unary(method, servicer.unary_unary)
        stream = servicer.unary_stream and self._auditor.stream(method, servicer.unary_stream)
        if not method.standard:
            unary = unary and self._redactor.unary(method, unary)
            stream = stream and self._redactor.stream(method, stream)
        if method.journalled:
            unary = unary and self._request_ids.unary(method, unary)
            stream = stream and self._request_ids.stream(method, stream)
        serve = unary or self._streams.writer(method, stream)
        encode = serialize if unary else _as_it_is

        async def read_and_serve(context: _Context) -> Any:
            message = await reader.read(context)
            if not public:
                # The token may have ended since: a caller may take its time to send a message.
                await self._authorizer.check_again()
                # Calls that began together wait here while the first ones are answered.
                self._user_limiter.check_room(caller.current().user_id, _read_method(method))
            if not method.waits and not method.is_inside:
                return encode(await serve(message, context))
            # What works may outlive the token, as every authorized call may; a wait is begun anew.
            async with self._authorizer.while_valid(expires=method.waits):
                return encode(await serve(message, context))

        return read_and_serve

    def _serving_stream(self, method: Method, serve: Any, reader: RequestReader) -> _Serve:
        """Return what serves a call with a stream of requests; see `RequestStream`."""
        audited = self._auditor.unary(method, serve)

        async def read_and_serve(context: _Context) -> None:
            first = await reader.read(context)
            await self._authorizer.check_again()
            user_id = caller.current().user_id
            with self._user_limiter.stream(user_id):
                async with self._authorizer.while_valid(expires=True) as lease:

                    async def renew(token: str) -> None:
                        lease.renew((await self._authorizer.renewal(method, token)).claims)

                    read = partial(reader.next, context)
                    pace = partial(self._user_limiter.pace, user_id)
                    stream = RequestStream(first, read, renew, context, pace)
                    await audited(stream, context)

        return read_and_serve

    async def _handle(self, method: Method, serve: _Serve, context: _Context) -> Any:
        """Handle a call: authorize, serve within the deadline, log, and report an error."""
        metadata = headers(context)
        correlation_id = _correlation_id(header(metadata, "x-correlation-id"))
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id)
        started = time.perf_counter()
        # Read now: gRPC frees the context of a cancelled stream before the stream is cancelled
        # here, and would read freed memory later.
        peer = context.peer()
        self._auditor.enter(method, correlation_id, peer)
        code, reason = "OK", ""
        # What streams out of a resource ends with the daemon, and its caller may not read.
        endless = method.endless or method.takes_stream or (method.is_inside and method.streams)
        calls = self._watches if endless or method.waits else self._calls
        expires = math.inf
        calls.increment()
        try:
            await self._authorizer.authorize(method, context)
            counted = partial(_counted, self._limited(method))
            remaining: float | None = context.time_remaining()
            if remaining is not None:
                expires = time.perf_counter() + remaining * (1 - _DEADLINE_ROUNDING)
            # No name here refers to the answer: one that is refused is freed before the caller,
            # who may take long, has been told.
            if remaining is None or endless:
                # A watch has no effect that could come later: gRPC ends it at the deadline.
                return counted(await serve(context))
            async with deadline(remaining, self._timing.deadline_margin):
                return counted(await serve(context))
        except ProaError as error:
            status = to_status(error, correlation_id)
            code, reason = status.code.name, error.reason
            self._auditor.refused(method, error, correlation_id, peer)
            _drop_traceback(error)
        except RepeatedFailure as error:
            status = repeated_status(error.failure, correlation_id)
            code = status.code.name
            _drop_traceback(error)
        except asyncio.CancelledError:
            expired = time.perf_counter() > expires - _CLOCK_SKEW
            code = "DEADLINE_EXCEEDED" if expired else "CANCELLED"
            raise
        except grpc.aio.InternalError:
            # An answer could not be sent: the connection is gone, which gRPC tells a moment later.
            code = "CANCELLED"
            raise asyncio.CancelledError from None
        except Exception:  # noqa: BLE001 - the log has all of it, the caller a correlation id
            _log.exception("fault", method=method.path)
            status = internal_status(correlation_id)
            code, reason = status.code.name, "INTERNAL"
        finally:
            calls.decrement()
            self._access.note(
                method=method.path,
                code=code,
                reason=reason or None,
                ms=round((time.perf_counter() - started) * 1000, 2),
                subject=caller.name(),
                peer=peer,
                forwarded=forwarded(metadata),
                correlation_id=correlation_id,
            )
        await _abort(context, status)
        return None

    def _limited(self, method: Method) -> LimitedCall | None:
        """Count a call for its user until gRPC has sent the answer; None for a public one."""
        if method.access.public:
            return None  # limited by address
        limited = self._user_limiter.begin(caller.current().user_id, _read_method(method))
        # The task of a call ends when its answer was sent. A callback of the context's own would be
        # a reference cycle, which keeps what gRPC has of the call until garbage is collected.
        if (task := asyncio.current_task()) is not None:  # gRPC handles each call in one
            task.add_done_callback(lambda _task: limited.end())
        return limited

    async def _handle_standard(self, method: Method, serve: _Serve, context: _Context) -> Any:
        """Handle a call of health, or of reflection: also at shutdown."""
        correlation_id = _correlation_id(None)
        try:
            if method.reflection:
                await self._authorizer.authorize_reflection(context)
            return await serve(context)
        except ProaError as error:
            status = to_status(error, correlation_id)
        except grpc.aio.AbortError as error:  # of the servicer itself
            _drop_traceback(error)
            return None
        except grpc.aio.InternalError:
            raise asyncio.CancelledError from None  # as in _handle
        except Exception:  # noqa: BLE001 - as in _handle
            _log.exception("fault", method=method.path, correlation_id=correlation_id)
            status = internal_status(correlation_id)
        await _abort(context, status)
        return None


def _username(_context: _Context) -> str:
    return caller.current().username


async def _abort(context: _Context, status: grpc.Status) -> None:
    """End a call with an error."""
    try:
        await context.abort(status.code, status.details, status.trailing_metadata)
    except grpc.aio.AbortError as error:
        _drop_traceback(error)  # gRPC keeps this exception as long as the call


def _drop_traceback(error: BaseException) -> None:
    """Remove the frames from an error that is kept, or that one of its frames keeps.

    The frames keep the call and its request until the garbage collector runs; without them,
    both are freed with the call.
    """
    before: BaseException | None = error
    while before is not None:
        before.__traceback__ = None
        before = before.__context__


def _correlation_id(own: str | None) -> str:
    """Return the caller's own id, by which both logs can be compared, or a new one."""
    if own is not None and re.fullmatch(r"[A-Za-z0-9._-]{1,64}", own):
        return own
    return f"{random.getrandbits(128):032x}"


def _read_method(method: Method) -> str:
    """Return the method of a call that only reads; empty: the call changes something."""
    return "" if method.changes else method.path


def _counted(call: LimitedCall | None, answer: Any) -> Any:
    """Return the answer of a call, counted for its user; None is that of a stream."""
    if call is not None and answer is not None:
        call.answer(len(answer))
    return answer


def _as_it_is(answer: Any) -> Any:
    return answer


def _unless_encoded(serialize: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Return a serializer that leaves bytes as they are: some servicers encode themselves."""
    return lambda response: response if type(response) is bytes else serialize(response)

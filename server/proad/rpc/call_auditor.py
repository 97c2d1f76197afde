"""Calls in the audit log: an intent before anything is changed, and what became of it.

The lines have ids and names, never anything else of a request or a response.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from proad.audit import AuditCall, AuditedCall, AuditLog, CallOutcome
from proad.core.actor import current_subject
from proad.core.requests import (
    RequestKey,
    RequestRecord,
    is_only_checked,
    witness_by,
)
from proad.core.shielded_tasks import tell_left
from proad.errors import (
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
    ScopeMissingError,
    redacted,
)
from proad.model import AuditEntry, Intent, RequestState
from proad.ports.requests import RequestRecords
from proad.rpc.answers import path_in
from proad.rpc.methods import Method
from proad.rpc.request_stream import RequestStream
from proad.rpc.status import code_of

Unary = Callable[[Any, Any], Awaitable[Any]]
Stream = Callable[[Any, Any], AsyncIterator[Any]]

# Methods that free room, or end or withdraw something, begin so: they work on a full disk, too.
_FREEING = ("Delete", "Prune", "Stop", "Cancel", "Revoke")
# The fields by which requests name what they are about.
_TARGETS = ("id", "image", "registry")
_LONGEST = 512


@dataclass(slots=True)
class _Origin:
    """Where a call came from.

    Attributes:
        correlation_id: id of the call in the daemon's log.
        peer: as gRPC writes it.
        written: whether the audit log has a line of the call.
    """

    correlation_id: str
    peer: str
    written: bool = False


_origin: ContextVar[_Origin] = ContextVar("origin")


class CallAuditor:
    """Writes calls to the audit log.

    Args:
        log: the log.
        records: the records of requests with an id.
    """

    def __init__(self, log: AuditLog, records: RequestRecords) -> None:
        self._log = log
        self._records = records

    def enter(self, method: Method, correlation_id: str, peer: str) -> None:
        """Note where the current call came from."""
        if method.changes:
            _origin.set(_Origin(correlation_id, peer))

    def refused(self, method: Method, error: ProaError, correlation_id: str, peer: str) -> None:
        """Write that a call was denied for want of a scope, or count one of a stranger."""
        origin = _origin.get(None) or _Origin(correlation_id, peer)
        subject = current_subject()
        if subject is None:
            self._log.count(error.reason)
        elif isinstance(error, ScopeMissingError) and not origin.written:
            self._log.deny(_call(method, None, origin), _failure(error))

    def unary(self, method: Method, serve: Unary) -> Unary:
        """Return a function that serves the calls of a method with one response."""
        if not method.changes:
            return serve
        if method.access.public:
            return self._introduced(method, serve)

        async def audited(message: Any, context: Any) -> Any:
            if is_only_checked():
                return await serve(message, context)
            with self._begun(method, message) as record:
                if not method.journalled:
                    await record.written()
                counted = (
                    _Counted(context, record) if method.streams and method.is_inside else context
                )
                record.response = await serve(message, counted)
                await record.written()
                return record.response

        return audited

    def stream(self, method: Method, serve: Stream) -> Stream:
        """Return a function that serves the calls of a method with a stream of responses."""
        if not method.changes:
            return serve
        if inspect.iscoroutinefunction(serve):  # it writes the responses itself
            writes: Any = self.unary(method, serve)
            return writes  # type: ignore[no-any-return] # as the servicer's own

        async def audited(message: Any, context: Any) -> AsyncIterator[Any]:
            if is_only_checked():
                async with aclosing(serve(message, context)) as responses:  # type: ignore[type-var]
                    async for response in responses:
                        yield response
                return
            with self._begun(method, message) as record:
                if not method.journalled:
                    await record.written()
                async with aclosing(serve(message, context)) as responses:  # type: ignore[type-var]
                    async for response in responses:
                        yield response

        return audited

    async def known(self, entry: AuditEntry) -> CallOutcome | None:
        """Return what became of a call that was interrupted; None: nobody knows, or not yet.

        Raises:
            DatabaseUnreachableError: the records cannot be read.
        """
        if not entry.request_id:
            return None
        record = await self._records.get(RequestKey(entry.user_id, entry.request_id))
        return None if record is None else _outcome(record)

    def settle(self, record: RequestRecord) -> None:
        """Write what became of a request whose effect was not known before."""
        if (outcome := _outcome(record)) is not None:
            self._log.settle(record.key.user_id, record.key.id, outcome)

    def _begun(self, method: Method, message: Any) -> "_Record":
        origin = _origin.get()
        origin.written = True
        freeing = method.path.rpartition("/")[2].startswith(_FREEING)
        stream = message if isinstance(message, RequestStream) else None
        call = _call(method, stream.target if stream else message, origin)
        return _Record(method, call, partial(self._log.begin, of_reserve=freeing), stream)

    def _introduced(self, method: Method, serve: Unary) -> Unary:
        """Return a function that serves calls without a token.

        Who calls is known once the call has succeeded, so far as its effect is the response: that
        is held back until the line is on disk. A failure is counted by `refused`.
        """

        async def audited(message: Any, context: Any) -> Any:
            response = await serve(message, context)
            with self._begun(method, None) as record:
                await record.written()
            return response

        return audited


class _Record:
    """The block in which a call is served: it writes what became of the call.

    The intent goes to disk while the call is looked at. A method with a journal announces what it is
    about to change, and waits for the disk there; any other waits before its servicer runs.

    Args:
        method: the method.
        call: the call.
        begin: writes the intent of a call, or of a part of it.
        stream: the call's stream of requests; None: it has one request.

    Attributes:
        response: the one response.
        sent: bytes of a stream of responses out of a resource.
    """

    def __init__(
        self,
        method: Method,
        call: AuditCall,
        begin: Callable[[AuditCall], AuditedCall],
        stream: RequestStream | None = None,
    ) -> None:
        self._stream = stream
        self._begin = begin
        self._method = method
        self._told = call
        self._call = begin(call)
        self._path = ""
        self._left: asyncio.Task[Any] | None = None
        self.response: Any = None
        self.sent = 0

    def __enter__(self) -> Self:
        witness_by(self)
        tell_left(self._on_left)
        return self

    async def written(self) -> None:
        """Wait until the intent is on disk; see `AuditedCall.on_disk`."""
        await self._call.on_disk()

    def hear(self, intent: Intent) -> None:
        """Note what the call is about to change."""
        self._path = intent.path

    @asynccontextmanager
    async def part(self, intent: Intent) -> AsyncIterator[None]:
        """Write one change of a call that changes several resources, as lines of its own."""
        # Its own outcome is not in the journal, which knows the request as a whole.
        line = self._begin(replace(self._told, target=intent.id, request_id=""))
        await line.on_disk()
        try:
            yield
        except ProaError as error:
            line.end(_failure(error, intent.path))
            raise
        except BaseException:
            line.end(CallOutcome(path=intent.path))  # nobody knows
            raise
        line.end(CallOutcome(code="OK", path=intent.path))

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, asyncio.CancelledError | GeneratorExit) and self._left is not None:
            self._left.add_done_callback(self._ended)  # it goes to its end alone
        else:
            self._end(error)
        # The context of the task leads to this record: it must not lead back to the task.
        self._left = None

    def _on_left(self, task: "asyncio.Task[Any]") -> None:
        self._left = task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._end(asyncio.CancelledError() if task.cancelled() else task.exception())

    def _end(self, error: BaseException | None) -> None:
        outcome = self._outcome(error)
        if self._stream is not None:
            outcome = replace(
                outcome, received_bytes=self._stream.received, sent_bytes=self._stream.sent
            )
        elif self.sent:
            outcome = replace(outcome, sent_bytes=self.sent)
        unknown = isinstance(error, EngineTimedOutError | EngineUnreachableError)
        self._call.end(outcome, open=unknown or outcome.code == "INTERNAL")

    def _outcome(self, error: BaseException | None) -> CallOutcome:
        match error:
            case None:
                path = self._path or path_in(self._method, self.response)
                return CallOutcome(code="OK", path=path)
            case ProaError():
                return _failure(error, self._path)
            case asyncio.CancelledError() | GeneratorExit():
                return CallOutcome(code="CANCELLED", path=self._path)
            case _:
                return CallOutcome(code="INTERNAL", reason="INTERNAL", path=self._path)


class _Counted:
    """The context of a call that writes its responses itself, which counts their bytes.

    Args:
        context: the context.
        record: of the call.
    """

    def __init__(self, context: Any, record: _Record) -> None:
        self._context = context
        self._record = record

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, response: Any) -> None:
        """Write a response."""
        self._record.sent += len(response) if isinstance(response, bytes) else response.ByteSize()
        await self._context.write(response)


def _outcome(record: RequestRecord) -> CallOutcome | None:
    """Return what a record tells of a call; None: it has not ended."""
    match record.state:
        case RequestState.SUCCEEDED:
            return CallOutcome(code="OK", path=record.path)
        case RequestState.FAILED:
            status = status_pb2.Status.FromString(record.answer)
            info = error_details_pb2.ErrorInfo()
            for detail in status.details:
                detail.Unpack(info)
            return CallOutcome(
                code=code_pb2.Code.Name(status.code),
                reason=info.reason,
                rule=info.metadata.get("rule", ""),
                path=record.path,
            )
        case _:
            return None


def _failure(error: ProaError, path: str = "") -> CallOutcome:
    return CallOutcome(
        code=code_pb2.Code.Name(code_of(error)),
        reason=error.reason,
        rule=error.metadata.get("rule", ""),
        path=path or error.metadata.get("path", ""),
    )


def _call(method: Method, message: Any, origin: _Origin) -> AuditCall:
    subject = current_subject()
    return AuditCall(
        method_name=method.path,
        username=subject.username if subject else "",
        user_id=subject.user_id if subject else "",
        team_id=subject.team_id if subject else "",
        token_id=subject.token_id if subject else "",
        peer=origin.peer,
        target=_named(_target(method, message)),
        snapshot=_named(_snapshot(message)),
        request_id=message.request_id if method.journalled and message is not None else "",
        correlation_id=origin.correlation_id,
    )


def _target(method: Method, message: Any) -> str:
    """Return what a request is about, as it names that."""
    if not isinstance(message, Message):
        return ""
    named: Any = message
    fields: Any = named.DESCRIPTOR.fields_by_name
    for name in _TARGETS:
        if name in fields:
            return str(getattr(named, name))
    if "spec" in fields:
        named, fields = named.spec, named.spec.DESCRIPTOR.fields_by_name
    if "name" not in fields:
        # That of another call, since a method without a journal has none of its own.
        other = "request_id" in fields and not method.journalled
        return str(named.request_id) if other else ""
    return f"{named.pool}/{named.name}" if "pool" in fields else str(named.name)


def _snapshot(message: Any) -> str:
    """Return the snapshot that a request is about."""
    if not isinstance(message, Message):
        return ""
    named: Any = message
    fields = named.DESCRIPTOR.fields_by_name
    return str(named.name) if "id" in fields and "name" in fields else ""


def _named(text: str) -> str:
    return redacted(text[:_LONGEST]).replace("\0", "\N{REPLACEMENT CHARACTER}")

"""Errors of calls, as exceptions that a caller can switch on.

    try:
        client.resources.StopResource(v1.StopResourceRequest(id="web"))
    except proa.NotFound:
        ...                                   # by the kind of failure
    except proa.Error as error:
        if error.reason != "RESOURCE_NOT_RUNNING":
            raise                             # by the exact reason

The class follows the status code; the reason is the name of a value of `proa.v1.ErrorReason`
without its prefix. For code that knows gRPC alone, every error of both clients is a
`grpc.RpcError` and a `grpc.aio.AioRpcError`, with `code()`, `details()` and the metadata.
"""
# ruff: noqa: N818 - named as gRPC and the contract name them: NotFound, not NotFoundError

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

DOMAIN = "proa.dev"
"""The domain of every ErrorInfo of a proad."""


@dataclass(frozen=True)
class Violation:
    """An invalid field of the request.

    Attributes:
        field: path of the field, such as "spec.memory_bytes".
        description: what is wrong, for people.
    """

    field: str
    description: str


@dataclass(frozen=True)
class Details:
    """The parts of a status beside its code; each may be empty."""

    message: str = ""
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after: timedelta | None = None
    violations: tuple[Violation, ...] = ()
    correlation_id: str = ""
    trailing_metadata: tuple[tuple[str, str | bytes], ...] = ()


class Error(aio.AioRpcError):
    """A failed call; the base class of all errors of calls.

    As a `grpc.RpcError` it has `code()`, `details()`, which is the message, and
    `trailing_metadata()`; `initial_metadata()` and `debug_error_string()` are empty. Of gRPC's
    own classes, the one for asyncio can be constructed with values, so that it is the base
    for both clients.

    Attributes:
        reason: name of a value of `proa.v1.ErrorReason` without its prefix, such as
            "RESOURCE_NOT_FOUND"; empty for a failure of the transport.
        message: what happened and what to do about it, for people.
        metadata: values for programs, by reason: the id, the state, the missing scope, …
        retry_after: when the same call may succeed, if the daemon says so.
        violations: the invalid fields of the request.
        correlation_id: the id of the call in the daemon's log; may be empty.
    """

    def __init__(self, code: grpc.StatusCode, details: Details) -> None:
        # Everything comes from `details`: for a cancelled call, gRPC itself has metadata only
        # once the server has answered.
        trailing = aio.Metadata(*details.trailing_metadata)
        super().__init__(code, aio.Metadata(), trailing, details.message, "")
        self._given = details
        self.reason = details.reason
        self.message = details.message
        self.metadata = dict(details.metadata)
        self.retry_after = details.retry_after
        self.violations = details.violations
        self.correlation_id = details.correlation_id

    def __str__(self) -> str:
        return f"{self.reason or self.code().name}: {self.message}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[type["Error"], tuple[grpc.StatusCode, Details]]:
        return type(self), (self.code(), self._given)


class Cancelled(Error):
    """The caller cancelled the call."""


class InvalidArgument(Error):
    """The request is invalid; `violations` names the fields. A repetition cannot succeed."""


class DeadlineExceeded(Error):
    """The deadline passed. Unless the reason says otherwise, the effect is unknown."""


class StopTimedOut(DeadlineExceeded):
    """The workload did not stop within the grace period; nothing was killed."""


class WaitTimedOut(DeadlineExceeded):
    """The timeout of `Client.wait` passed.

    `metadata` has "name", "path" and "state", unless the daemon did not answer.
    """


class NotFound(Error):
    """The resource, image, snapshot, volume or host of the request does not exist."""


class AlreadyExists(Error):
    """The name is taken."""


class PermissionDenied(Error):
    """The token lacks the scope, or the host's policy forbids it."""


class Unauthenticated(Error):
    """The token is not valid, or username or password are wrong."""


class ResourceExhausted(Error):
    """The host has no space left, or too many logins failed; see `retry_after`."""


class FailedPrecondition(Error):
    """The present state does not allow the call; something else has to be done first."""


class IllegalState(FailedPrecondition):
    """The verb is not legal in the state of the resource.

    `metadata` has "id", "name", "state", "verb" and, comma-separated, "allowed_verbs".
    """


class Aborted(Error):
    """Another call interfered; the same call may succeed if it is repeated."""


class OutOfRange(Error):
    """The requested position is no longer kept."""


class Unimplemented(Error):
    """The engine, or this daemon, lacks the capability."""


class Internal(Error):
    """A fault of the daemon; its log has details under `correlation_id`."""


class Unavailable(Error):
    """The daemon or an engine behind it does not answer; see `retry_after`."""


_BY_CODE: Mapping[grpc.StatusCode, type[Error]] = {
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
    grpc.StatusCode.INTERNAL: Internal,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
}

_BY_REASON: Mapping[str, type[Error]] = {
    "RESOURCE_NOT_RUNNING": IllegalState,
    "RESOURCE_ALREADY_RUNNING": IllegalState,
    "RESOURCE_RUNNING": IllegalState,
    "ILLEGAL_STATE": IllegalState,
    "STOP_TIMED_OUT": StopTimedOut,
    "WAIT_TIMED_OUT": WaitTimedOut,
}


class EndedCall(Protocol):
    """An ended call, synchronous or asyncio."""

    def code(self) -> grpc.StatusCode:
        """Return the status code."""

    def details(self) -> str | None:
        """Return the status message."""

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """Return the metadata of the status."""


def error_of(call: EndedCall) -> Error:
    """Return the typed exception of a failed call."""
    code = call.code()
    details = _details(call, code)
    kind = _BY_CODE.get(code, Error)
    exact = _BY_REASON.get(details.reason, kind)
    return (exact if issubclass(exact, kind) else kind)(code, details)


def error_of_status(status: status_pb2.Status) -> Error:
    """Return the typed exception of a status that came by another way than a call."""
    return error_of(_Answered(status))


@dataclass(frozen=True)
class _Answered:
    """A status as that of an ended call."""

    status: status_pb2.Status

    def code(self) -> grpc.StatusCode:
        return _CODES.get(self.status.code, grpc.StatusCode.UNKNOWN)

    def details(self) -> str:
        return str(self.status.message)

    def trailing_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return (("grpc-status-details-bin", self.status.SerializeToString()),)


_CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def _details(call: EndedCall, code: grpc.StatusCode) -> Details:
    trailing = tuple((key, value) for key, value in call.trailing_metadata() or ())
    plain = Details(
        message=call.details() or "",
        correlation_id=str(dict(trailing).get("x-correlation-id", "")),
        trailing_metadata=trailing,
    )
    status = _status(trailing)
    if (status.code, status.message) != (code.value[0], plain.message):
        return plain
    info = error_details_pb2.ErrorInfo()
    retry = error_details_pb2.RetryInfo()
    bad = error_details_pb2.BadRequest()
    request = error_details_pb2.RequestInfo()
    _unpack(status.details, info, retry, bad, request)
    ours = info.domain == DOMAIN
    return replace(
        plain,
        reason=info.reason if ours else "",
        metadata=dict(info.metadata) if ours else {},
        retry_after=retry.retry_delay.ToTimedelta() if retry.HasField("retry_delay") else None,
        violations=tuple(Violation(v.field, v.description) for v in bad.field_violations),
        correlation_id=request.request_id
        or info.metadata.get("correlation_id", "")
        or plain.correlation_id,
    )


def _status(trailing: Iterable[tuple[str, str | bytes]]) -> status_pb2.Status:
    """Return the status that the daemon sent with its details; an empty one if there is none."""
    for key, value in trailing:
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()


def _unpack(packed: Iterable[Message], *wanted: Message) -> None:
    for detail in packed:
        for message in wanted:
            if detail.Unpack(message):  # type: ignore[attr-defined] # each is an Any
                break

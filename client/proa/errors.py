"""Errors of calls, as exceptions that a caller can switch on.

    try:
        client.resources.StopResource(v1.StopResourceRequest(id="web"))
    except proa.NotFound:
        ...                                   # by what kind of failure it is
    except proa.Error as error:
        if error.reason != "RESOURCE_NOT_RUNNING":
            raise                             # by the exact reason

The class follows the status code; the reason is the name of a value of
`proa.v1.ErrorReason`, without its prefix. Code that knows gRPC alone finds what it expects:
an error is a `grpc.RpcError`, from both clients also a `grpc.aio.AioRpcError`, with `code()`,
`details()` and the metadata.
"""
# ruff: noqa: N818 - named as gRPC and the contract name them: NotFound, not NotFoundError

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2
from grpc import aio
from grpc_status import rpc_status

DOMAIN = "proa.v1"
"""The domain of every ErrorInfo that a proad sends."""


@dataclass(frozen=True)
class Violation:
    """What is wrong with one field of the request.

    Attributes:
        field: path of the field, such as "spec.memory_bytes".
        description: what is wrong with it, for people.
    """

    field: str
    description: str


@dataclass(frozen=True)
class Details:
    """What a status carries beside its code; every part may be empty."""

    message: str = ""
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after: timedelta | None = None
    violations: tuple[Violation, ...] = ()
    request_id: str = ""
    trailing_metadata: tuple[tuple[str, str | bytes], ...] = ()


class Error(aio.AioRpcError):
    """A call failed. The root of everything that a call raises.

    As every `grpc.RpcError` it tells `code()`, `details()`, which is the message, and
    `trailing_metadata()`; `initial_metadata()` and `debug_error_string()` are empty. gRPC's
    own class for asyncio is the one whose methods give values, so it is the base for both
    clients.

    Attributes:
        reason: name of a value of `proa.v1.ErrorReason` without its prefix, such as
            "RESOURCE_NOT_FOUND"; empty if not the daemon but the transport failed.
        message: for people: what happened and what to do about it.
        metadata: for programs, by reason: the id, the state, the missing scope, …
        retry_after: when the same call may succeed, if the daemon says so.
        violations: the fields of the request that are wrong.
        request_id: what the daemon's log has more under; may be empty.
    """

    def __init__(self, code: grpc.StatusCode, details: Details) -> None:
        # Of a call that was cancelled gRPC gives the rest only when the server has answered.
        trailing = aio.Metadata(*details.trailing_metadata)
        super().__init__(code, aio.Metadata(), trailing, details.message, "")
        self._given = details
        self.reason = details.reason
        self.message = details.message
        self.metadata = dict(details.metadata)
        self.retry_after = details.retry_after
        self.violations = details.violations
        self.request_id = details.request_id

    def __str__(self) -> str:
        return f"{self.reason or self.code().name}: {self.message}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[type["Error"], tuple[grpc.StatusCode, Details]]:
        return type(self), (self.code(), self._given)


class Cancelled(Error):
    """The caller ended the call itself."""


class InvalidArgument(Error):
    """The request is wrong; `violations` names the fields. Repeating it is no use."""


class DeadlineExceeded(Error):
    """It took too long. Unless the reason says otherwise, the effect is unknown."""


class StopTimedOut(DeadlineExceeded):
    """A graceful request was not followed in time; nothing was killed."""


class WaitTimedOut(DeadlineExceeded):
    """What `Client.wait` waits for did not come in time.

    `metadata` has "resource" and, if it was there, "name" and "state".
    """


class NotFound(Error):
    """The resource, image, snapshot, volume or host that the request names is not there."""


class AlreadyExists(Error):
    """The name is taken."""


class PermissionDenied(Error):
    """The token lacks the scope, or the host's policy forbids it."""


class Unauthenticated(Error):
    """No valid token, or user name and password are wrong."""


class ResourceExhausted(Error):
    """No room left on the host, or too many failed logins; see `retry_after`."""


class FailedPrecondition(Error):
    """It cannot be done as things are; something else has to be done first."""


class IllegalState(FailedPrecondition):
    """The verb is not legal in the state of the resource.

    `metadata` has "id", "name", "state", "verb" and, by commas, "allowed_verbs".
    """


class Aborted(Error):
    """Somebody else was faster; the same call may succeed if it is made again."""


class OutOfRange(Error):
    """What is asked for is not kept any more."""


class Unimplemented(Error):
    """The engine, or this daemon, cannot do it."""


class Internal(Error):
    """A fault of the daemon; its log has more under `request_id`."""


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
}


class EndedCall(Protocol):
    """What an ended call tells, synchronous or asyncio."""

    def code(self) -> grpc.StatusCode:
        """The status code."""

    def details(self) -> str | None:
        """The status text."""

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """What the server sent with the status."""


def error_of(call: EndedCall) -> Error:
    """Make the typed exception of a call that failed."""
    code, details = call.code(), _details(call)
    kind = _BY_CODE.get(code, Error)
    exact = _BY_REASON.get(details.reason, kind)
    return (exact if issubclass(exact, kind) else kind)(code, details)


def _details(call: EndedCall) -> Details:
    trailing = tuple((key, value) for key, value in call.trailing_metadata() or ())
    told = Details(
        message=call.details() or "",
        request_id=str(dict(trailing).get("x-request-id", "")),
        trailing_metadata=trailing,
    )
    try:
        status = rpc_status.from_call(call)  # type: ignore[arg-type] # reads those three alone
    except (DecodeError, ValueError):
        # A proxy in between may have put its own status over the daemon's: the
        # code and the text are then all there is to know.
        status = None
    if status is None:
        return told
    info = error_details_pb2.ErrorInfo()
    retry = error_details_pb2.RetryInfo()
    bad = error_details_pb2.BadRequest()
    asked = error_details_pb2.RequestInfo()
    _unpack(status.details, info, retry, bad, asked)
    ours = info.domain == DOMAIN
    return replace(
        told,
        reason=info.reason if ours else "",
        metadata=dict(info.metadata) if ours else {},
        retry_after=retry.retry_delay.ToTimedelta() if retry.HasField("retry_delay") else None,
        violations=tuple(Violation(v.field, v.description) for v in bad.field_violations),
        request_id=asked.request_id or info.metadata.get("request_id", "") or told.request_id,
    )


def _unpack(packed: Iterable[Message], *wanted: Message) -> None:
    for detail in packed:
        for message in wanted:
            if detail.Unpack(message):  # type: ignore[attr-defined] # each is an Any
                break

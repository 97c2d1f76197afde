"""From a domain error to a gRPC status with google.rpc details."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from proad.core.tenancy import current_visibility
from proad.errors import (
    InvalidArgumentError,
    NotFoundError,
    PolicyDeniedError,
    ProaError,
    QuotaExceededError,
    Reason,
    StateError,
    remedy,
)

ERROR_DOMAIN = "proa.dev"

CODES: Mapping[Reason, "code_pb2.Code.ValueType"] = MappingProxyType(
    {
        Reason.RESOURCE_NOT_FOUND: code_pb2.NOT_FOUND,
        Reason.IMAGE_NOT_FOUND: code_pb2.NOT_FOUND,
        Reason.SNAPSHOT_NOT_FOUND: code_pb2.NOT_FOUND,
        Reason.VOLUME_NOT_FOUND: code_pb2.NOT_FOUND,
        Reason.HOST_NOT_FOUND: code_pb2.NOT_FOUND,
        Reason.FILE_NOT_FOUND: code_pb2.NOT_FOUND,
        Reason.INVALID_ARGUMENT: code_pb2.INVALID_ARGUMENT,
        Reason.AMBIGUOUS_ID: code_pb2.FAILED_PRECONDITION,
        Reason.PAGE_TOKEN_INVALID: code_pb2.INVALID_ARGUMENT,
        Reason.ALREADY_EXISTS: code_pb2.ALREADY_EXISTS,
        Reason.ENGINE_CONFLICT: code_pb2.FAILED_PRECONDITION,
        Reason.ENGINE_UNREACHABLE: code_pb2.UNAVAILABLE,
        Reason.ENGINE_TIMED_OUT: code_pb2.DEADLINE_EXCEEDED,
        Reason.STOP_TIMED_OUT: code_pb2.DEADLINE_EXCEEDED,
        Reason.CAPABILITY_MISSING: code_pb2.UNIMPLEMENTED,
        Reason.RESOURCE_NOT_RUNNING: code_pb2.FAILED_PRECONDITION,
        Reason.RESOURCE_ALREADY_RUNNING: code_pb2.FAILED_PRECONDITION,
        Reason.RESOURCE_RUNNING: code_pb2.FAILED_PRECONDITION,
        Reason.ILLEGAL_STATE: code_pb2.FAILED_PRECONDITION,
        Reason.HAS_SNAPSHOTS: code_pb2.FAILED_PRECONDITION,
        Reason.HAS_SAVED_STATE: code_pb2.FAILED_PRECONDITION,
        Reason.IN_USE: code_pb2.FAILED_PRECONDITION,
        Reason.ACTIVITY_IN_PROGRESS: code_pb2.ABORTED,
        Reason.ETAG_MISMATCH: code_pb2.ABORTED,
        Reason.REVISION_COMPACTED: code_pb2.OUT_OF_RANGE,
        Reason.TOKEN_MISSING: code_pb2.UNAUTHENTICATED,
        Reason.TOKEN_INVALID: code_pb2.UNAUTHENTICATED,
        Reason.TOKEN_EXPIRED: code_pb2.UNAUTHENTICATED,
        Reason.TOKEN_REVOKED: code_pb2.UNAUTHENTICATED,
        Reason.BAD_CREDENTIALS: code_pb2.UNAUTHENTICATED,
        Reason.TOO_MANY_ATTEMPTS: code_pb2.RESOURCE_EXHAUSTED,
        Reason.SCOPE_MISSING: code_pb2.PERMISSION_DENIED,
        Reason.POLICY_DENIED: code_pb2.PERMISSION_DENIED,
        Reason.REGISTRY_DENIED: code_pb2.FAILED_PRECONDITION,
        Reason.INTERNAL: code_pb2.INTERNAL,
        Reason.HOST_EXHAUSTED: code_pb2.RESOURCE_EXHAUSTED,
        Reason.SHUTTING_DOWN: code_pb2.UNAVAILABLE,
        Reason.TOO_MANY_STREAMS: code_pb2.RESOURCE_EXHAUSTED,
        Reason.DATABASE_UNREACHABLE: code_pb2.UNAVAILABLE,
        Reason.REGISTRY_UNREACHABLE: code_pb2.UNAVAILABLE,
        Reason.DELETION_PROTECTED: code_pb2.FAILED_PRECONDITION,
        Reason.SPEC_INCOMPLETE: code_pb2.FAILED_PRECONDITION,
        Reason.INTERRUPTED: code_pb2.ABORTED,
        Reason.REQUEST_NOT_FOUND: code_pb2.NOT_FOUND,
        Reason.REQUEST_CANCELLED: code_pb2.CANCELLED,
        Reason.TOO_MANY_REQUESTS: code_pb2.RESOURCE_EXHAUSTED,
        Reason.CONDITION_IMPOSSIBLE: code_pb2.FAILED_PRECONDITION,
        Reason.WAIT_TIMED_OUT: code_pb2.DEADLINE_EXCEEDED,
        Reason.AUDIT_UNAVAILABLE: code_pb2.UNAVAILABLE,
        Reason.TOO_MANY_CALLS: code_pb2.RESOURCE_EXHAUSTED,
        Reason.QUOTA_EXCEEDED: code_pb2.RESOURCE_EXHAUSTED,
        Reason.ACCESS_MISSING: code_pb2.PERMISSION_DENIED,
        Reason.CONNECTION_FAILED: code_pb2.UNAVAILABLE,
        Reason.CONSOLE_TAKEN: code_pb2.ABORTED,
        Reason.READER_TOO_SLOW: code_pb2.RESOURCE_EXHAUSTED,
    }
)


# A status is sent in HTTP/2 trailers, of which clients take 8 KiB by default, and its text is
# there twice: percent-encoded, and inside the details. A long text of a caller or an engine
# must not make the error undeliverable. Numbers of bytes:
_MESSAGE = 800
_VALUE = 400
_VIOLATION = 150
_MOST_VIOLATIONS = 8


# gRPC clients that retry UNAVAILABLE by themselves do not retry these: each attempt may take the
# engine half a minute. RetryInfo says when the caller may retry.
_SLOW_TO_FAIL = frozenset({Reason.REGISTRY_UNREACHABLE})
_NOT_AT_ONCE = (("grpc-retry-pushback-ms", "-1"),)


def _clip(text: str, most: int) -> str:
    encoded = text.encode(errors="replace")  # an engine's text may have lone surrogates
    if len(encoded) <= most:
        return encoded.decode()
    return encoded[: most - 3].decode(errors="ignore") + "…"


def code_of(error: ProaError) -> "code_pb2.Code.ValueType":
    """Return the canonical code of an error."""
    if error.reason is Reason.ENGINE_CONFLICT and error.retry_after is not None:
        return code_pb2.ABORTED  # a retry of the same call may succeed
    return CODES[error.reason]


def to_status(error: ProaError, correlation_id: str) -> grpc.Status:
    """Return the status of an error, with its details."""
    trailers = _NOT_AT_ONCE if error.reason in _SLOW_TO_FAIL else ()
    return _status(failure_of(error), correlation_id, trailers)


def repeated_status(failure: bytes, correlation_id: str) -> grpc.Status:
    """Return the status of a request that failed before, as `failure_of` made it then."""
    return _status(status_pb2.Status.FromString(failure), correlation_id, _NOT_AT_ONCE)


def failure_of(error: ProaError) -> status_pb2.Status:
    """Return an error with all its details but those of the call that it ended.

    A caller who may not see everything is told of nothing that may be somebody else's.
    """
    if current_visibility().is_restricted:
        others = tuple(each.concealed() for each in error.others)
        error = error.concealed()
        error.others = others
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=error.reason,
            domain=ERROR_DOMAIN,
            metadata={key: _clip(value, _VALUE) for key, value in error.metadata.items()},
        ),
    ]
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(error.retry_after)
        details.append(retry)
    match error:
        case InvalidArgumentError(violations=violations):
            details.append(
                error_details_pb2.BadRequest(
                    field_violations=[
                        error_details_pb2.BadRequest.FieldViolation(
                            field=_clip(v.field, _VIOLATION),
                            description=_clip(v.description, _VIOLATION),
                        )
                        for v in violations[:_MOST_VIOLATIONS]
                    ]
                )
            )
        case NotFoundError():
            details.append(
                error_details_pb2.ResourceInfo(
                    resource_type=error.resource_type,
                    resource_name=_clip(error.name, _VALUE),
                )
            )
        case QuotaExceededError():
            exceeded = error_details_pb2.QuotaFailure.Violation(
                subject=error.quota, description=_clip(error.message, _VALUE)
            )
            details.append(error_details_pb2.QuotaFailure(violations=[exceeded]))
        case _:
            pass
    if unmet := list(_unmet(error)):
        told = unmet[:_MOST_VIOLATIONS]
        details.append(error_details_pb2.PreconditionFailure(violations=told))
    message = "; besides, ".join([error.message, *(each.message for each in error.others)])
    return _failure(code_of(error), _clip(message, _MESSAGE), details)


def _unmet(error: ProaError) -> Iterator["error_details_pb2.PreconditionFailure.Violation"]:
    """Yield the preconditions that are not met; where there are several errors, those of each."""
    if error.others or isinstance(error, StateError | PolicyDeniedError):
        yield from _preconditions(error)
    for other in error.others:
        yield from _preconditions(other)


def _preconditions(
    error: ProaError,
) -> Iterator["error_details_pb2.PreconditionFailure.Violation"]:
    match error:
        case PolicyDeniedError(violations=violations):
            for each in violations:
                yield _precondition(each.rule, each.field, f"{remedy(each)}: {each.message}")
        case InvalidArgumentError():
            for one in error.violations:
                yield _precondition(error.reason, one.field, one.description)
        case StateError():
            yield _precondition(error.reason, error.name, error.message, _VALUE)
        case _:
            yield _precondition(error.reason, "", error.message)


def _precondition(
    type: str, subject: str, description: str, most: int = _VIOLATION
) -> "error_details_pb2.PreconditionFailure.Violation":
    return error_details_pb2.PreconditionFailure.Violation(
        type=_clip(type, most), subject=_clip(subject, most), description=_clip(description, most)
    )


def internal_status(correlation_id: str) -> grpc.Status:
    """Return the status of an unexpected exception. Only the log has the exception."""
    return _status(internal_failure(correlation_id), correlation_id)


def internal_failure(correlation_id: str) -> status_pb2.Status:
    """Return what a caller is told of an unexpected exception."""
    info = error_details_pb2.ErrorInfo(
        reason=Reason.INTERNAL, domain=ERROR_DOMAIN, metadata={"correlation_id": correlation_id}
    )
    message = f"a fault of the daemon; its log has more under correlation id {correlation_id}"
    return _failure(code_pb2.INTERNAL, message, [info])


def _failure(code: int, message: str, details: Iterable[Message]) -> status_pb2.Status:
    status = status_pb2.Status(code=code, message=message)
    for detail in details:
        status.details.add().Pack(detail)
    return status


def _status(
    failure: status_pb2.Status,
    correlation_id: str,
    trailers: tuple[tuple[str, str], ...] = (),
) -> grpc.Status:
    """Return a failure as the status of the call with a correlation id."""
    failure.details.add().Pack(error_details_pb2.RequestInfo(request_id=correlation_id))
    made: Any = rpc_status.to_status(failure)
    status: grpc.Status = made._replace(  # a named tuple
        trailing_metadata=(*made.trailing_metadata, *trailers)
    )
    return status

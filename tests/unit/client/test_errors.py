import pickle
from datetime import timedelta

import grpc
import pytest
from google.rpc import error_details_pb2

import proa
from proa import v1
from proa.errors import error_of
from proad.rpc.status import CODES

REASONS = [value.name.removeprefix("ERROR_REASON_") for value in v1.ErrorReason.DESCRIPTOR.values][
    1:
]

KINDS = {
    "INVALID_ARGUMENT": proa.InvalidArgument,
    "DEADLINE_EXCEEDED": proa.DeadlineExceeded,
    "CANCELLED": proa.Cancelled,
    "NOT_FOUND": proa.NotFound,
    "ALREADY_EXISTS": proa.AlreadyExists,
    "PERMISSION_DENIED": proa.PermissionDenied,
    "UNAUTHENTICATED": proa.Unauthenticated,
    "RESOURCE_EXHAUSTED": proa.ResourceExhausted,
    "FAILED_PRECONDITION": proa.FailedPrecondition,
    "ABORTED": proa.Aborted,
    "OUT_OF_RANGE": proa.OutOfRange,
    "UNIMPLEMENTED": proa.Unimplemented,
    "INTERNAL": proa.Internal,
    "UNAVAILABLE": proa.Unavailable,
}

EXACT = {
    "RESOURCE_NOT_RUNNING": proa.IllegalState,
    "RESOURCE_ALREADY_RUNNING": proa.IllegalState,
    "RESOURCE_RUNNING": proa.IllegalState,
    "ILLEGAL_STATE": proa.IllegalState,
    "STOP_TIMED_OUT": proa.StopTimedOut,
    "WAIT_TIMED_OUT": proa.WaitTimedOut,
}


class Ended:
    """A call that ended with a status."""

    def __init__(self, status):
        self.code = lambda: status.code
        self.details = lambda: status.details
        self.trailing_metadata = lambda: status.trailing_metadata


def code_named(number):
    return next(code for code in grpc.StatusCode if code.value[0] == number)


@pytest.mark.parametrize("reason", REASONS)
def test_error_of_maps_every_reason_to_its_class(reason, status):
    code = code_named(CODES[reason])  # the daemon's own table
    error = error_of(Ended(status(code, reason, "the text", key="value")))
    assert type(error) is EXACT.get(reason, KINDS[code.name])
    assert isinstance(error, KINDS[code.name])
    assert isinstance(error, proa.Error)
    assert isinstance(error, grpc.RpcError)
    assert error.code() is code
    assert error.reason == reason
    assert error.message == "the text"
    assert error.metadata == {"key": "value"}
    assert str(error) == f"{reason}: the text"


def test_error_survives_pickling(status):
    error = error_of(Ended(status(grpc.StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND", "x", a="b")))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is proa.NotFound
    assert vars(again) == vars(error)


def test_error_of_an_engine_conflict_follows_the_code(status):
    refused = status(grpc.StatusCode.FAILED_PRECONDITION, "ENGINE_CONFLICT")
    try_again = status(grpc.StatusCode.ABORTED, "ENGINE_CONFLICT")
    assert type(error_of(Ended(refused))) is proa.FailedPrecondition
    assert type(error_of(Ended(try_again))) is proa.Aborted


def test_error_of_reads_the_details(status):
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromTimedelta(timedelta(seconds=2.5))
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="spec.name", description="is empty")
    bad.field_violations.add(field="spec.memory_bytes", description="is 0")
    asked = error_details_pb2.RequestInfo(request_id="abc")
    found = status(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", "x", retry, bad, asked)
    error = error_of(Ended(found))
    assert error.retry_after == timedelta(seconds=2.5)
    assert error.violations == (
        proa.Violation("spec.name", "is empty"),
        proa.Violation("spec.memory_bytes", "is 0"),
    )
    assert error.correlation_id == "abc"


def test_error_of_an_internal_error_has_the_correlation_id(status):
    found = status(grpc.StatusCode.INTERNAL, "INTERNAL", "x", correlation_id="abc")
    assert error_of(Ended(found)).correlation_id == "abc"


def test_error_of_another_domain_has_no_reason(status):
    found = status(grpc.StatusCode.UNAVAILABLE, "TOKEN_EXPIRED", "x", domain="proxy.example")
    error = error_of(Ended(found))
    assert type(error) is proa.Unavailable
    assert error.reason == ""
    assert error.metadata == {}
    assert str(error) == "UNAVAILABLE: x"


@pytest.mark.parametrize(
    "trailers",
    [
        None,
        (),
        (("grpc-status-details-bin", b"\xff\xff"),),
        (("grpc-status-details-bin", b""),),  # code 0 under a status that is none
    ],
    ids=["none", "empty", "garbage", "contradiction"],
)
def test_error_of_a_status_without_details_follows_the_code(trailers):
    bare = Ended.__new__(Ended)
    bare.code = lambda: grpc.StatusCode.NOT_FOUND
    bare.details = lambda: None
    bare.trailing_metadata = lambda: trailers
    error = error_of(bare)
    assert type(error) is proa.NotFound
    assert (error.reason, error.message, error.metadata) == ("", "", {})
    assert error.retry_after is None
    assert error.violations == ()


def test_error_of_an_unknown_code_is_the_base_class(status):
    error = error_of(Ended(status(grpc.StatusCode.DATA_LOSS, "FROM_THE_FUTURE")))
    assert type(error) is proa.Error
    assert error.reason == "FROM_THE_FUTURE"

"""The reasons, and the base class of all domain errors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from proad.errors.redaction import redacted

# Maximum length of quoted texts of callers and engines.
_LONGEST = 4096


class Reason(StrEnum):
    """The names of `proa.v1.ErrorReason`, without their prefix."""

    RESOURCE_NOT_FOUND = "RESOURCE_NOT_FOUND"
    IMAGE_NOT_FOUND = "IMAGE_NOT_FOUND"
    SNAPSHOT_NOT_FOUND = "SNAPSHOT_NOT_FOUND"
    VOLUME_NOT_FOUND = "VOLUME_NOT_FOUND"
    HOST_NOT_FOUND = "HOST_NOT_FOUND"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    AMBIGUOUS_ID = "AMBIGUOUS_ID"
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"  # noqa: S105 - not a password
    ALREADY_EXISTS = "ALREADY_EXISTS"
    ENGINE_CONFLICT = "ENGINE_CONFLICT"
    ENGINE_UNREACHABLE = "ENGINE_UNREACHABLE"
    ENGINE_TIMED_OUT = "ENGINE_TIMED_OUT"
    STOP_TIMED_OUT = "STOP_TIMED_OUT"
    CAPABILITY_MISSING = "CAPABILITY_MISSING"
    RESOURCE_NOT_RUNNING = "RESOURCE_NOT_RUNNING"
    RESOURCE_ALREADY_RUNNING = "RESOURCE_ALREADY_RUNNING"
    RESOURCE_RUNNING = "RESOURCE_RUNNING"
    ILLEGAL_STATE = "ILLEGAL_STATE"
    HAS_SNAPSHOTS = "HAS_SNAPSHOTS"
    HAS_SAVED_STATE = "HAS_SAVED_STATE"
    IN_USE = "IN_USE"
    ACTIVITY_IN_PROGRESS = "ACTIVITY_IN_PROGRESS"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    REVISION_COMPACTED = "REVISION_COMPACTED"
    TOKEN_MISSING = "TOKEN_MISSING"  # noqa: S105 - not a password
    TOKEN_INVALID = "TOKEN_INVALID"  # noqa: S105 - not a password
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105 - not a password
    TOKEN_REVOKED = "TOKEN_REVOKED"  # noqa: S105 - not a password
    BAD_CREDENTIALS = "BAD_CREDENTIALS"
    TOO_MANY_ATTEMPTS = "TOO_MANY_ATTEMPTS"
    SCOPE_MISSING = "SCOPE_MISSING"
    POLICY_DENIED = "POLICY_DENIED"
    REGISTRY_DENIED = "REGISTRY_DENIED"
    INTERNAL = "INTERNAL"
    HOST_EXHAUSTED = "HOST_EXHAUSTED"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    TOO_MANY_STREAMS = "TOO_MANY_STREAMS"
    DATABASE_UNREACHABLE = "DATABASE_UNREACHABLE"
    REGISTRY_UNREACHABLE = "REGISTRY_UNREACHABLE"
    DELETION_PROTECTED = "DELETION_PROTECTED"
    SPEC_INCOMPLETE = "SPEC_INCOMPLETE"
    INTERRUPTED = "INTERRUPTED"
    REQUEST_NOT_FOUND = "REQUEST_NOT_FOUND"
    REQUEST_CANCELLED = "REQUEST_CANCELLED"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    CONDITION_IMPOSSIBLE = "CONDITION_IMPOSSIBLE"
    WAIT_TIMED_OUT = "WAIT_TIMED_OUT"
    AUDIT_UNAVAILABLE = "AUDIT_UNAVAILABLE"
    TOO_MANY_CALLS = "TOO_MANY_CALLS"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    ACCESS_MISSING = "ACCESS_MISSING"
    FILE_NOT_FOUND = "FILE_NOT_FOUND"
    CONNECTION_FAILED = "CONNECTION_FAILED"
    CONSOLE_TAKEN = "CONSOLE_TAKEN"
    READER_TOO_SLOW = "READER_TOO_SLOW"


class SetupError(Exception):
    """The daemon cannot start, or a command not run, before the host is corrected.

    Never reaches a caller. The message is for the terminal or the log, and contains no
    credentials.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redacted(message))


class ProaError(Exception):
    """The base class of all domain errors. Contains no credentials: all texts are redacted.

    Attributes:
        message: what happened and what to do about it, for people.
        metadata: values for programs, which become those of ErrorInfo.
        retry_after: time after which the same call may succeed; None if unknown.
        others: what else is known to be wrong with the request.
    """

    reason: ClassVar[Reason]
    others: tuple["ProaError", ...] = ()

    def __init__(
        self,
        message: str,
        *,
        metadata: dict[str, str] | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        # Libraries and engines quote URLs, with credentials, in their messages.
        self.message = redacted(message[:_LONGEST])
        super().__init__(self.message)
        self.metadata = {key: redacted(value[:_LONGEST]) for key, value in (metadata or {}).items()}
        self.retry_after = retry_after

    def concealed(self) -> "ProaError":
        """Return the error for a caller who may not hear of what is somebody else's."""
        return self


def together(errors: Sequence[ProaError]) -> ProaError:
    """Return the first of some errors, which tells of the others, too; each only once."""
    first, *others = [each for error in errors for each in (error, *error.others)]
    told = {(each.reason, each.message): each for each in others}
    told.pop((first.reason, first.message), None)
    first.others = tuple(told.values())
    return first


class Findings:
    """The errors of several checks, which are raised together."""

    def __init__(self) -> None:
        self._found: list[ProaError] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the error of a check, which is the block."""
        try:
            yield
        except ProaError as error:
            self._found.append(error)

    def check(self) -> None:
        """Raise the first error that was noted, which tells of the others, too."""
        if self._found:
            raise together(self._found)

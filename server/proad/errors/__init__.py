"""Domain errors: what can go wrong, without a word about gRPC.

Each class is one reason of the contract's `ErrorReason`; `rpc/status.py` maps the
reasons to status codes. A message says what happened and what to do about it.
"""

from proad.errors.caller import (
    BadCredentialsError,
    PolicyDeniedError,
    ScopeMissingError,
    TokenExpiredError,
    TokenInvalidError,
    TokenMissingError,
    TokenRevokedError,
    TooManyAttemptsError,
    TooManyCallsError,
    TooManyLoginsError,
    TooManyStreamsError,
)
from proad.errors.engine import (
    CapabilityMissingError,
    DatabaseUnreachableError,
    EngineConflictError,
    EngineTimedOutError,
    EngineUnreachableError,
    HostExhaustedError,
    RegistryDeniedError,
    StopTimedOutError,
)
from proad.errors.missing import (
    HostNotFoundError,
    ImageNotFoundError,
    NotFoundError,
    ResourceNotFoundError,
    SnapshotNotFoundError,
    VolumeNotFoundError,
)
from proad.errors.redaction import redacted
from proad.errors.request import (
    AlreadyExistsError,
    AmbiguousIdError,
    EtagMismatchError,
    FieldViolation,
    InvalidArgumentError,
    PageTokenInvalidError,
    RevisionCompactedError,
)
from proad.errors.root import (
    ProaError,
    Reason,
    SetupError,
)
from proad.errors.state import (
    ActivityInProgressError,
    HasSavedStateError,
    HasSnapshotsError,
    InUseError,
    ResourceAlreadyRunningError,
    ResourceNotRunningError,
    ResourceRunningError,
    ShuttingDownError,
    StateError,
)

__all__ = [
    "ActivityInProgressError",
    "AlreadyExistsError",
    "AmbiguousIdError",
    "BadCredentialsError",
    "CapabilityMissingError",
    "DatabaseUnreachableError",
    "EngineConflictError",
    "EngineTimedOutError",
    "EngineUnreachableError",
    "EtagMismatchError",
    "FieldViolation",
    "HasSavedStateError",
    "HasSnapshotsError",
    "HostExhaustedError",
    "HostNotFoundError",
    "ImageNotFoundError",
    "InUseError",
    "InvalidArgumentError",
    "NotFoundError",
    "PageTokenInvalidError",
    "PolicyDeniedError",
    "ProaError",
    "Reason",
    "RegistryDeniedError",
    "ResourceAlreadyRunningError",
    "ResourceNotFoundError",
    "ResourceNotRunningError",
    "ResourceRunningError",
    "RevisionCompactedError",
    "ScopeMissingError",
    "SetupError",
    "ShuttingDownError",
    "SnapshotNotFoundError",
    "StateError",
    "StopTimedOutError",
    "TokenExpiredError",
    "TokenInvalidError",
    "TokenMissingError",
    "TokenRevokedError",
    "TooManyAttemptsError",
    "TooManyCallsError",
    "TooManyLoginsError",
    "TooManyStreamsError",
    "VolumeNotFoundError",
    "redacted",
]

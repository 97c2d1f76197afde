"""Domain errors: what can go wrong, without a word about gRPC.

Each class is one reason of the contract's `ErrorReason`; `rpc/status.py` maps the
reasons to status codes. A message says what happened and what to do about it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar


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


class SetupError(Exception):
    """The daemon cannot start, or a command not run, until somebody sets the host right.

    Never reaches a caller; its text is for the terminal or the log.
    """


class ProaError(Exception):
    """The root of all domain errors.

    Attributes:
        message: for people: what happened and what to do about it.
        metadata: for programs: goes into ErrorInfo as it is.
        retry_after: when the same call may succeed, if it may.
    """

    reason: ClassVar[Reason]

    def __init__(
        self,
        message: str,
        *,
        metadata: dict[str, str] | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata or {}
        self.retry_after = retry_after


# Not found -------------------------------------------------------------------


class NotFoundError(ProaError):
    """Something that the caller named is not there.

    Attributes:
        resource_type: what it is: "resource", "image", "snapshot", "volume", "host".
        name: how the caller named it.
    """

    resource_type: ClassVar[str]
    hint: ClassVar[str]

    def __init__(self, name: str, *, detail: str = "") -> None:
        text = f"no {self.resource_type} {name!r}{f' {detail}' if detail else ''}; {self.hint}"
        super().__init__(text, metadata={self.resource_type: name})
        self.name = name


class ResourceNotFoundError(NotFoundError):
    """No container and no domain has this id or name."""

    reason = Reason.RESOURCE_NOT_FOUND
    resource_type = "resource"
    hint = "ListResources shows what there is"


class ImageNotFoundError(NotFoundError):
    """The image is not on the host, or not in its registry."""

    reason = Reason.IMAGE_NOT_FOUND
    resource_type = "image"
    hint = "ListImages shows what is on the host, PullImage fetches it"


class SnapshotNotFoundError(NotFoundError):
    """The domain has no such snapshot."""

    reason = Reason.SNAPSHOT_NOT_FOUND
    resource_type = "snapshot"
    hint = "ListSnapshots shows what there is"


class VolumeNotFoundError(NotFoundError):
    """The pool has no such volume, or the host no such pool."""

    reason = Reason.VOLUME_NOT_FOUND
    resource_type = "volume"
    hint = "ListVolumes shows what there is"


class HostNotFoundError(NotFoundError):
    """The configuration names no such host connection."""

    reason = Reason.HOST_NOT_FOUND
    resource_type = "host"
    hint = "GetHost lists the names"


# The request -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A wrong field of a request: its path in the proto message, and what is wrong."""

    field: str
    description: str


class InvalidArgumentError(ProaError):
    """One or more fields of the request are missing or wrong."""

    reason = Reason.INVALID_ARGUMENT

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        text = "; ".join(
            f"{v.field}: {v.description}" if v.field else v.description for v in violations
        )
        super().__init__(text)
        self.violations = tuple(violations)

    @classmethod
    def of(cls, field: str, description: str) -> "InvalidArgumentError":
        """Make the error of one wrong field."""
        return cls([FieldViolation(field, description)])


class AmbiguousIdError(ProaError):
    """The id could mean two or more resources."""

    reason = Reason.AMBIGUOUS_ID

    def __init__(self, ref: str, candidates: Sequence[str]) -> None:
        super().__init__(
            f"{ref!r} could be {', '.join(candidates)}; give the full id, or one of these",
            metadata={"id": ref, "candidates": ",".join(candidates)},
        )


class PageTokenInvalidError(ProaError):
    """The page token was not given for this request."""

    reason = Reason.PAGE_TOKEN_INVALID

    def __init__(self) -> None:
        super().__init__(
            "page_token is not one that was given for this request; "
            "start again without it and leave all other fields the same"
        )


class AlreadyExistsError(ProaError):
    """The name is taken."""

    reason = Reason.ALREADY_EXISTS

    def __init__(self, what: str, name: str, *, existing_id: str = "") -> None:
        metadata = {what: name}
        if existing_id:
            metadata["existing_id"] = existing_id
        super().__init__(
            f"a {what} {name!r} exists already; choose another name or delete that one",
            metadata=metadata,
        )
        self.what = what
        self.name = name


# The engine ------------------------------------------------------------------


class EngineConflictError(ProaError):
    """The engine refused; its own text is passed on.

    `retry_after` is set where the same call may succeed when it is made again.
    """

    reason = Reason.ENGINE_CONFLICT

    def __init__(self, engine: str, text: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(
            f"{engine} refused: {text}",
            metadata={"engine": engine, "engine_message": text},
            retry_after=retry_after,
        )


class EngineUnreachableError(ProaError):
    """The engine does not answer."""

    reason = Reason.ENGINE_UNREACHABLE

    def __init__(self, engine: str, text: str = "") -> None:
        super().__init__(
            f"{engine} cannot be reached{f': {text}' if text else ''}; "
            "the daemon keeps trying, GetHost shows when it is back",
            metadata={"engine": engine},
            retry_after=timedelta(seconds=2),
        )


class EngineTimedOutError(ProaError):
    """The engine did not finish in time; the effect is unknown."""

    reason = Reason.ENGINE_TIMED_OUT

    def __init__(self, engine: str, what: str = "the call") -> None:
        super().__init__(
            f"{engine} did not finish {what} in time; it may still take effect: "
            "look again before repeating it",
            metadata={"engine": engine},
        )


class StopTimedOutError(ProaError):
    """A graceful request was not followed in time; nothing was killed."""

    reason = Reason.STOP_TIMED_OUT

    def __init__(self, name: str, grace: timedelta, *, asked: Sequence[str] = ()) -> None:
        how = f" ({', then '.join(asked)})" if asked else ""
        super().__init__(
            f"{name!r} was asked{how} and did not follow within {grace.total_seconds():g} s; "
            "nothing was killed. Give it more time, or use mode GRACEFUL_THEN_FORCE or FORCE",
            metadata={"name": name, "grace_seconds": f"{grace.total_seconds():g}"},
        )


class CapabilityMissingError(ProaError):
    """The engine that has the resource cannot do this."""

    reason = Reason.CAPABILITY_MISSING

    def __init__(self, capability: str, *, driver: str, hint: str = "") -> None:
        super().__init__(
            f"{driver} cannot do this: {capability}; "
            f"{hint or 'GetHost shows the capabilities of every engine'}",
            metadata={"capability": capability, "driver": driver},
        )


class HostExhaustedError(ProaError):
    """The host has no room left, on disk or in memory."""

    reason = Reason.HOST_EXHAUSTED

    def __init__(self, engine: str, text: str) -> None:
        super().__init__(
            f"the host is out of room: {text}; free some, or ask for less",
            metadata={"engine": engine, "engine_message": text},
        )


# States ----------------------------------------------------------------------


class StateError(ProaError):
    """The verb is not legal in the state of the resource.

    The subclasses differ in their reason alone; `model.verbs.refusal` picks one.
    """

    reason = Reason.ILLEGAL_STATE
    hint: ClassVar[str] = "do one of these first"

    def __init__(
        self, *, id: str, name: str, state: str, verb: str, allowed_verbs: Sequence[str]
    ) -> None:
        allowed = ", ".join(allowed_verbs) or "nothing"
        super().__init__(
            f"{verb} is not legal for {name!r}, which is {state}: {self.hint}; "
            f"legal now: {allowed}",
            metadata={
                "id": id,
                "name": name,
                "state": state,
                "verb": verb,
                "allowed_verbs": ",".join(allowed_verbs),
            },
        )
        self.name = name


class ResourceNotRunningError(StateError):
    """The verb needs a running resource."""

    reason = Reason.RESOURCE_NOT_RUNNING
    hint = "start it first"


class ResourceAlreadyRunningError(StateError):
    """It runs already."""

    reason = Reason.RESOURCE_ALREADY_RUNNING
    hint = "there is nothing to do"


class ResourceRunningError(StateError):
    """The verb needs an inactive resource, or `force`."""

    reason = Reason.RESOURCE_RUNNING
    hint = "stop it first, or set force"


class HasSnapshotsError(ProaError):
    """The domain has snapshots that the request says nothing about."""

    reason = Reason.HAS_SNAPSHOTS

    def __init__(self, name: str, count: int) -> None:
        super().__init__(
            f"{name!r} has {count} snapshot(s); delete them first or set delete_snapshots",
            metadata={"name": name, "snapshots": str(count)},
        )
        self.name = name


class HasSavedStateError(ProaError):
    """The domain has a saved state that the request says nothing about."""

    reason = Reason.HAS_SAVED_STATE

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} has a saved state; start it from there first or set delete_saved_state",
            metadata={"name": name},
        )
        self.name = name


class InUseError(ProaError):
    """Somebody uses the volume or the image."""

    reason = Reason.IN_USE

    def __init__(self, what: str, name: str, users: Sequence[str] = (), *, text: str = "") -> None:
        by = f" by {', '.join(users)}" if users else ""
        super().__init__(
            f"{what} {name!r} is in use{by}{f' ({text})' if text else ''}; delete what uses it first",
            metadata={what: name, "used_by": ",".join(users)},
        )
        self.name = name


class ActivityInProgressError(ProaError):
    """Another verb on the same resource is under way."""

    reason = Reason.ACTIVITY_IN_PROGRESS

    def __init__(self, name: str, verb: str) -> None:
        super().__init__(
            f"{verb} of {name!r} is under way; try again when it is done",
            metadata={"name": name, "verb": verb},
            retry_after=timedelta(seconds=1),
        )


# The caller ------------------------------------------------------------------


class TokenMissingError(ProaError):
    """The call carries no token."""

    reason = Reason.TOKEN_MISSING

    def __init__(self) -> None:
        super().__init__(
            "this call needs a token; get one from AuthService/CreateToken "
            "and send it as 'authorization: Bearer TOKEN'"
        )


class TokenInvalidError(ProaError):
    """The token is not one of this daemon's, or no longer good for its user."""

    reason = Reason.TOKEN_INVALID

    def __init__(self) -> None:
        super().__init__("the token is not valid here; get a new one from AuthService/CreateToken")


class TokenExpiredError(ProaError):
    """The token's time is over."""

    reason = Reason.TOKEN_EXPIRED

    def __init__(self) -> None:
        super().__init__("the token has expired; get a new one from AuthService/CreateToken")


class TokenRevokedError(ProaError):
    """The token was given back."""

    reason = Reason.TOKEN_REVOKED

    def __init__(self) -> None:
        super().__init__("the token was revoked; get a new one from AuthService/CreateToken")


class BadCredentialsError(ProaError):
    """User name and password do not belong together. One text for every case."""

    reason = Reason.BAD_CREDENTIALS

    def __init__(self) -> None:
        super().__init__("user name or password is wrong; 'proad user' on the host manages users")


class TooManyAttemptsError(ProaError):
    """Too many failed logins."""

    reason = Reason.TOO_MANY_ATTEMPTS

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__(
            f"too many failed logins; try again in {retry_after.total_seconds():.0f} s",
            retry_after=retry_after,
        )


class ScopeMissingError(ProaError):
    """The token, or for a login the user, lacks a scope."""

    reason = Reason.SCOPE_MISSING

    def __init__(self, required: str, held: Sequence[str]) -> None:
        have = ", ".join(held) or "none"
        super().__init__(
            f"this needs the scope '{required}', you have: {have}; "
            "log in with it, or have it granted with 'proad user scopes'",
            metadata={"required_scope": required, "scopes": " ".join(held)},
        )


class RegistryDeniedError(ProaError):
    """The registry refused the credentials, or wants some."""

    reason = Reason.REGISTRY_DENIED

    def __init__(self, registry: str, text: str) -> None:
        super().__init__(
            f"the registry {registry or 'of the image'} refused: {text}; use LoginRegistry",
            metadata={"registry": registry, "engine_message": text},
        )


class ShuttingDownError(ProaError):
    """The daemon is stopping."""

    reason = Reason.SHUTTING_DOWN

    def __init__(self) -> None:
        super().__init__("the daemon is stopping; try again", retry_after=timedelta(seconds=2))

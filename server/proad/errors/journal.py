"""Errors of requests that carry an id."""

from datetime import timedelta
from typing import Literal

from proad.errors.missing import NotFoundError
from proad.errors.root import ProaError, Reason

_EFFECTS = {
    "none": "nothing of it is left",
    "unknown": "it may have had its effect: look before you repeat it",
}


class RequestInterruptedError(ProaError):
    """The daemon or its engine ended during the request.

    Args:
        effect: "none": what had been begun was undone; "unknown": it may have taken effect.
        left: what was left though it may be the request's, such as "volume default/web.qcow2".
    """

    reason = Reason.INTERRUPTED

    def __init__(self, effect: Literal["none", "unknown"], *, left: tuple[str, ...] = ()) -> None:
        remains = f"; left, since it may be somebody else's: {', '.join(left)}" if left else ""
        super().__init__(
            f"the call was interrupted, and {_EFFECTS[effect]}{remains}; "
            "to make it anew, use another request_id",
            metadata={"effect": effect} | ({"left": ",".join(left)} if left else {}),
        )


class RequestNotFoundError(NotFoundError):
    """The caller made no request with this id, or it is forgotten."""

    reason = Reason.REQUEST_NOT_FOUND
    resource_type = "request"
    hint = (
        "it may be another user's, forgotten 24 hours after its end, or free still, because the "
        "call was refused before any effect"
    )


class RequestCancelledError(ProaError):
    """CancelRequest ended the request."""

    reason = Reason.REQUEST_CANCELLED

    def __init__(self) -> None:
        super().__init__(
            "the call was cancelled; what was asked of a guest before is not withdrawn. "
            "To make the call anew, use another request_id"
        )


class RequestNotCancellableError(ProaError):
    """The request runs, and ending it would leave something half done."""

    reason = Reason.ILLEGAL_STATE

    def __init__(self, id: str) -> None:
        super().__init__(
            f"request {id} is at work and cannot be ended without harm; wait for it",
            metadata={"request": id},
        )


class TooManyRequestsError(ProaError):
    """The user has as many requests on record, or under way, as one user may have."""

    reason = Reason.TOO_MANY_REQUESTS

    @classmethod
    def under_way(cls, most: int) -> "TooManyRequestsError":
        """Return the error of a user with too many requests that have not ended."""
        error = cls(most, timedelta(seconds=1))
        error.message = (
            f"{most} calls with a request_id have not ended, which is the most of one user; they go "
            "on though their callers go away. Wait for some, or end them with CancelRequest"
        )
        return error

    def __init__(self, most: int, retry_after: timedelta) -> None:
        super().__init__(
            f"{most} calls with a request_id are on record, which is the most of one user; "
            "the oldest is forgotten 24 hours after its end. Use a request_id only for calls "
            "that change something, the same one for each repetition",
            retry_after=retry_after,
        )

"""Requests that carry an id."""

from dataclasses import dataclass
from enum import StrEnum


class RequestState(StrEnum):
    """What became of a request."""

    # It runs, or its effect is not known yet.
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFilter:
    """Which requests: those in one of the states; all, if there is none."""

    states: tuple[RequestState, ...] = ()

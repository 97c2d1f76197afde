"""Requests that carry an id."""

from enum import StrEnum


class RequestState(StrEnum):
    """What became of a request."""

    # It runs, or its effect is not known yet.
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

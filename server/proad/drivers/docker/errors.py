"""The one place where failures of the Docker Engine become domain errors."""

from datetime import timedelta
from http import HTTPStatus

import urllib3

from proad.errors import (
    EngineConflictError,
    EngineTimedOutError,
    EngineUnreachableError,
    ProaError,
)

ENGINE = "docker"

# The engine's own words for "not now": something else is under way.
_PASSING = frozenset({HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE})


def broken_connection(error: Exception, endpoint: str) -> ProaError:
    """Translate what the HTTP client raised: no answer at all, or none in time."""
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # counted as a time-out, too
        return EngineUnreachableError(ENGINE, f"{endpoint}: {_innermost(error)}")
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return EngineUnreachableError(ENGINE, f"{endpoint}: no connection in time")
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return EngineTimedOutError(ENGINE)
    return EngineUnreachableError(ENGINE, f"{endpoint}: {_innermost(error)}")


def conflict(status: int, text: str) -> EngineConflictError:
    """Give the error of an answer that the driver has no better word for."""
    retry_after = timedelta(seconds=1) if status in _PASSING else None
    return EngineConflictError(ENGINE, text, retry_after=retry_after)


def _innermost(error: BaseException) -> str:
    """Give the operating system's words, out of the layers that the client wraps them in."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__

"""The one place where failures of the Docker Engine become domain errors."""

import re
import ssl
from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus

import urllib3

from proad.drivers.docker.refusals import (
    REFUSALS,
    REGISTRIES,
    DockerRefusal,
    RefusalMeaning,
    known,
)
from proad.drivers.docker.request_fields import RequestFields, Wish
from proad.errors import (
    EngineConflictError,
    EngineTimedOutError,
    EngineUnreachableError,
    HostExhaustedError,
    ImageNotFoundError,
    InUseError,
    InvalidArgumentError,
    ProaError,
    RegistryUnreachableError,
)

ENGINE = "docker"

_SOON = timedelta(seconds=1)
# What OpenSSL says of a peer that answers in plain text, by its version.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
# At a start no field of the request is to blame.
_MADE_WITH_IT = "it was made with that: put right what it needs, or create it anew without"


def broken_connection(error: Exception, endpoint: str) -> ProaError:
    """Translate what the HTTP client raised: no answer at all, or none in time."""
    if any(isinstance(it, ssl.SSLError) and it.reason in _NO_TLS for it in _causes(error)):
        return EngineUnreachableError(
            ENGINE,
            f"{endpoint}: it answers without TLS; take docker_tls_dir out of its [[host]] (and "
            "DOCKER_CERT_PATH out of the environment), or name the port at which it speaks TLS",
        )
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # counted as a time-out, too
        return EngineUnreachableError(ENGINE, f"{endpoint}: {_innermost(error)}")
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return EngineUnreachableError(ENGINE, f"{endpoint}: no connection in time")
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return EngineTimedOutError(ENGINE)
    return EngineUnreachableError(ENGINE, f"{endpoint}: {_innermost(error)}")


def without_tls(endpoint: str, text: str) -> EngineUnreachableError:
    """Return the error of an engine that takes no request without TLS, in its own words."""
    return EngineUnreachableError(
        ENGINE,
        f"{endpoint}: {text}; if it speaks TLS, name the folder of its certificates, ca.pem, cert.pem "
        "and key.pem, by docker_tls_dir in its [[host]] (or by DOCKER_CERT_PATH beside DOCKER_HOST)",
    )


def refused(status: int, text: str, wish: Wish | None = None) -> ProaError:
    """Return the error of an answer that the driver has no better word for.

    Args:
        status: of the answer.
        text: the engine's own words.
        wish: what the request asked for, if it asked for something in particular.
    """
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return EngineConflictError(ENGINE, text, retry_after=_SOON)
    for row, found in known(REFUSALS, status, text):
        if error := _meant(row, found, text, wish):
            return error
    return EngineConflictError(ENGINE, text)


def _meant(
    row: DockerRefusal, found: re.Match[str], text: str, wish: Wish | None
) -> ProaError | None:
    field, value = (wish and RequestFields(wish).blamed(row, found)) or ("", None)
    taken = found.groupdict().get("value") or value
    match row.meaning:
        case RefusalMeaning.WRONG if field:
            said = f"{row.name} ({found[0].strip()})"
            return InvalidArgumentError.of(field, f"{said}; {row.advice}" if row.advice else said)
        case RefusalMeaning.WRONG if wish is not None:
            return None
        case RefusalMeaning.EXHAUSTED:
            return HostExhaustedError(ENGINE, text)
        case RefusalMeaning.TAKEN if taken:
            return InUseError.of_the_host("address" if row.fields else "port", str(taken))
    advice = row.advice or (_MADE_WITH_IT if row.meaning is RefusalMeaning.WRONG else "")
    retry_after = _SOON if row.meaning is RefusalMeaning.PASSING else None
    return EngineConflictError(ENGINE, text, hint=advice, retry_after=retry_after)


def registry_refused(registry: str, image: str, status: int, text: str) -> ProaError:
    """Return the error of a registry's refusal, or silence, without what it said."""
    for row, _ in known(REGISTRIES, status, text):
        match row.meaning:
            case RefusalMeaning.EXHAUSTED:
                return HostExhaustedError(ENGINE, row.name)
            case RefusalMeaning.WRONG:
                return InvalidArgumentError.of(row.fields[0], row.name)
            case RefusalMeaning.MISSING:
                return ImageNotFoundError(image, detail=row.name, hint=row.advice)
            case RefusalMeaning.UNREACHABLE:
                return RegistryUnreachableError(registry, row.name, hint=row.advice)
            case _:
                return EngineConflictError(ENGINE, f"{registry}: {row.name}", hint=row.advice)
    return EngineConflictError(
        ENGINE,
        f"what the registry {registry} answers is of no use to it",
        hint="see whether that is a registry; the daemon's log has the engine's words",
    )


def _innermost(error: BaseException) -> str:
    """Return the operating system's words, out of the layers that the client wraps them in."""
    words = (each.strerror for each in _causes(error) if isinstance(each, OSError))
    return next(filter(None, words), None) or str(error) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__

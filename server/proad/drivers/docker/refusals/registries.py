"""What a registry answers to a pull or a login, or that it does not.

The engine tells of a registry's trouble with its own status 500. What is said here is all that
a caller hears of it: the text holds what the registry, or whatever answers, sent.
"""

from functools import partial
from http import HTTPStatus

from proad.drivers.docker.refusals.host import NO_SPACE
from proad.drivers.docker.refusals.row import (
    BAD,
    FAULT,
    MISSING,
    DockerRefusal,
    RefusalMeaning,
    row,
    wrong,
)

_registry = partial(row, statuses=frozenset({*FAULT, HTTPStatus.TOO_MANY_REQUESTS}))

REGISTRIES: tuple[DockerRefusal, ...] = (
    NO_SPACE,
    wrong(
        "is no platform that the engine knows",
        BAD,
        r"unknown operating system or architecture|cannot parse platform specifier"
        r"|specifier component must match",
        "platform",
    ),
    wrong(
        "is no image name, such as debian:12",
        BAD,
        r"invalid reference format",
        "image",
    ),
    row(
        RefusalMeaning.MISSING,
        "for this platform in its registry",
        FAULT | MISSING,
        r"no matching manifest for ",
        advice="another platform, or none, may be there",
    ),
    row(
        RefusalMeaning.MISSING,
        "in its registry",
        MISSING,
        r"",
        advice="see whether name and tag are right; a private one is seen after LoginRegistry alone",
    ),
    _registry(
        RefusalMeaning.UNREACHABLE,
        "the registry does not answer",
        pattern=r"connection refused|no such host|i/o timeout|connection reset by peer|: EOF$"
        r"|Client\.Timeout exceeded|no route to host|network is unreachable|server misbehaving"
        r"|TLS handshake timeout|context deadline exceeded",
        advice="see whether the name is right and the host's network lets it through",
    ),
    _registry(
        RefusalMeaning.UNREACHABLE,
        "the registry has a trouble of its own",
        pattern=r"(?:unexpected HTTP status|failed with status): 5\d\d",
    ),
    _registry(
        RefusalMeaning.UNREACHABLE,
        "the registry takes no more requests for now",
        pattern=r"toomanyrequests: |failed with status: 429",
        advice="use LoginRegistry first: it may let those in more often whom it knows",
    ),
    _registry(
        RefusalMeaning.CONFLICT,
        "the engine does not trust the registry's certificate, or it speaks no TLS",
        pattern=r"\bx509: |\btls: |server gave HTTP response to HTTPS client",
        advice="who runs the host may add the certificate's authority, or the registry as an "
        "insecure one, to Docker's settings",
    ),
)

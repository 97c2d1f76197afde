"""The Engine API of one engine: calls, answers, and what can go wrong on the way. Blocks.

docker-py is the transport. The calls are written out here rather than made through its
methods, which hide the status code (a start of a running container, 304, looks like a
success) and lack options.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import requests
import urllib3
from docker.errors import DockerException

from proad.drivers.docker.errors import ENGINE, broken_connection, refused, without_tls
from proad.drivers.docker.http.api_version import ApiVersion, spoken_with
from proad.drivers.docker.http.transport import Transport
from proad.drivers.tolerant import Omissions, Value, parse_json
from proad.errors import EngineConflictError, EngineUnreachableError, redacted

Json = Any
TROUBLES = (
    DockerException,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    HTTPException,
    OSError,
)
"""What docker-py and the layers below it raise when there is no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the engine, good or bad, with its date."""

    status: int
    body: bytes
    date: str = ""
    omissions: Omissions = field(
        default_factory=lambda: Omissions(ENGINE), repr=False, compare=False
    )

    @property
    def ok(self) -> bool:
        """Whether the engine did what it was asked (304 means that it did not)."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def text(self) -> str:
        """The engine's own words about a failure."""
        try:
            message = Value(parse_json(self.body), self.omissions, path="message")["message"].text()
        except ValueError:
            message = self.body.decode(errors="replace")
        return message.strip() or f"HTTP status {self.status}"

    def value(self, about: str = "") -> Value:
        """Return the content, as one about the container with the id `about`.

        Raises:
            ProaError: the engine refused; see `refused`.
            EngineConflictError: it cannot tell of this container.
            EngineUnreachableError: what answers there is no Docker Engine.
        """
        if not self.ok:
            if about:  # what is there cannot be told; nothing was asked for
                raise EngineConflictError(ENGINE, self.text)
            raise refused(self.status, self.text)
        try:
            return Value(parse_json(self.body), self.omissions, about)
        except ValueError:
            if about:
                raise EngineConflictError(ENGINE, f"the answer about {about} is not JSON") from None
            raise EngineUnreachableError(ENGINE, "the answer is not JSON") from None


class Api:
    """Speaks the newest version of the API that engine and driver know.

    Args:
        url: unix://, tcp:// or ssh:// address of the engine.
        cert_path: folder with ca.pem, cert.pem and key.pem; makes tcp:// speak TLS.
        connections: how many to keep.
        timeout: of the question for the version, unless the call's own is shorter.
        connect_timeout: of a connection, and of the beginning of a stream.

    Attributes:
        version: the version that is spoken; None: not negotiated since the engine was lost.
    """

    def __init__(
        self,
        url: str,
        *,
        cert_path: Path | None,
        connections: int,
        timeout: timedelta,
        connect_timeout: timedelta,
    ) -> None:
        self.endpoint = redacted(url)
        self._is_plain = url.startswith("tcp:") and cert_path is None
        self.version: ApiVersion | None = None
        self.omissions = Omissions(ENGINE)
        self.transport = Transport(
            url,
            cert_path=cert_path,
            size=connections,
            timeout=timeout,
            connect_timeout=connect_timeout,
        )
        self.timeout = timeout
        self.connect_timeout = connect_timeout

    def close(self) -> None:
        """Close the idle connections."""
        self.transport.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        limit: timedelta,
        params: Mapping[str, str | int] | None = None,
        body: Json = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make one call, and return the answer, whatever its status; see `translated`."""
        with self.translated():
            reply = self.transport.exchange(
                method,
                self.target(path, params, limit),
                body=None if body is None else json.dumps(body).encode(),
                headers={
                    **(headers or {}),
                    **({"Content-Type": "application/json"} if body else {}),
                },
                limit=limit,
            )
            return Answer(*reply, omissions=self.omissions)

    def negotiate(self, limit: timedelta) -> tuple[ApiVersion, str]:
        """Ask the engine for its versions; return that of the API, spoken from now on, and its own.

        Raises:
            EngineUnreachableError: there was no answer, or no version of the API that both know.
            EngineTimedOutError: there was none in time.
        """
        with self.translated():
            reply = self.transport.exchange(
                "GET", "/version", body=None, headers={}, limit=min(limit, self.timeout)
            )
            answer = Answer(*reply, omissions=self.omissions)
            try:
                if answer.status == HTTPStatus.BAD_REQUEST and self._is_plain:
                    # There is nothing else that could be wrong with this question.
                    raise without_tls(self.endpoint, answer.text)
                versions = answer.value()
                self.version = spoken_with(versions)
            except EngineUnreachableError:
                self.version = None  # what was settled on was with another engine
                raise
            return self.version, versions["Version"].text()

    def spoken(self, limit: timedelta) -> ApiVersion:
        """Return the version of the API to speak; negotiate if need be."""
        return self.version or self.negotiate(limit)[0]

    def target(self, path: str, params: Mapping[str, str | int] | None, limit: timedelta) -> str:
        """Return the target of a request."""
        query = f"?{urlencode(params)}" if params else ""
        return f"/v{self.spoken(limit)}{path}{query}"

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Translate what the transport raises.

        Raises:
            EngineUnreachableError: there was no answer.
            EngineTimedOutError: there was none in time; the effect is unknown.
        """
        try:
            yield
        except TROUBLES as error:
            self.version = None  # another engine may answer next time
            raise broken_connection(error, self.endpoint) from error


def quoted(name: str) -> str:
    """Return `name` as one segment of a path."""
    return quote(name, safe="")


def filters(conditions: Mapping[str, list[str]]) -> dict[str, str | int]:
    """Return the parameter that filters a list."""
    return {"filters": json.dumps(conditions)}

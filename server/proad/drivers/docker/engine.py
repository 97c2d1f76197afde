"""The connection to a Docker Engine: calls of its HTTP API, on threads of our own.

docker-py's low-level client is the transport (Unix socket, TCP with TLS, SSH). The
calls are written out here rather than made through its methods, which hide the status
code (a start of a running container, 304, looks like a success) and lack options.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import docker
import requests
import urllib3
from docker.errors import DockerException
from docker.tls import TLSConfig

from proad.drivers.docker.errors import ENGINE, broken_connection, conflict
from proad.drivers.docker.stream import JsonStream, Stream
from proad.drivers.docker.unix import UnixAdapter
from proad.drivers.threads import EngineThreads
from proad.errors import EngineUnreachableError

Json = Any
T = TypeVar("T")
CONNECT_TIMEOUT = timedelta(seconds=4)
# docker-py wants one at construction; every call names the negotiated one instead.
_PLACEHOLDER_VERSION = "1.41"
# What docker-py and the layers below it raise when there is no answer.
_TROUBLES = (
    DockerException,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    HTTPException,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine answered, good or bad."""

    status: int
    body: bytes
    date: str = ""

    @property
    def ok(self) -> bool:
        """Whether the engine did what it was asked (304 means that it did not)."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def text(self) -> str:
        """The engine's own words about a failure."""
        try:
            message = json.loads(self.body)["message"]
        except (ValueError, KeyError, TypeError):
            message = self.body.decode(errors="replace")
        return str(message).strip() or f"HTTP status {self.status}"

    def json(self) -> Json:
        """Give the content.

        Raises:
            EngineConflictError: the engine refused.
            EngineUnreachableError: what answers there is no Docker Engine.
        """
        if not self.ok:
            raise conflict(self.status, self.text)
        try:
            return json.loads(self.body)
        except ValueError:
            raise EngineUnreachableError(ENGINE, "the answer is not JSON") from None


class Engine:
    """Calls of the Engine API.

    Args:
        url: unix://, tcp:// or ssh:// address of the engine.
        cert_path: folder with ca.pem, cert.pem and key.pem; makes tcp:// speak TLS.
        threads: how many calls may be under way at once, and again as many long ones.
        timeout: of a call, unless it names its own.
    """

    def __init__(
        self, url: str, *, cert_path: Path | None, threads: int, timeout: timedelta
    ) -> None:
        self.url = url
        self.endpoint = _without_credentials(url)
        self.timeout = timeout
        self.api_version = ""
        self._cert_path = cert_path
        self._pool_size = threads + 1
        self._client: docker.APIClient | None = None
        self._quick = EngineThreads(ENGINE, size=threads)
        # Calls that may take minutes have threads of their own: they delay no others.
        self._long = EngineThreads(f"{ENGINE}-long", size=threads)
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self._running.enter_context(self._quick)
        self._running.enter_context(self._long)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()
        if self._client is not None:
            self._client.close()

    async def get(self, path: str, **options: Any) -> Answer:
        """Ask; see `call` for the options."""
        return await self.call("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Answer:
        """Ask for a change; see `call` for the options."""
        return await self.call("POST", path, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        """Ask for a deletion; see `call` for the options."""
        return await self.call("DELETE", path, **options)

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Json = None,
        headers: Mapping[str, str] | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - raises our own error
        urgent: bool = False,
        long: bool = False,
    ) -> Answer:
        """Make one HTTP call and give the answer, whatever its status.

        Raises:
            EngineUnreachableError: there was no answer.
            EngineTimedOutError: there was none in time; the effect is unknown.
        """
        limit = timeout or self.timeout

        def exchange() -> Answer:
            with self._translated():
                response = self._send(method, path, params, body, headers, limit)
                date = response.headers.get("Date", "")
                return Answer(response.status_code, response.content, date)

        threads = self._long if long else self._quick
        return await threads.run(exchange, timeout=limit, urgent=urgent)

    async def stream(
        self,
        path: str,
        *,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        silence: timedelta,
    ) -> Answer | JsonStream:
        """Post, and give the answer as a stream of JSON objects; a failure as an Answer.

        `silence` is how long nothing may come.
        """

        async def run(call: Callable[[], T]) -> T:
            def translated() -> T:
                with self._translated():
                    return call()

            return await self._long.run(translated, timeout=silence)

        stream = Stream()
        try:
            status = await run(
                lambda: stream.open(*self._prepared("POST", path, params, headers), silence)
            )
            if status == HTTPStatus.OK:
                return JsonStream(stream, run)
            answer = Answer(status, await run(lambda: b"\n".join(stream.lines)))
        except BaseException:
            stream.close()
            raise
        stream.close()
        return answer

    def follow(
        self,
        path: str,
        *,
        params: Mapping[str, str],
        stream: Stream,
        on_open: Callable[[], None],
    ) -> Iterator[Json]:
        """Give the JSON objects of an answer that goes on for ever. Blocks.

        `on_open` is called once the engine has begun to answer. Hanging `stream` up ends it.

        Raises:
            EngineUnreachableError: there was no answer, or it broke off.
            EngineTimedOutError: the answer did not begin in time.
        """
        with self._translated():
            try:
                limit = min(self.timeout, CONNECT_TIMEOUT)
                status = stream.open(*self._prepared("GET", path, params, {}), limit)
                if status != HTTPStatus.OK:
                    Answer(status, b"\n".join(stream.lines)).json()
                stream.wait_for_ever()
                on_open()
                yield from map(json.loads, stream.lines)
            finally:
                stream.close()

    async def negotiate(self, *, timeout: timedelta) -> Json:  # noqa: ASYNC109 - raises our own error
        """Ask the engine for its versions, and speak the newest API that it knows from now on."""

        def exchange() -> Json:
            with self._translated():
                return self._negotiate(self._connected(), timeout)

        return await self._quick.run(exchange, timeout=timeout)

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None,
        body: Json,
        headers: Mapping[str, str] | None,
        limit: timedelta,
    ) -> requests.Response:
        client = self._connected()
        return client.request(
            method,
            self._url(client, path, limit),
            params=params,
            data=None if body is None else json.dumps(body),
            headers={**(headers or {}), **({"Content-Type": "application/json"} if body else {})},
            timeout=_timeouts(limit),
            # Docker redirects paths that are not clean; to follow would be to call
            # something that nobody asked for.
            allow_redirects=False,
        )

    def _prepared(
        self, method: str, path: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[docker.APIClient, requests.PreparedRequest]:
        client = self._connected()
        url = self._url(client, path, self.timeout)
        wanted = requests.Request(method, url, params=params, headers=dict(headers))
        return client, client.prepare_request(wanted)

    def _url(self, client: docker.APIClient, path: str, limit: timedelta) -> str:
        if not self.api_version:
            self._negotiate(client, min(limit, self.timeout))
        return f"{client.base_url}/v{self.api_version}{path}"

    def _negotiate(self, client: docker.APIClient, limit: timedelta) -> Json:
        response = client.request("GET", f"{client.base_url}/version", timeout=_timeouts(limit))
        versions = Answer(response.status_code, response.content).json()
        self.api_version = str(versions["ApiVersion"])
        return versions

    def _connected(self) -> docker.APIClient:
        if self._client is None:
            client = docker.APIClient(
                self.url,
                version=_PLACEHOLDER_VERSION,
                tls=_tls(self._cert_path) if self._cert_path else False,
                timeout=int(self.timeout.total_seconds()) or 1,
                max_pool_size=self._pool_size,
            )
            # Neither proxies nor ~/.netrc are meant for the engine.
            client.trust_env = False
            if self.url.startswith("unix:"):
                path = self.url.removeprefix("unix:").removeprefix("//")
                client.mount("http+docker://", UnixAdapter(path, self._pool_size))
            self._client = client
        return self._client

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except _TROUBLES as error:
            self.api_version = ""  # another engine may answer next time
            raise broken_connection(error, self.endpoint) from error


def quoted(name: str) -> str:
    """Give `name` as one segment of a path."""
    return quote(name, safe="")


def filters(conditions: Mapping[str, list[str]]) -> dict[str, str | int]:
    """Give the parameter that filters a list."""
    return {"filters": json.dumps(conditions)}


def _timeouts(limit: timedelta) -> tuple[float, float]:
    return min(limit, CONNECT_TIMEOUT).total_seconds(), limit.total_seconds()


def _tls(folder: Path) -> TLSConfig:
    return TLSConfig(
        client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")),
        ca_cert=str(folder / "ca.pem"),
        verify=True,
    )


def _without_credentials(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"

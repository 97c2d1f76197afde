"""The connection to a Docker Engine: calls of its HTTP API, on threads of our own.

docker-py is the transport. The calls are written out here rather than made through its
methods, which hide the status code (a start of a running container, 304, looks like a
success) and lack options.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import requests
import urllib3
from docker.errors import DockerException

from proad.drivers.docker.errors import ENGINE, broken_connection, conflict
from proad.drivers.docker.stream import JsonStream, Stream
from proad.drivers.docker.transport import CONNECT_TIMEOUT, Transport
from proad.drivers.docker.turns import Turns
from proad.drivers.threads import EngineThreads
from proad.errors import EngineUnreachableError

Json = Any
T = TypeVar("T")
# What docker-py and the layers below it raise when there is no answer.
_TROUBLES = (
    DockerException,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    HTTPException,
    OSError,
)
_OF_ONE_CONTAINER = re.compile(r"/containers/([0-9a-f]{64})")
# How many calls of one container may be under way, so that a hung one leaves threads
# to the others, and how many urgent ones of all.
_OF_EACH = 2
_URGENT = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine answered, good or bad, and when by its clock."""

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
        threads: how many calls of each sort may be under way at once.
        timeout: of a call, unless it names its own.
    """

    def __init__(
        self, url: str, *, cert_path: Path | None, threads: int, timeout: timedelta
    ) -> None:
        self.endpoint = _without_credentials(url)
        self.timeout = timeout
        self.api_version = ""
        self._transport = Transport(
            url, cert_path=cert_path, size=4 * threads + _URGENT, timeout=timeout
        )
        # Lists and the like, which no hung container holds up.
        self._reads = EngineThreads(ENGINE, size=threads)
        self._work = EngineThreads(f"{ENGINE}-work", size=2 * threads)
        self._urgent = EngineThreads(f"{ENGINE}-urgent", size=_URGENT)
        # Calls that may take minutes have threads of their own: they delay no others.
        self._long = EngineThreads(f"{ENGINE}-long", size=threads)
        self._turns = Turns(_OF_EACH)
        self._urgent_turns = Turns(_OF_EACH)
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self._running.callback(self._transport.close)
        for threads in (self._reads, self._work, self._urgent, self._long):
            self._running.enter_context(threads)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

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
        threads: EngineThreads | None = None,
    ) -> Answer:
        """Make one HTTP call and give the answer, whatever its status.

        An `urgent` call does not wait for others, a `long` one does not hold them up, and
        `threads` are for calls that shall do neither.

        Raises:
            EngineUnreachableError: there was no answer.
            EngineTimedOutError: there was none in time; the effect is unknown.
        """
        limit = timeout or self.timeout

        def exchange() -> Answer:
            with self._translated():
                return self._send(method, path, params, body, headers, limit)

        if threads is not None or long:
            return await (threads or self._long).run(exchange, timeout=limit)
        if method == "GET" and not urgent and not _OF_ONE_CONTAINER.match(path):
            return await self._reads.run(exchange, timeout=limit)
        return await self._in_turn(path, exchange, limit, urgent=urgent)

    async def post_and_get(
        self, path: str, then: str, *, params: Mapping[str, str | int]
    ) -> tuple[Answer, Answer]:
        """Post, and get `then` with `params` right afterwards: quicker than by two calls.

        Raises:
            EngineUnreachableError: there was no answer.
            EngineTimedOutError: there was none in time; the effect is unknown.
        """

        def exchange() -> tuple[Answer, Answer]:
            with self._translated():
                posted = self._send("POST", path, None, None, None, self.timeout)
                return posted, self._send("GET", then, params, None, None, self.timeout)

        return await self._in_turn(path, exchange, self.timeout, urgent=False)

    async def _in_turn(
        self, path: str, call: Callable[[], T], limit: timedelta, *, urgent: bool
    ) -> T:
        pool, turns = (self._urgent, self._urgent_turns) if urgent else (self._work, self._turns)
        found = _OF_ONE_CONTAINER.match(path)
        if found is None:
            return await pool.run(call, timeout=limit)
        return await turns.take(found[1], limit, lambda left: pool.run(call, timeout=left))

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

        def begin() -> int:
            target = self._target(path, params, self.timeout)
            return stream.open(self._transport, "POST", target, headers, silence)

        try:
            status = await run(begin)
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
        params: Mapping[str, str | int],
        stream: Stream,
        on_open: Callable[[], None],
    ) -> Iterator[Json]:
        """Give the JSON objects of an answer that goes on for ever. Blocks.

        `on_open` is called once the engine has begun to answer. Hanging `stream` up ends it.

        Raises:
            EngineConflictError: the engine refused.
            EngineUnreachableError: there was no answer, or it broke off.
            EngineTimedOutError: the answer did not begin in time.
        """
        limit = min(self.timeout, CONNECT_TIMEOUT)
        with self._translated():
            try:
                target = self._target(path, params, limit)
                status = stream.open(self._transport, "GET", target, {}, limit)
                if status != HTTPStatus.OK:
                    refusal = Answer(status, b"\n".join(stream.lines))
                    raise conflict(status, refusal.text)
                stream.wait_for_ever()
                on_open()
                yield from map(json.loads, stream.lines)
            finally:
                stream.close()

    def ask(
        self,
        path: str,
        stream: Stream,
        params: Callable[[tuple[int, ...]], Mapping[str, str | int]],
        limit: timedelta,
    ) -> None:
        """Send a question, with parameters for the version of the API. Blocks.

        Raises:
            EngineUnreachableError: the engine does not take it.
            EngineTimedOutError: it does not take it in time.
        """
        with self._translated():
            self._target(path, None, limit)
            version = tuple(int(part) for part in self.api_version.split("."))
            target = self._target(path, params(version), limit)
            stream.send(self._transport, "GET", target, {}, limit)

    def first_object(self, stream: Stream) -> Json | None:
        """Give the first JSON object of an answer, or None where there is none. Blocks."""
        try:
            if stream.status() != HTTPStatus.OK:
                return None
            line = next(stream.lines, None)
            return None if line is None else json.loads(line)
        except (*_TROUBLES, ValueError):
            return None

    async def negotiate(self, *, timeout: timedelta) -> Json:  # noqa: ASYNC109 - raises our own error
        """Ask the engine for its versions, and speak the newest API that it knows from now on."""

        def exchange() -> Json:
            with self._translated():
                return self._negotiate(timeout)

        return await self._reads.run(exchange, timeout=timeout)

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None,
        body: Json,
        headers: Mapping[str, str] | None,
        limit: timedelta,
    ) -> Answer:
        reply = self._transport.exchange(
            method,
            self._target(path, params, limit),
            body=None if body is None else json.dumps(body).encode(),
            headers={**(headers or {}), **({"Content-Type": "application/json"} if body else {})},
            limit=limit,
        )
        return Answer(*reply)

    def _target(self, path: str, params: Mapping[str, str | int] | None, limit: timedelta) -> str:
        if not self.api_version:
            self._negotiate(min(limit, self.timeout))
        query = f"?{urlencode(params)}" if params else ""
        return f"/v{self.api_version}{path}{query}"

    def _negotiate(self, limit: timedelta) -> Json:
        reply = self._transport.exchange("GET", "/version", body=None, headers={}, limit=limit)
        versions = Answer(*reply).json()
        self.api_version = str(versions["ApiVersion"])
        return versions

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


def _without_credentials(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"

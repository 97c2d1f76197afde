"""Calls with long answers: progress, events, statistics."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, TypeVar

from proad.drivers.docker.errors import refused
from proad.drivers.docker.http.api import TROUBLES, Answer, Api
from proad.drivers.docker.http.api_version import ApiVersion
from proad.drivers.docker.http.body import BegunBody, open_body
from proad.drivers.docker.http.handover import Carrier, HandedOver
from proad.drivers.docker.http.stream import JsonStream, Stream
from proad.drivers.docker.http.upgraded import upgrade
from proad.drivers.threads import EngineThreads
from proad.drivers.tolerant import Value, parse_json

T = TypeVar("T")


class StreamingClient:
    """Makes calls with long answers, on the thread of the caller except for `begin`.

    Args:
        api: of the engine.
        threads: for `begin` and the stream that it returns.

    Attributes:
        is_ssh: whether the engine is reached by SSH.
    """

    def __init__(self, api: Api, threads: EngineThreads) -> None:
        self._api = api
        self._threads = threads
        self.is_ssh = api.transport.is_ssh

    async def begin(
        self,
        path: str,
        *,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        silence: timedelta,
    ) -> Answer | JsonStream:
        """Send a POST request; return a stream of JSON objects, or the Answer of a failure.

        `silence` is how long nothing may come.
        """

        async def run(call: Callable[[], T]) -> T:
            def translated() -> T:
                with self._api.translated():
                    return call()

            return await self._threads.run(translated, timeout=silence)

        stream = Stream()

        def begin() -> int:
            target = self._api.target(path, params, silence)
            return stream.open(self._api.transport, "POST", target, headers, silence)

        try:
            status = await run(begin)
            if status == HTTPStatus.OK:
                return JsonStream(stream, run, self._api.omissions)
            answer = Answer(status, await run(lambda: b"\n".join(stream.lines)))
        except BaseException:
            stream.close()
            raise
        stream.close()
        return answer

    def upgrade(
        self,
        carrier: Carrier,
        path: str,
        params: Mapping[str, str | int] | None,
        body: Mapping[str, Any] | None,
        limit: timedelta,
    ) -> Answer | HandedOver:
        """Send a POST request whose answer turns its connection into a stream of bytes.

        Return the Answer of a failure.

        Raises:
            EngineUnreachableError: there was no answer.
            EngineTimedOutError: there was none in time; the effect is unknown.
        """
        with self._api.translated():
            target = self._api.target(path, params, limit)
            return upgrade(carrier, self._api.transport, target, body, limit)

    def open_body(
        self, carrier: Carrier, path: str, params: Mapping[str, str | int], limit: timedelta
    ) -> Answer | BegunBody:
        """Send a GET request, and return how its long answer begins. Blocks.

        Return the Answer of a failure.

        Raises:
            ProaError: as `upgrade` raises.
        """
        with self._api.translated():
            target = self._api.target(path, params, limit)
            return open_body(carrier, self._api.transport, target, limit)

    def follow(
        self,
        path: str,
        *,
        params: Mapping[str, str | int],
        stream: Stream,
        on_open: Callable[[], None],
    ) -> Iterator[Value]:
        """Yield the JSON objects of an endless answer. Blocks.

        `on_open` is called once the engine has begun to answer. `stream.hang_up` ends the answer.

        Raises:
            EngineConflictError: the engine refused.
            EngineUnreachableError: there was no answer, or it broke off.
            EngineTimedOutError: the answer did not begin in time.
        """
        limit = min(self._api.timeout, self._api.connect_timeout)
        with self._api.translated():
            try:
                target = self._api.target(path, params, limit)
                status = stream.open(self._api.transport, "GET", target, {}, limit)
                if status != HTTPStatus.OK:
                    refusal = Answer(status, b"\n".join(stream.lines))
                    raise refused(status, refusal.text)
                stream.wait_for_ever()
                on_open()
                for line in stream.lines:
                    yield Value(parse_json(line), self._api.omissions, path="event")
            finally:
                stream.close()

    def ask(
        self,
        path: str,
        stream: Stream,
        params: Callable[[ApiVersion], Mapping[str, str | int]],
        limit: timedelta,
    ) -> ApiVersion:
        """Send a GET request, with parameters for the version of the API, and return that. Blocks.

        Raises:
            EngineUnreachableError: the engine does not take it.
            EngineTimedOutError: it does not take it in time.
        """
        with self._api.translated():
            version = self._api.spoken(limit)
            target = self._api.target(path, params(version), limit)
            stream.send(self._api.transport, "GET", target, {}, limit)
            return version

    def first_object(self, stream: Stream, about: str) -> Value | None:
        """Return the first JSON object of an answer, or None where there is none. Blocks."""
        try:
            if stream.status() != HTTPStatus.OK:
                return None
            line = next(stream.lines, None)
            return None if line is None else Value(parse_json(line), self._api.omissions, about)
        except (*TROUBLES, ValueError):
            return None

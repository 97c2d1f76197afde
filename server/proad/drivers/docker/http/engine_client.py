"""Calls to a Docker Engine, on threads of the driver's own.

A container may hang, and the engine then hangs in each call about that container. Therefore the
calls of one container are limited, and calls that no container can delay have their own threads.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.api import Answer, Api
from proad.drivers.docker.http.api_version import ApiVersion
from proad.drivers.docker.http.body import BegunBody
from proad.drivers.docker.http.handover import Carrier, HandedOver
from proad.drivers.docker.http.places import StreamPlaces
from proad.drivers.docker.http.streaming_client import StreamingClient
from proad.drivers.docker.timing import DockerTiming
from proad.drivers.keyed_limiter import KeyedLimiter
from proad.drivers.threads import EngineThreads

Json = Any
Params = Mapping[str, str | int] | None
T = TypeVar("T")

_OF_ONE_CONTAINER = re.compile(r"/containers/([0-9a-f]{64})")
# Calls of one container at a time, so that a hung container leaves threads to the others,
# and urgent calls of all containers.
_OF_EACH = 2
_URGENT = 4


class EngineClient:
    """Calls of the Engine API.

    Args:
        url: unix://, tcp:// or ssh:// address of the engine.
        cert_path: folder with ca.pem, cert.pem and key.pem; makes tcp:// speak TLS.
        threads: how many calls of each sort may be under way at once.
        timeout: of a call, unless it names its own.
        connect_timeout: of a connection, and of the beginning of a stream.
        user: returns the id of the user for whom the current task works.
    """

    def __init__(
        self,
        url: str,
        *,
        cert_path: Path | None,
        threads: int,
        timeout: timedelta,
        connect_timeout: timedelta = DockerTiming().connect,
        user: Callable[[], str] = lambda: "",
    ) -> None:
        self.timeout = timeout
        self.api = Api(
            url,
            cert_path=cert_path,
            connections=4 * threads + _URGENT,
            timeout=timeout,
            connect_timeout=connect_timeout,
        )
        # Lists and the like, which no hung container delays.
        self._reads = EngineThreads(ENGINE, "read", size=threads)
        self._work = EngineThreads(ENGINE, "work", size=2 * threads)
        self._urgent = EngineThreads(ENGINE, "urgent", size=_URGENT)
        # Calls that may take minutes have their own threads, and delay no others.
        self._long = EngineThreads(ENGINE, "long", size=threads)
        self.streaming = StreamingClient(self.api, self._long)
        self._limiter = KeyedLimiter(ENGINE, _OF_EACH)
        self._urgent_limiter = KeyedLimiter(ENGINE, _OF_EACH)
        self._places = StreamPlaces(user) if self.api.transport.is_ssh else None
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self._running.callback(self.api.close)
        for threads in (self._reads, self._work, self._urgent, self._long):
            self._running.enter_context(threads)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    async def get(
        self,
        path: str,
        *,
        params: Params = None,
        headers: Mapping[str, str] | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - raises our own error
        urgent: bool = False,
        container: str = "",
    ) -> Answer:
        """Send a GET request, and return the answer, whatever its status; see `read`."""
        return await self.read(
            path,
            lambda answer: answer,
            params=params,
            headers=headers,
            timeout=timeout,
            urgent=urgent,
            container=container,
        )

    async def read(
        self,
        path: str,
        convert: Callable[[Answer], T],
        *,
        params: Params = None,
        headers: Mapping[str, str] | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - raises our own error
        urgent: bool = False,
        container: str = "",
    ) -> T:
        """Send a GET request, and return what `convert` makes of the answer on the thread.

        An `urgent` request does not wait for other calls. `container` is the id of the one that may
        delay the answer, where `path` does not have it.

        Raises:
            EngineUnreachableError: there was no answer.
            EngineTimedOutError: there was none in time.
        """
        limit = timeout or self.timeout

        def exchange() -> T:
            return convert(self.api.call("GET", path, limit=limit, params=params, headers=headers))

        container = container or _container_in(path)
        if urgent or container:
            return await self._limited(container, exchange, limit, urgent=urgent)
        return await self._reads.run(exchange, timeout=limit)

    async def post(
        self,
        path: str,
        *,
        params: Params = None,
        body: Json = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - raises our own error
        urgent: bool = False,
        long: bool = False,
        container: str = "",
    ) -> Answer:
        """Send a POST request, and return the answer, whatever its status.

        An `urgent` call does not wait for others, and a `long` one does not hold them up. `container`
        is as for `read`.

        Raises:
            EngineUnreachableError: there was no answer.
            EngineTimedOutError: there was none in time; the effect is unknown.
        """
        limit = timeout or self.timeout

        def exchange() -> Answer:
            return self.api.call("POST", path, limit=limit, params=params, body=body)

        if long:
            return await self._long.run(exchange, timeout=limit)
        container = container or _container_in(path)
        return await self._limited(container, exchange, limit, urgent=urgent)

    async def upgrade(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Params = None,
        container: str,
    ) -> Answer | HandedOver:
        """Send a POST request about a container that turns its connection into a stream of bytes.

        Return the Answer of a failure.

        Raises:
            ProaError: as `StreamingClient.upgrade` raises.
        """
        carrier = self._carrier()
        exchange = partial(self.streaming.upgrade, carrier, path, params, body, self.timeout)
        return await self._carried(carrier, container, exchange)

    async def open_body(self, path: str, params: Mapping[str, str | int]) -> Answer | BegunBody:
        """Send a GET request about a container, and return how its long answer begins.

        Return the Answer of a failure.

        Raises:
            ProaError: as `StreamingClient.open_body` raises.
        """
        carrier = self._carrier()
        exchange = partial(self.streaming.open_body, carrier, path, params, self.timeout)
        return await self._carried(carrier, _container_in(path), exchange)

    async def delete(self, path: str, *, params: Params = None) -> Answer:
        """Send a DELETE request, and return the answer, whatever its status.

        Raises:
            EngineUnreachableError: there was no answer.
            EngineTimedOutError: there was none in time; the effect is unknown.
        """
        limit = self.timeout

        def exchange() -> Answer:
            return self.api.call("DELETE", path, limit=limit, params=params)

        return await self._limited(_container_in(path), exchange, limit, urgent=False)

    async def post_and_read(
        self,
        path: str,
        then: str,
        convert: Callable[[Answer], T],
        *,
        params: Mapping[str, str | int],
    ) -> tuple[Answer, T]:
        """Send a POST request, and read `then` right afterwards on the same thread.

        Raises:
            EngineUnreachableError: there was no answer.
            EngineTimedOutError: there was none in time; the effect is unknown.
        """
        limit = self.timeout

        def exchange() -> tuple[Answer, T]:
            posted = self.api.call("POST", path, limit=limit)
            return posted, convert(self.api.call("GET", then, limit=limit, params=params))

        return await self._limited(_container_in(path), exchange, limit, urgent=False)

    def _carrier(self) -> Carrier:
        return Carrier(self._places.of_user() if self._places else None)

    async def _carried(self, carrier: Carrier, container: str, call: Callable[[], T]) -> T:
        """Make a call; a connection whose caller waits no more is hung up, for it may have no end."""
        try:
            return await self._limited(container, call, self.timeout, urgent=False)
        except BaseException:
            carrier.give_up()
            raise

    async def _limited(
        self, container: str, call: Callable[[], T], limit: timedelta, *, urgent: bool
    ) -> T:
        pool, limiter = (
            (self._urgent, self._urgent_limiter) if urgent else (self._work, self._limiter)
        )
        if not container:
            return await pool.run(call, timeout=limit)
        return await limiter.run(container, pool, call, limit)

    async def negotiate(self, *, timeout: timedelta) -> tuple[ApiVersion, str]:  # noqa: ASYNC109 - raises our own error
        """Ask the engine for its versions; return that of the API, spoken from now on, and its own.

        Raises:
            EngineUnreachableError: there was no answer, or no version of the API that both know.
            EngineTimedOutError: there was none in time.
        """
        return await self._reads.run(lambda: self.api.negotiate(timeout), timeout=timeout)


def _container_in(path: str) -> str:
    """Return the id of the container that a path is about; empty: of none."""
    found = _OF_ONE_CONTAINER.match(path)
    return found[1] if found else ""

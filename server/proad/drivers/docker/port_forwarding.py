"""Connections to ports inside containers."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import timedelta
from functools import partial

from proad.drivers import neighbours
from proad.drivers.docker.container_run import ContainerRun
from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.network_namespace import HostNetworkError, NetworkNamespace
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.exhausted import exhausted, is_exhausted
from proad.drivers.neighbours import Neighbour
from proad.drivers.tcp_connection import CONNECT_TIMEOUT, TcpConnection, connect, connection_of
from proad.drivers.tolerant import Value
from proad.errors import (
    CapabilityMissingError,
    ConnectionFailedError,
)
from proad.model import NETWORK_OF, Resource
from proad.model.verbs import run_over

_HOST = "host"
_LONGEST_PREFIX = 128
_LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
# Threads that enter a namespace at a time; each takes a moment.
_ENTERING = 8


class ContainerPorts:
    """Connects to ports inside containers.

    Args:
        engine: the engine.
        reader: reads the containers.
        is_on_this_host: whether the engine's containers are on this host.
        limit: of a connection.
    """

    def __init__(
        self,
        engine: EngineClient,
        reader: ContainerReader,
        *,
        is_on_this_host: bool,
        limit: timedelta = CONNECT_TIMEOUT,
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._is_on_this_host = is_on_this_host
        self._limit = limit
        self._entering = asyncio.Semaphore(_ENTERING)

    @asynccontextmanager
    async def connect(self, id: str, port: int) -> AsyncIterator[TcpConnection]:
        """Connect to a port; see `ports.PortForwarding`."""
        resource = await self._reader.running(id)
        if not self._is_on_this_host:
            raise CapabilityMissingError(
                "connections to ports of containers of an engine on another host",
                driver=ENGINE,
                hint="its addresses mean something else here; run a daemon on that host, or publish "
                "the port",
            )
        run = self._run_of(resource)
        try:
            sockets = await self._sockets(run) if run is not None else []
            place = self._inside(sockets, port) if sockets else self._beside(id, port)
            async with place as connection:
                if run is not None:
                    run.on_end(lambda: connection.fail(run_over(resource)))
                yield connection
        finally:
            if run is not None:
                run.close()

    def _run_of(self, resource: Resource) -> ContainerRun[NetworkNamespace] | None:
        pid = resource.container.pid if resource.container else 0
        networks = resource.container.networks if resource.container else ()
        is_joined = any(each.network.startswith(NETWORK_OF) for each in networks)
        try:
            if any(each.network == _HOST for each in networks):
                raise HostNetworkError  # noqa: TRY301 - as a look at the namespace would
            hold = partial(NetworkNamespace.of, is_joined=is_joined)
            return ContainerRun.of(pid, resource.id, hold) if pid else None
        except HostNetworkError:
            raise CapabilityMissingError(
                "connections to ports of a container that shares the network of its host",
                driver=ENGINE,
                hint="what it listens on is a port of the host itself: connect there, or give it "
                "a network of its own",
            ) from None
        except OSError as error:
            raise exhausted(ENGINE, error) from None

    async def _sockets(self, run: ContainerRun[NetworkNamespace]) -> list[socket.socket]:
        """Return sockets in the network of a container; none if this process may not enter it."""
        if run.held is None:
            return []
        async with self._entering:
            try:
                return await run.held.sockets()
            except OSError as error:
                if is_exhausted(error):
                    raise exhausted(ENGINE, error) from None
                return []

    @asynccontextmanager
    async def _inside(
        self, sockets: list[socket.socket], port: int
    ) -> AsyncIterator[TcpConnection]:
        """Connect one of some sockets to the loopback of their container.

        Raises:
            ConnectionFailedError: nobody listens.
        """
        with ExitStack() as unused:
            for each in sockets:
                unused.callback(each.close)
            carrier, address = await self._connected(sockets, port)
            unused.pop_all()
        for each in sockets:
            if each is not carrier:
                each.close()
        async with connection_of(carrier, port, address) as connection:
            yield connection

    async def _connected(
        self, sockets: list[socket.socket], port: int
    ) -> tuple[socket.socket, str]:
        failure: ConnectionFailedError | None = None
        for each in sockets:
            host = _LOOPBACK[each.family]
            try:
                await connect(each, host, port, self._limit)
            except ConnectionFailedError as error:
                failure = failure or error
                if error.cause != "refused":
                    break
            else:
                return each, f"{host}:{port}" if ":" not in host else f"[{host}]:{port}"
        raise failure or ConnectionFailedError(port, "unreachable")

    @asynccontextmanager
    async def _beside(self, id: str, port: int) -> AsyncIterator[TcpConnection]:
        """Connect to the address of a container in a bridge network."""
        item = (await self._engine.get(path(id, "/json"))).value(id)
        found = [*_neighbours(item)]
        async with neighbours.connected(
            found,
            port,
            self._limit,
            driver=ENGINE,
            hint="give it a bridge network; only a daemon with CAP_SYS_ADMIN and CAP_SYS_PTRACE may "
            "enter its network namespace",
        ) as connection:
            yield connection


def _neighbours(item: Value) -> Iterator[Neighbour]:
    """Yield where an inspected container may be connected to."""
    for _, endpoint in item["NetworkSettings"]["Networks"].entries():
        for address, prefix, gateway in (
            ("IPAddress", "IPPrefixLen", "Gateway"),
            ("GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPv6Gateway"),
        ):
            length = endpoint[prefix].count(_LONGEST_PREFIX)
            with suppress(ValueError):
                own = ipaddress.ip_address(endpoint[address].text())
                # Some networks have none; that of the host is told from the others by its route.
                told = endpoint[gateway].text()
                gateways = (ipaddress.ip_address(told),) if told else ()
                yield Neighbour(
                    address=own,
                    mac_address=endpoint["MacAddress"].text(),
                    networks=(ipaddress.ip_network(f"{own}/{length}", strict=False),),
                    gateways=gateways,
                )

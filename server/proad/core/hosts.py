"""The host connections, their engines, and what each engine can do."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from proad.core.engine_connection import EngineConnection
from proad.errors import CapabilityMissingError, HostNotFoundError
from proad.model import Capability, Engine, EngineRef, Host, ResourceFilter, ResourceKind, StopMode
from proad.ports import (
    Commands,
    Consoles,
    Containers,
    Domains,
    Driver,
    Files,
    Images,
    Logs,
    PortForwarding,
    Recreation,
    Snapshots,
    SocketForwarding,
    Stats,
    Updates,
    Volumes,
)

P = TypeVar("P")

_NEXT_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")

_PROTOCOLS: Mapping[Capability, type[Any]] = {
    Capability.CONTAINERS: Containers,
    Capability.IMAGES: Images,
    Capability.DOMAINS: Domains,
    Capability.SNAPSHOTS: Snapshots,
    Capability.VOLUMES: Volumes,
    Capability.UPDATE: Updates,
    Capability.STATS: Stats,
    Capability.RECREATE: Recreation,
    Capability.COMMANDS: Commands,
    Capability.FILES: Files,
    Capability.PORT_FORWARDING: PortForwarding,
    Capability.LOGS: Logs,
    Capability.CONSOLES: Consoles,
    Capability.SOCKET_FORWARDING: SocketForwarding,
}


def capabilities(driver: Driver) -> tuple[Capability, ...]:
    """Return what a driver can do beyond the lifecycle."""
    found = [
        name
        for name, protocol in _PROTOCOLS.items()
        if isinstance(driver, protocol) and name not in driver.lacks
    ]
    if StopMode.SAVE in driver.stop_modes:
        found.append(Capability.SAVE)
    return tuple(found)


def require(driver: Driver, capability: type[P]) -> P:
    """Return `driver` as one with `capability`.

    Raises:
        CapabilityMissingError: the driver lacks the capability.
    """
    if not isinstance(driver, capability):
        raise CapabilityMissingError(_name(capability), driver=driver.name)
    return driver


class Hosts:
    """All host connections, in the order of the configuration.

    Args:
        names: names of the hosts.
        connections: the engines on these hosts.
    """

    def __init__(self, names: Sequence[str], connections: Sequence[EngineConnection]) -> None:
        self.names = tuple(names)
        self.connections = tuple(connections)

    def covered(self, which: ResourceFilter) -> list[EngineConnection]:
        """Return the connections whose engines may have resources that match `which`.

        Raises:
            HostNotFoundError: `which` names a host that is not configured.
        """
        for host in which.hosts:
            self._require_host(host)
        return [
            connection
            for connection in self.connections
            if (not which.hosts or connection.ref.host in which.hosts)
            and (not which.kinds or set(which.kinds) & set(connection.driver.kinds))
            and (not which.image or ResourceKind.CONTAINER in connection.driver.kinds)
        ]

    def connection(self, host: str, driver: str) -> EngineConnection | None:
        """Return the connection of a driver on a host; None: there is none."""
        for connection in self.connections:
            if connection.ref == EngineRef(host, driver):
                return connection
        return None

    def offering(self, capability: type[P], host: str) -> tuple[EngineConnection, P]:
        """Return the connection, and its driver, of the engine on a host with a capability.

        Args:
            capability: the protocol of the capability.
            host: name of the host; empty: the first one.

        Raises:
            HostNotFoundError: no such host is configured.
            CapabilityMissingError: no engine of the host has the capability.
        """
        name = self._require_host(host)
        for connection in self.connections:
            if connection.ref.host == name and isinstance(connection.driver, capability):
                return connection, connection.driver
        raise CapabilityMissingError(_name(capability), driver=f"host {name!r}")

    def describe(self, host: str) -> Host:
        """Return what is known of a host, without a call to an engine.

        Raises:
            HostNotFoundError: no such host is configured.
        """
        name = self._require_host(host)
        connections = [connection for connection in self.connections if connection.ref.host == name]
        infos = [connection.info for connection in connections]
        return Host(
            name=name,
            engines=tuple(_engine(connection) for connection in connections),
            hostname=next((info.hostname for info in infos if info.hostname), ""),
            cpus=max((info.cpus for info in infos), default=0),
            memory_bytes=max((info.memory_bytes for info in infos), default=0),
            architecture=next((info.architecture for info in infos if info.architecture), ""),
        )

    def _require_host(self, host: str) -> str:
        if not host and self.names:
            return self.names[0]
        if host not in self.names:
            raise HostNotFoundError(host)
        return host


def _name(capability: type[object]) -> str:
    """Return what a capability is called, for people: the words of its protocol."""
    return _NEXT_WORD.sub(" ", capability.__name__).lower()


def _engine(connection: EngineConnection) -> Engine:
    return Engine(
        ref=connection.ref,
        version=connection.info.version,
        api_version=connection.info.api_version,
        endpoint=connection.driver.endpoint,
        kinds=connection.driver.kinds,
        capabilities=capabilities(connection.driver),
        health=connection.health,
        health_change_time=connection.health_change_time,
        health_message=connection.health_message,
        warnings=connection.info.warnings,
        last_sync_time=connection.last_sync_time,
    )

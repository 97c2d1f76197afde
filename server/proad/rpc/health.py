"""grpc.health.v1: a service is SERVING while an engine that it needs answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio

from proad import ports
from proad.core.engine_connection import EngineConnection
from proad.core.hosts import Hosts
from proad.model import EngineHealth

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

# The port that a service needs at least one engine to have; the others need no engine.
_NEEDS: Mapping[str, type[Any]] = {
    "proa.v1.ResourceService": ports.Driver,
    "proa.v1.ContainerService": ports.Containers,
    "proa.v1.ImageService": ports.Images,
    "proa.v1.DomainService": ports.Domains,
    "proa.v1.SnapshotService": ports.Snapshots,
    "proa.v1.VolumeService": ports.Volumes,
}


class Health:
    """Keeps the standard health service in step with the engines.

    The empty service name is the daemon itself: it is SERVING without any engine, because it
    can report what is wrong.
    """

    def __init__(self, hosts: Hosts, services: Sequence[str]) -> None:
        self.servicer = aio.HealthServicer()
        self._hosts = hosts
        self._services = tuple(services)

    async def start(self) -> None:
        """Follow the health of the engines from now on."""
        for connection in self._hosts.connections:
            connection.on_health_change(self.refresh)
        await self.servicer.set("", _SERVING)
        await self.refresh()

    async def refresh(self) -> None:
        """Set the status of each service by the present health of its engines."""
        for service in self._services:
            await self.servicer.set(service, self._status(service))

    async def stop(self) -> None:
        """Report NOT_SERVING for all services from now on."""
        await self.servicer.enter_graceful_shutdown()

    def _status(self, service: str) -> Any:  # an int of an enum without type stubs
        needed = _NEEDS.get(service)
        if needed is None or any(
            self._serves(connection, needed) for connection in self._hosts.connections
        ):
            return _SERVING
        return _NOT_SERVING

    @staticmethod
    def _serves(connection: EngineConnection, needed: type[Any]) -> bool:
        return connection.health is EngineHealth.SERVING and isinstance(connection.driver, needed)

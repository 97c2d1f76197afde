"""The ports of the imitated host, and the containers that publish on them."""

from collections.abc import Iterable
from dataclasses import replace

from proad.drivers.memory.connection import NAME
from proad.drivers.memory.workload import Workload
from proad.errors import EngineConflictError, InUseError
from proad.model import PortProtocol, PublishedPort

_EVERY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to
_PICKED_FROM = range(32768, 61000)


class HostPorts:
    """Allocates host ports to containers."""

    def __init__(self) -> None:
        # The publishing containers of each number and protocol, by address of the host.
        self._users: dict[tuple[int | None, PortProtocol], dict[str, Workload]] = {}
        self._picked = 0

    def publish(
        self, wishes: Iterable[PublishedPort], workload: Workload
    ) -> tuple[PublishedPort, ...]:
        """Allocate all ports of a container, and return them with the numbers that were picked.

        Raises:
            InUseError: one is taken, and none was allocated.
        """
        ports: list[PublishedPort] = []
        try:
            for wish in wishes:
                ports.append(self._allocate(wish, workload))  # noqa: PERF401 - kept on a failure
        except Exception:
            self.release(ports)
            raise
        return tuple(ports)

    def release(self, ports: Iterable[PublishedPort]) -> None:
        """Release ports that were allocated."""
        for port in ports:
            users = self._users[_key(port)]
            del users[port.host_ip]
            if not users:
                del self._users[_key(port)]

    def _allocate(self, wish: PublishedPort, workload: Workload) -> PublishedPort:
        port = wish if wish.host_port else self._pick(wish)
        if users := self._users_of(port):
            raise InUseError.of_the_host(
                "port",
                f"{port.host_ip or '0.0.0.0'}:{port.host_port}",  # noqa: S104 - told, not bound
                [user.resource.name for user in users if user is not workload],
            )
        self._users.setdefault(_key(port), {})[port.host_ip] = workload
        return port

    def _pick(self, wish: PublishedPort) -> PublishedPort:
        for _ in _PICKED_FROM:
            port = replace(wish, host_port=_PICKED_FROM[self._picked])
            self._picked = (self._picked + 1) % len(_PICKED_FROM)
            if not self._users_of(port):
                return port
        raise EngineConflictError(NAME, "all ports are allocated")

    def _users_of(self, port: PublishedPort) -> list[Workload]:
        return [
            user
            for address, user in self._users.get(_key(port), {}).items()
            if address == port.host_ip or {address, port.host_ip} & _EVERY_ADDRESS
        ]


def _key(port: PublishedPort) -> tuple[int | None, PortProtocol]:
    return port.host_port, port.protocol

"""Connections to ports and Unix sockets inside resources."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proad.core.entrance import Entrance
from proad.model import Action
from proad.ports import PortConnection, PortForwarding, SocketForwarding


class PortOperations:
    """Connects to ports and Unix sockets inside resources.

    Errors are those of `Entrance.enter` and of the port.

    Args:
        entrance: admits callers into resources.
    """

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    @asynccontextmanager
    async def connected(self, ref: str, port: int) -> AsyncIterator[PortConnection]:
        """Connect to a port while the block runs; the resource's stop ends the block."""
        async with (
            self._entrance.enter(
                ref, PortForwarding, Action.FORWARD_PORT, until_stopped=True
            ) as entered,
            entered.driver.connect_port(entered.id, port) as connection,
        ):
            yield connection

    @asynccontextmanager
    async def socket_connected(self, ref: str, path: str) -> AsyncIterator[PortConnection]:
        """Connect to a Unix socket while the block runs; the resource's stop ends the block."""
        async with (
            self._entrance.enter(
                ref, SocketForwarding, Action.FORWARD_PORT, until_stopped=True
            ) as entered,
            entered.driver.connect_socket(entered.id, path) as connection,
        ):
            yield connection

"""Connections to ports inside resources."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proad.core.entrance import Entrance
from proad.model import Action
from proad.ports import PortConnection, PortForwarding


class PortOperations:
    """Connects to ports inside resources.

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

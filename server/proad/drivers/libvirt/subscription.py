"""Subscriptions: what libvirt tells, what it does not and is looked for, and the loss of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from proad.drivers.hints import Hints
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.libvirt.poller import Poller
from proad.errors import EngineUnreachableError
from proad.model import EngineEvent


class Subscriptions:
    """All open subscriptions; used on the asyncio loop.

    Args:
        connection: to libvirt.
        forget: told of a domain that changed without an event, before the readers are.
        poll_interval: how often a subscription looks for such changes.
    """

    def __init__(
        self, connection: Connection, forget: Callable[[str], None], poll_interval: timedelta
    ) -> None:
        self._connection = connection
        self._forget = forget
        self._poll_interval = poll_interval
        self._open: set[Hints] = set()

    def publish(self, event: EngineEvent) -> None:
        """Tell every reader."""
        for hints in self._open:
            hints.add(event)

    def end(self, why: str) -> None:
        """Tell every reader that it may have missed something."""
        for hints in self._open:
            hints.lose(EngineUnreachableError(ENGINE, why))
        self._open.clear()

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        """Collect what happens for as long as the block lasts.

        Raises:
            EngineUnreachableError: libvirtd does not answer.
        """
        await self._connection.open()
        hints = Hints()
        self._open.add(hints)
        try:
            poller = Poller(self._connection, self._on_change, self._poll_interval)
            # It also asks whether libvirtd answers: a connection may not know yet.
            await poller.poll()
            polling = asyncio.create_task(poller.run())
            try:
                yield hints
            finally:
                polling.cancel()
        finally:
            self._open.discard(hints)

    def _on_change(self, id: str) -> None:
        self._forget(id)
        self.publish(EngineEvent(id=id))

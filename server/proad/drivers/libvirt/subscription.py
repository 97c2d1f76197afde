"""Subscriptions: what libvirt tells, what it does not and is looked for, and the loss of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Never

from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.libvirt.poller import Poller
from proad.drivers.subscriber import Subscriber
from proad.errors import EngineUnreachableError
from proad.model import EngineEvent
from proad.ports import OnEvent


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
        self._open: set[Subscriber] = set()

    def publish(self, event: EngineEvent) -> None:
        """Send an event to every subscriber."""
        for subscriber in tuple(self._open):
            subscriber.publish(event)

    def end(self, why: str) -> None:
        """End all subscriptions because events may have been missed."""
        for subscriber in self._open:
            subscriber.lose(EngineUnreachableError(ENGINE, why))
        self._open.clear()

    @asynccontextmanager
    async def subscribed(self, on_event: OnEvent) -> AsyncIterator[asyncio.Future[Never]]:
        """Call `on_event` for each event while the block lasts; see `ports.Driver.subscribe`.

        Raises:
            EngineUnreachableError: libvirtd does not answer.
        """
        await self._connection.open()
        subscriber = Subscriber(on_event)
        self._open.add(subscriber)
        try:
            poller = Poller(self._connection, self._on_change, self._poll_interval)
            # It also asks whether libvirtd answers: a connection may not know yet.
            await poller.poll()
            polling = asyncio.create_task(poller.run())
            try:
                yield subscriber.lost
            finally:
                polling.cancel()
        finally:
            self._open.discard(subscriber)
            subscriber.close()

    def _on_change(self, id: str) -> None:
        self._forget(id)
        self.publish(EngineEvent(id=id))

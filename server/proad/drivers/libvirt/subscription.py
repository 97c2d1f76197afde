"""Subscriptions to changes: libvirt's events, and what the poller finds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Never

from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.libvirt.poller import Poller
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.subscriber import Subscriber
from proad.errors import EngineUnreachableError
from proad.model import EngineEvent
from proad.ports import OnEvent


class Subscriptions:
    """All open subscriptions; used on the asyncio loop.

    Args:
        connection: to libvirt.
        reader: its cache is invalidated for a domain that changed without an event.
        poll_interval: time between two polls for such changes.
    """

    def __init__(
        self, connection: Connection, reader: DomainReader, poll_interval: timedelta
    ) -> None:
        self._connection = connection
        self._reader = reader
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
            poller = Poller(self._connection, self._reader, self._on_change, self._poll_interval)
            # Also a check that libvirtd answers: the connection may not have noticed a loss yet.
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
        self._reader.forget(id)
        self.publish(EngineEvent(id=id))

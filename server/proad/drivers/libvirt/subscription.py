"""Subscriptions: what libvirt tells, what it does not and is looked for, and the loss of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from proad.drivers.hints import Hints
from proad.drivers.libvirt.connection import Connection
from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.libvirt.sweep import Sweep
from proad.errors import EngineUnreachableError
from proad.model import EngineEvent


class Subscriptions:
    """All open subscriptions; used on the asyncio loop.

    Args:
        connection: to libvirt.
        forget: told of a domain that changed without an event, before the readers are.
        sweep_every: how often a subscription looks for such changes.
    """

    def __init__(
        self, connection: Connection, forget: Callable[[str], None], sweep_every: timedelta
    ) -> None:
        self._connection = connection
        self._forget = forget
        self._sweep_every = sweep_every
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
            sweep = Sweep(self._connection, self._found, self._sweep_every)
            # It also asks whether libvirtd answers: a connection may not know yet.
            await sweep.look()
            sweeping = asyncio.create_task(sweep.run())
            try:
                yield hints
            finally:
                sweeping.cancel()
        finally:
            self._open.discard(hints)

    def _found(self, id: str) -> None:
        self._forget(id)
        self.publish(EngineEvent(id=id))

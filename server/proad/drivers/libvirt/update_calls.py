"""The port Updates: calls that change domains."""

import libvirt

from proad.drivers.libvirt import update as updating
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.connections.queries import lookup
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.timing import ResizeTiming
from proad.model import ResourceUpdate, Updated, UpdatePlan


class UpdateCalls:
    """Plans and makes changes of domains; see `ports.Updates`.

    Args:
        connection: to libvirt.
        reader: reads domains.
        timing: durations of a change of the memory.
    """

    def __init__(self, connection: Connection, reader: DomainReader, timing: ResizeTiming) -> None:
        self._connection = connection
        self._reader = reader
        self._timing = timing

    async def plan(self, id: str, update: ResourceUpdate) -> UpdatePlan:
        """Return what an update would do."""
        return await self._connection.on(
            id, lambda domain: updating.plan(self._reader, domain, update)
        )

    async def update(self, id: str, update: ResourceUpdate) -> Updated:
        """Change a domain; see `updating.apply`."""

        def act(domain: libvirt.virDomain) -> Updated:
            try:
                late = updating.apply(self._reader, domain, update, self._timing)
            finally:
                self._reader.forget(id)
            # Looked up again: libvirt's object keeps the name that it was looked up with.
            now = self._reader.full(lookup(domain.connect(), id))
            return Updated(resource=now, restart_required=late)

        return await self._connection.on(id, act)

"""The port Snapshots: calls about snapshots of domains."""

from functools import partial

import libvirt

from proad.drivers.libvirt import snapshots
from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.rollback import Rollback
from proad.drivers.threads import from_thread
from proad.drivers.tolerant import Omissions
from proad.drivers.under_way import CreatesUnderWay
from proad.model import Resource, RevertState, Snapshot, SnapshotSpec
from proad.ports import AnnounceFootprint


class SnapshotCalls:
    """Lists, takes, reverts and deletes snapshots; see `ports.Snapshots`.

    Args:
        connection: to libvirt.
        reader: reads domains.
        omissions: gets what cannot be read.
        under_way: gets the creates that are under way.
    """

    def __init__(
        self,
        connection: Connection,
        reader: DomainReader,
        omissions: Omissions,
        under_way: CreatesUnderWay,
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._omissions = omissions
        self._under_way = under_way

    async def list(self, id: str) -> list[Snapshot]:
        """Return the snapshots of a domain, in any order."""
        read = partial(snapshots.list_all, omissions=self._omissions)
        return await self._connection.on(id, read, bulkhead=Bulkhead.READ)

    async def get(self, id: str, name: str) -> Snapshot:
        """Return one snapshot."""
        return await self._connection.on(
            id, lambda domain: snapshots.get(domain, name, self._omissions), bulkhead=Bulkhead.READ
        )

    async def create(self, id: str, spec: SnapshotSpec, announce: AnnounceFootprint) -> Snapshot:
        """Take a snapshot, with memory if the domain is active."""
        tell = from_thread(announce)

        def take(domain: libvirt.virDomain) -> Snapshot:
            call = Rollback(tell, self._under_way)
            try:
                return snapshots.create(self._reader, domain, spec, self._omissions, call.begin)
            finally:
                call.end()

        return await self._connection.on(
            id, take, timeout=self._connection.timing.long_call_timeout
        )

    async def revert(self, id: str, name: str, state: RevertState | None) -> Resource:
        """Revert a domain to a snapshot; None: to the state that it had then."""

        def act(domain: libvirt.virDomain) -> Resource:
            snapshots.revert(self._reader, domain, name, state)
            # The metadata was reverted too.
            self._reader.forget(id)
            return self._reader.full(domain)

        return await self._connection.on(id, act, timeout=self._connection.timing.long_call_timeout)

    async def delete(self, id: str, name: str, *, children: bool) -> None:
        """Delete a snapshot, and with `children` those taken after it."""
        drop = partial(snapshots.delete, self._reader, name=name, children=children)
        await self._connection.on(id, drop, timeout=self._connection.timing.long_call_timeout)

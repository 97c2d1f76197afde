"""Polling for changes that libvirt has no event of.

With libvirt 9 these are: autostart (`virsh autostart`), the removal of a saved state (`virsh
managedsave-remove`), memory and processors of a stopped domain (`virsh setmem --config`), and
hotplugged processors (`virsh setvcpus --live`).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import libvirt

from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.summary_view import Size, flagged, stopped_sizes
from proad.errors import ProaError

# The size of a running domain costs a call, so that a poll reads only some, in rotation.
_BATCH = 20


@dataclass(frozen=True, slots=True)
class _Observation:
    autostart: frozenset[str]
    saved: frozenset[str]
    stopped: dict[str, Size]
    running: dict[str, Size] = field(default_factory=dict)


class Poller:
    """Compares the domains with the poll before, and reports changes.

    Args:
        connection: to libvirt.
        reader: knows which domains were SAVED when they were last read.
        on_change: called on the asyncio loop with the id of a domain that changed.
        interval: time between two polls. A poll takes some milliseconds for 1,000 domains.
    """

    def __init__(
        self,
        connection: Connection,
        reader: DomainReader,
        on_change: Callable[[str], None],
        interval: timedelta,
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._on_change = on_change
        self._interval = interval.total_seconds()
        self._last: _Observation | None = None

    async def poll(self) -> None:
        """Poll once, and report what differs from the poll before."""
        before, shown = self._last, self._reader.saved()
        now = await self._connection.call(self._read, bulkhead=Bulkhead.READ)
        self._last = now
        if before is None:
            return
        changed = (before.autostart ^ now.autostart) | (before.saved ^ now.saved)
        # A state may be saved, read and removed between two polls: only the save has an event.
        changed |= shown - now.saved
        for old, new in ((before.stopped, now.stopped), (before.running, now.running)):
            # Starts, stops, definitions and undefinitions have events.
            changed |= {id for id in old.keys() & new.keys() if old[id] != new[id]}
        for id in changed:
            self._on_change(id)

    async def run(self) -> None:
        """Poll at intervals."""
        while True:
            await asyncio.sleep(self._interval)
            with suppress(ProaError):  # the connection reports the loss of the engine
                await self.poll()

    def _read(self, connection: libvirt.virConnect) -> _Observation:
        return _Observation(
            autostart=frozenset(flagged(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)),
            saved=frozenset(flagged(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)),
            stopped=stopped_sizes(connection),
            running=self._running(connection),
        )

    def _running(self, connection: libvirt.virConnect) -> dict[str, Size]:
        """Return the sizes of all running domains; read some of them again."""
        known = self._last.running if self._last is not None else {}
        active = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        domains = {domain.UUIDString(): domain for domain in active}
        # Those that were read last come last.
        sizes = {id: known[id] for id in known if id in domains}
        for id in [*(domains.keys() - known.keys()), *sizes][:_BATCH]:
            sizes.pop(id, None)
            # A domain that is gone, or fails to answer, has not changed.
            with suppress(libvirt.libvirtError):
                sizes[id] = Size.read(domains[id])
        return sizes

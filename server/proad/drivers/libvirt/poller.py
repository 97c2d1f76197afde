"""Looking for what libvirt has no event of.

With libvirt 9 these are: autostart (`virsh autostart`), a saved state that is thrown
away (`virsh managedsave-remove`), memory and processors of a stopped domain (`virsh
setmem --config`), and processors that are plugged into a running one (`virsh setvcpus
--live`).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import libvirt

from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.reader import Size, flagged, stopped_sizes
from proad.errors import ProaError

# Of running domains each has to be asked: as many as cost little, in turn.
_BATCH = 20


@dataclass(frozen=True, slots=True)
class _Observation:
    autostart: frozenset[str]
    saved: frozenset[str]
    stopped: dict[str, Size]
    running: dict[str, Size] = field(default_factory=dict)


class Poller:
    """Looks around, and tells of what is not as it was.

    Args:
        connection: to libvirt.
        on_change: called on the asyncio loop with the id of a domain that changed.
        interval: time between two polls. One costs some milliseconds for a thousand domains.
    """

    def __init__(
        self, connection: Connection, on_change: Callable[[str], None], interval: timedelta
    ) -> None:
        self._connection = connection
        self._on_change = on_change
        self._interval = interval.total_seconds()
        self._last: _Observation | None = None

    async def poll(self) -> None:
        """Look once, and report what differs from the time before."""
        before = self._last
        now = await self._connection.call(self._read, bulkhead=Bulkhead.READ)
        self._last = now
        if before is None:
            return
        changed = (before.autostart ^ now.autostart) | (before.saved ^ now.saved)
        for old, new in ((before.stopped, now.stopped), (before.running, now.running)):
            # What starts, stops, comes or goes has events of its own.
            changed |= {id for id in old.keys() & new.keys() if old[id] != new[id]}
        for id in changed:
            self._on_change(id)

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(self._interval)
            with suppress(ProaError):  # a lost engine is told by its connection
                await self.poll()

    def _read(self, connection: libvirt.virConnect) -> _Observation:
        return _Observation(
            autostart=frozenset(flagged(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)),
            saved=frozenset(flagged(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)),
            stopped=stopped_sizes(connection),
            running=self._running(connection),
        )

    def _running(self, connection: libvirt.virConnect) -> dict[str, Size]:
        """Give the sizes of all that run, of some of them as they are now."""
        known = self._last.running if self._last is not None else {}
        active = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        domains = {domain.UUIDString(): domain for domain in active}
        # Those that were asked last come last.
        sizes = {id: known[id] for id in known if id in domains}
        for id in [*(domains.keys() - known.keys()), *sizes][:_BATCH]:
            sizes.pop(id, None)
            # One that is gone, or cannot on_change, is none that changed.
            with suppress(libvirt.libvirtError):
                sizes[id] = Size.read(domains[id])
        return sizes

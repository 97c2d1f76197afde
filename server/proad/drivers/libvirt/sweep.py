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

from proad.drivers.libvirt.connection import Connection
from proad.drivers.libvirt.lanes import Lane
from proad.drivers.libvirt.reading import Size, flagged, stopped_sizes
from proad.errors import ProaError

# Of running domains each has to be asked: as many as cost little, in turn.
_ASKED = 20


@dataclass(frozen=True, slots=True)
class _Seen:
    autostart: frozenset[str]
    saved: frozenset[str]
    stopped: dict[str, Size]
    running: dict[str, Size] = field(default_factory=dict)


class Sweep:
    """Looks around, and tells of what is not as it was.

    Args:
        connection: to libvirt.
        tell: called on the asyncio loop with the id of a domain that changed.
        every: time between two sweeps. One costs some milliseconds for a thousand domains.
    """

    def __init__(
        self, connection: Connection, tell: Callable[[str], None], every: timedelta
    ) -> None:
        self._connection = connection
        self._tell = tell
        self._every = every.total_seconds()
        self._seen: _Seen | None = None

    async def look(self) -> None:
        """Look once, and tell what differs from the time before."""
        before = self._seen
        now = await self._connection.call(self._read, lane=Lane.READ)
        self._seen = now
        if before is None:
            return
        changed = (before.autostart ^ now.autostart) | (before.saved ^ now.saved)
        for old, new in ((before.stopped, now.stopped), (before.running, now.running)):
            # What starts, stops, comes or goes has events of its own.
            changed |= {id for id in old.keys() & new.keys() if old[id] != new[id]}
        for id in changed:
            self._tell(id)

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(self._every)
            with suppress(ProaError):  # a lost engine is told by its connection
                await self.look()

    def _read(self, connection: libvirt.virConnect) -> _Seen:
        return _Seen(
            autostart=frozenset(flagged(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)),
            saved=frozenset(flagged(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)),
            stopped=stopped_sizes(connection),
            running=self._running(connection),
        )

    def _running(self, connection: libvirt.virConnect) -> dict[str, Size]:
        """Give the sizes of all that run, of some of them as they are now."""
        known = self._seen.running if self._seen is not None else {}
        active = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        domains = {domain.UUIDString(): domain for domain in active}
        # Those that were asked last come last.
        sizes = {id: known[id] for id in known if id in domains}
        for id in [*(domains.keys() - known.keys()), *sizes][:_ASKED]:
            sizes.pop(id, None)
            # One that is gone, or cannot tell, is none that changed.
            with suppress(libvirt.libvirtError):
                sizes[id] = Size.read(domains[id])
        return sizes

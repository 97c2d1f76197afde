"""Polling for changes that libvirt has no event of.

With libvirt 9 these are: autostart (`virsh autostart`), the removal of a saved state (`virsh
managedsave-remove`), memory and processors of a stopped domain (`virsh setmem --config`), and
hotplugged processors (`virsh setvcpus --live`).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import libvirt

from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.reader import DomainReader, LastRead
from proad.drivers.libvirt.summary_view import Size, flagged, stopped_sizes
from proad.errors import ProaError

# The size of a running domain costs a call, so that a poll reads only some, in rotation.
_BATCH = 20


@dataclass(frozen=True, slots=True)
class _Observation:
    """The present values in libvirt.

    Attributes:
        autostart: ids of the domains with autostart.
        saved: ids of the domains with a saved state.
        stopped: sizes of the stopped domains.
        running: sizes of the running domains, as last polled.
        polled: ids of the running domains whose sizes this poll has read.
    """

    autostart: frozenset[str]
    saved: frozenset[str]
    stopped: dict[str, Size]
    running: dict[str, Size]
    polled: frozenset[str]

    def changed_since(self, before: Self) -> set[str]:
        """Return the ids of the domains that differ from an earlier poll."""
        changed = {*(before.autostart ^ self.autostart), *(before.saved ^ self.saved)}
        for old, new in ((before.stopped, self.stopped), (before.running, self.running)):
            # Starts, stops, definitions and undefinitions have events.
            changed |= {id for id in old.keys() & new.keys() if old[id] != new[id]}
        return changed

    def differs_from(self, last: LastRead) -> set[str]:
        """Return the ids of the domains that differ from their last reads."""
        sizes = self.stopped | {id: self.running[id] for id in self.polled}
        changed = {
            id
            for id, fields in last.fields.items()
            if fields.autostart != (id in self.autostart)
            or fields.size != sizes.get(id, fields.size)
        }
        return changed | (last.saved - self.saved)


class Poller:
    """Compares the domains with the poll before and with their last reads, and reports changes.

    A value may change, be read because of some event, and change back between two polls: hence
    both comparisons.

    Args:
        connection: to libvirt.
        reader: has the last reads.
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
        """Poll once, and report the domains that have changed."""
        for id in await self._connection.call(self._changed, bulkhead=Bulkhead.READ):
            self._on_change(id)

    async def run(self) -> None:
        """Poll at intervals."""
        while True:
            await asyncio.sleep(self._interval)
            with suppress(ProaError):  # the connection reports the loss of the engine
                await self.poll()

    def _changed(self, connection: libvirt.virConnect) -> set[str]:
        before, last = self._last, self._reader.last_read()
        self._last = now = self._read(connection)
        changed = now.differs_from(last)
        return changed if before is None else changed | now.changed_since(before)

    def _read(self, connection: libvirt.virConnect) -> _Observation:
        running, polled = self._running(connection)
        return _Observation(
            autostart=frozenset(flagged(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)),
            saved=frozenset(flagged(connection, libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)),
            stopped=stopped_sizes(connection),
            running=running,
            polled=polled,
        )

    def _running(self, connection: libvirt.virConnect) -> tuple[dict[str, Size], frozenset[str]]:
        """Return the sizes of all running domains, and the ids of those that were read now."""
        known = self._last.running if self._last is not None else {}
        active = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        domains = {domain.UUIDString(): domain for domain in active}
        # Those that were read last come last.
        sizes = {id: known[id] for id in known if id in domains}
        polled = set()
        for id in [*(domains.keys() - known.keys()), *sizes][:_BATCH]:
            sizes.pop(id, None)
            # A domain that is gone, or fails to answer, has not changed.
            with suppress(libvirt.libvirtError):
                sizes[id] = Size.read(domains[id])
                polled.add(id)
        return sizes, frozenset(polled)

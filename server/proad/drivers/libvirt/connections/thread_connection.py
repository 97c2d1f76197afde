"""The connection of one thread, and its cache of domain objects."""

import threading
from datetime import timedelta

import libvirt

from proad.drivers.libvirt.connections.queries import is_alive, lookup
from proad.drivers.libvirt.errors import ENGINE, text_of
from proad.errors import EngineUnreachableError

# A libvirtd that hangs is given up after (count + 1) intervals.
_KEEPALIVE_COUNT = 3
# A lookup costs a tenth of a pause; a cached domain costs some hundred bytes.
_DOMAINS = 1000


def keep_alive(connection: libvirt.virConnect, interval: timedelta) -> None:
    """Close a connection, and fail its calls, when libvirtd stops answering."""
    connection.setKeepAlive(int(interval.total_seconds()), _KEEPALIVE_COUNT)


class ThreadConnection(threading.local):
    """A connection per thread, opened again in each epoch.

    Args:
        uri: libvirt's connection URI.
        keepalive_interval: time between keepalive messages, in whole seconds.
    """

    def __init__(self, uri: str, keepalive_interval: timedelta) -> None:
        self._uri = uri
        self._keepalive_interval = keepalive_interval
        self._connection: libvirt.virConnect | None = None
        self._epoch: object = None
        self._domains: dict[str, libvirt.virDomain] = {}

    def connection(self, epoch: object) -> libvirt.virConnect:
        """Return this thread's connection of the given epoch.

        Raises:
            EngineUnreachableError: libvirtd cannot be reached.
        """
        if self._epoch is not epoch or self._connection is None or not is_alive(self._connection):
            # Closes the old connection here, on the only thread that used it.
            self._domains.clear()
            self._connection = None
            try:
                self._connection = libvirt.open(self._uri)
                keep_alive(self._connection, self._keepalive_interval)
            except libvirt.libvirtError as error:
                raise EngineUnreachableError(ENGINE, text_of(error)) from None
            self._epoch = epoch
        return self._connection

    def domain(self, connection: libvirt.virConnect, id: str) -> libvirt.virDomain:
        """Return a domain that this thread may have looked up before.

        The domain may not exist any more, and its name may be outdated.

        Raises:
            ResourceNotFoundError: no domain has this UUID.
        """
        if connection is not self._connection:
            return lookup(connection, id)
        domain = self._domains.get(id)
        if domain is None:
            if len(self._domains) >= _DOMAINS:
                self._domains.clear()
            domain = self._domains[id] = lookup(connection, id)
        return domain

    def forget(self, id: str) -> None:
        """Drop a domain from the cache."""
        self._domains.pop(id, None)

"""What one thread has of libvirt: its connection, and the domains that it has looked up."""

import threading
from datetime import timedelta

import libvirt

from proad.drivers.libvirt.connections.queries import is_alive, lookup
from proad.drivers.libvirt.errors import ENGINE, text_of
from proad.errors import EngineUnreachableError

# A libvirtd that hangs is given up after (count + 1) intervals.
_KEEPALIVE_COUNT = 3
# A lookup costs a tenth of a pause; a kept domain costs some hundred bytes.
_DOMAINS = 1000


def keep_alive(connection: libvirt.virConnect, interval: timedelta) -> None:
    """Have a connection closed when libvirtd stops to answer, which ends all its calls."""
    connection.setKeepAlive(int(interval.total_seconds()), _KEEPALIVE_COUNT)


class ThreadConnection(threading.local):
    """A connection for each thread, opened anew where it is of another epoch.

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
        """Give this thread's connection, opened in the epoch that `epoch` stands for.

        Raises:
            EngineUnreachableError: libvirtd is not there.
        """
        if self._epoch is not epoch or self._connection is None or not is_alive(self._connection):
            # The old one is closed here, by the only thread that used it.
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
        """Give a domain that this thread may have looked up before.

        It may be gone by now, and its name be an old one.

        Raises:
            ResourceNotFoundError: there is none.
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
        """Look a domain up again next time."""
        self._domains.pop(id, None)

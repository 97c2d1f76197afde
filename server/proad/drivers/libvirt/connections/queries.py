"""Questions to libvirt of which one may fail without spoiling the others."""

from collections.abc import Callable
from typing import TypeVar

import libvirt

from proad.drivers.libvirt.errors import code_of
from proad.drivers.tolerant import Omissions

T = TypeVar("T")

GONE = frozenset({libvirt.VIR_ERR_NO_DOMAIN})


def query(
    omissions: Omissions, domain: libvirt.virDomain, part: str, ask: Callable[[], T], default: T
) -> T:
    """Return what libvirt answers about a part of a domain, or `default` where it cannot tell.

    Raises:
        libvirt.libvirtError: the domain is gone, or the connection lost.
    """
    id = domain.UUIDString()
    try:
        return omissions.attempt(id, part, ask, default)
    except libvirt.libvirtError as error:
        if is_fatal(error, domain.connect()):
            raise
        omissions.note(id, part, "an answer", error)
        return default


def is_fatal(error: libvirt.libvirtError, connection: libvirt.virConnect) -> bool:
    """Tell whether an error is about more than the part that was asked for."""
    return code_of(error) in GONE or not is_alive(connection)


def is_alive(connection: libvirt.virConnect) -> bool:
    """Tell whether a connection has not been lost, as far as this side knows."""
    try:
        return bool(connection.isAlive() == 1)
    except libvirt.libvirtError:  # closed by us in the meantime
        return False

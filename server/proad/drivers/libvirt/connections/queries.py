"""Queries to libvirt about single domains."""

from collections.abc import Callable
from typing import TypeVar

import libvirt

from proad.drivers.libvirt.errors import code_of, seek
from proad.drivers.tolerant import Omissions
from proad.errors import ResourceNotFoundError

T = TypeVar("T")

GONE = frozenset({libvirt.VIR_ERR_NO_DOMAIN})
_LONGEST_NAME = 1000  # libvirt has no limit, but its file system does


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


def lookup(connection: libvirt.virConnect, id: str) -> libvirt.virDomain:
    """Find a domain by its UUID.

    Raises:
        ResourceNotFoundError: there is none.
    """
    try:
        return seek(connection.lookupByUUIDString, id)
    except libvirt.libvirtError as error:
        # Our ids are UUIDs: what is none cannot be a domain's.
        if code_of(error) not in {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_ARG}:
            raise
    raise ResourceNotFoundError(id)


def find_id(connection: libvirt.virConnect, name: str) -> str:
    """Give the UUID of the domain of that name; empty where there is none."""
    if not name.isprintable() or len(name) > _LONGEST_NAME:
        return ""
    try:
        return str(seek(connection.lookupByName, name).UUIDString())
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_DOMAIN:
            raise
    return ""

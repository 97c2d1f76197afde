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
    """Return libvirt's answer about a part of a domain, or `default` if the query fails.

    Raises:
        libvirt.libvirtError: the domain does not exist any more, or the connection is lost.
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
    """Return whether an error concerns more than the queried part."""
    return code_of(error) in GONE or not is_alive(connection)


def is_alive(connection: libvirt.virConnect) -> bool:
    """Return whether a connection is alive, as far as this side knows."""
    try:
        return bool(connection.isAlive() == 1)
    except libvirt.libvirtError:  # closed on this side meanwhile
        return False


def lookup(connection: libvirt.virConnect, id: str) -> libvirt.virDomain:
    """Return a domain by its UUID.

    Raises:
        ResourceNotFoundError: no domain has this UUID.
    """
    try:
        return seek(connection.lookupByUUIDString, id)
    except libvirt.libvirtError as error:
        # Ids are UUIDs: libvirt refuses anything else as an argument.
        if code_of(error) not in {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_ARG}:
            raise
    raise ResourceNotFoundError(id)


def find_running(connection: libvirt.virConnect, runtime_id: int) -> str:
    """Return the UUID of the domain that runs under a number; empty if there is none."""
    try:
        return str(seek(connection.lookupByID, runtime_id).UUIDString())
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_DOMAIN:
            raise
    return ""


def find_id(connection: libvirt.virConnect, name: str) -> str:
    """Return the UUID of the domain of that name; empty if there is none."""
    if not name.isprintable() or len(name) > _LONGEST_NAME:
        return ""
    try:
        return str(seek(connection.lookupByName, name).UUIDString())
    except libvirt.libvirtError as error:
        if code_of(error) != libvirt.VIR_ERR_NO_DOMAIN:
            raise
    return ""

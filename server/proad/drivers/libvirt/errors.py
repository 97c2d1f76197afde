"""What libvirt's errors mean, told apart by their number."""

import errno
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import libvirt

from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineUnreachableError,
    HostExhaustedError,
    ProaError,
    ResourceNotFoundError,
)

T = TypeVar("T")

ENGINE = "libvirt"
# How often a lookup is repeated whose failure came without a reason.
_LOOKS = 3

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.ENOMEM})
# Somebody else holds the domain or the pool for the moment.
_BUSY = frozenset({libvirt.VIR_ERR_OPERATION_TIMEOUT, libvirt.VIR_ERR_RESOURCE_BUSY})
# What libvirt says of XML that is wrong, as opposed to XML that asks for too much.
BAD_XML = frozenset(
    {libvirt.VIR_ERR_XML_ERROR, libvirt.VIR_ERR_XML_DETAIL, libvirt.VIR_ERR_XML_INVALID_SCHEMA}
)


def code_of(error: libvirt.libvirtError) -> int:
    """Give the `virErrorNumber` of an error; 0 where libvirt set none."""
    return error.get_error_code() or 0


def seek(look: Callable[..., T], *key: str) -> T:
    """Look something up, once more where it failed and libvirt's reason was lost.

    When Python's garbage collector frees one of libvirt's objects between a call that
    fails and the moment when its error is read, that error is gone. A lookup that finds
    nothing is ordinary, so that its reason matters, and repeating it is harmless.

    Raises:
        libvirt.libvirtError: as `look` does.
    """
    for _attempt in range(_LOOKS):
        try:
            return look(*key)
        except libvirt.libvirtError as error:
            if code_of(error) != 0:
                raise
    return look(*key)


def text_of(error: libvirt.libvirtError) -> str:
    """Give libvirt's own words."""
    return error.get_error_message() or str(error)


def translate(error: libvirt.libvirtError, *, alive: bool, id: str = "") -> ProaError:
    """Make a domain error of one of libvirt's.

    Args:
        error: what libvirt raised.
        alive: whether the connection is still there. An error on a dead one says
            nothing but that.
        id: the domain that the call was about, for errors that name none.
    """
    code, text = code_of(error), text_of(error)
    if not alive or code in {libvirt.VIR_ERR_NO_CONNECT, libvirt.VIR_ERR_INVALID_CONN}:
        return EngineUnreachableError(ENGINE, text)
    if code == libvirt.VIR_ERR_NO_DOMAIN:
        return ResourceNotFoundError(id)
    if code == libvirt.VIR_ERR_NO_SUPPORT:
        return CapabilityMissingError(text, driver=ENGINE)
    if code == libvirt.VIR_ERR_NO_MEMORY or (
        code == libvirt.VIR_ERR_SYSTEM_ERROR and error.get_int1() in _NO_ROOM
    ):
        return HostExhaustedError(ENGINE, text)
    return EngineConflictError(
        ENGINE, text, retry_after=timedelta(seconds=2) if code in _BUSY else None
    )

"""From libvirt's errors to ours; what they mean, `refusals` tells."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import libvirt

from proad.drivers.libvirt import refusals
from proad.drivers.libvirt.refusals import Meaning
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineUnreachableError,
    HostExhaustedError,
    InvalidArgumentError,
    ProaError,
    ResourceNotFoundError,
)

T = TypeVar("T")

ENGINE = "libvirt"
REFUSED = (EngineConflictError, CapabilityMissingError, HostExhaustedError)
"""What a call that libvirt, QEMU or a guest refused ends with."""
# How often a lookup is repeated whose failure came without a reason.
_LOOKS = 3
# When what passes by itself may have passed.
_SOON = timedelta(seconds=2)


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
    return _refused(error)


def _refused(error: libvirt.libvirtError) -> ProaError:
    row, text = refusals.find(error), text_of(error)
    match row.meaning if row is not None else None:
        case Meaning.CAPABILITY_MISSING:
            return CapabilityMissingError(text, driver=ENGINE)
        case Meaning.HOST_EXHAUSTED:
            return HostExhaustedError(ENGINE, text)
        case Meaning.BUSY:
            return EngineConflictError(ENGINE, text, retry_after=_SOON)
        case Meaning.TORN_SAVED_STATE:
            return EngineConflictError(
                ENGINE,
                text,
                hint="the saved state cannot be restored; start with discard_saved_state, which "
                "gives up the memory that was saved and keeps the disks",
            )
        case Meaning.NOT_ACTIVE:
            return EngineConflictError(
                ENGINE, text, hint="start it, such as with `virsh net-start` or `virsh pool-start`"
            )
        case _:
            return EngineConflictError(ENGINE, text)


@contextmanager
def values_of(message: str, *, whole: bool = False) -> Iterator[None]:
    """Tell which field has the value that libvirt refuses.

    Args:
        message: path of the message in the request that has the values, such as "spec".
        whole: whether that is one field with all values in it, such as "xml".

    Raises:
        InvalidArgumentError: libvirt refuses a value.
        libvirt.libvirtError: anything else is wrong.
    """
    try:
        yield
    except libvirt.libvirtError as error:
        row = refusals.find(error)
        if row is None or row.meaning is not Meaning.INVALID_ARGUMENT:
            raise
        field = message if whole or not row.field else f"{message}.{row.field}"
        raise InvalidArgumentError.of(field, f"libvirt refuses it: {text_of(error)}") from None

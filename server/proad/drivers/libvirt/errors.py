"""Translation of libvirt's errors; `refusals` has the meanings."""

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
"""The errors of a call that libvirt, QEMU or a guest refused."""
# Attempts of a lookup whose error got lost.
_LOOKS = 3
# When to retry after a temporary refusal.
_SOON = timedelta(seconds=2)


def code_of(error: libvirt.libvirtError) -> int:
    """Return the `virErrorNumber` of an error; 0 if libvirt set none."""
    return error.get_error_code() or 0


def seek(look: Callable[..., T], *key: str | int) -> T:
    """Look an object up; repeat the lookup if it failed and libvirt's error was lost.

    When Python's garbage collector frees an object of libvirt between a call that fails and the
    read of its error, that error is lost. A lookup that finds nothing is ordinary, so that its
    error matters, and a repetition is harmless.

    Raises:
        libvirt.libvirtError: the error of the lookup.
    """
    for _attempt in range(_LOOKS):
        try:
            return look(*key)
        except libvirt.libvirtError as error:
            if code_of(error) != 0:
                raise
    return look(*key)


def text_of(error: libvirt.libvirtError) -> str:
    """Return libvirt's own text."""
    return error.get_error_message() or str(error)


def translate(error: libvirt.libvirtError, *, alive: bool, id: str = "") -> ProaError:
    """Translate an error of libvirt.

    Args:
        error: the error.
        alive: whether the connection is alive; on a dead one the error means nothing else.
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
    """Translate the refusal of a value into InvalidArgumentError with the field.

    Args:
        message: path of the message in the request that has the values, such as "spec".
        whole: whether that is one field with all values in it, such as "xml".

    Raises:
        InvalidArgumentError: libvirt refuses a value.
        libvirt.libvirtError: any other error.
    """
    try:
        yield
    except libvirt.libvirtError as error:
        row = refusals.find(error)
        if row is None or row.meaning is not Meaning.INVALID_ARGUMENT:
            raise
        field = message if whole or not row.field else f"{message}.{row.field}"
        raise InvalidArgumentError.of(field, f"libvirt refuses it: {text_of(error)}") from None

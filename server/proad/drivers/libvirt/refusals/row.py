"""The rows of the table of refusals."""

import errno
import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import libvirt

DEBIAN_12, DEBIAN_13, DEBIAN_SID = "9.0", "11.3", "12.8"
ALL = (DEBIAN_12, DEBIAN_13, DEBIAN_SID)

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.ENOMEM})
NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENODEV})

INTERNAL = libvirt.VIR_ERR_INTERNAL_ERROR
FAILED = libvirt.VIR_ERR_OPERATION_FAILED
SYSTEM = libvirt.VIR_ERR_SYSTEM_ERROR
UNSUPPORTED = libvirt.VIR_ERR_CONFIG_UNSUPPORTED
QEMU, STORAGE = libvirt.VIR_FROM_QEMU, libvirt.VIR_FROM_STORAGE


class Meaning(StrEnum):
    """The meaning of a refusal: a reason of the contract, or a case of one."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    CAPABILITY_MISSING = "CAPABILITY_MISSING"
    HOST_EXHAUSTED = "HOST_EXHAUSTED"
    TORN_SAVED_STATE = "ENGINE_CONFLICT, naming discard_saved_state"
    BUSY = "ENGINE_CONFLICT, as ABORTED"
    NOT_ACTIVE = "ENGINE_CONFLICT, naming virsh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One row of the table.

    Attributes:
        name: the cause, for people.
        code: `virErrorNumber`.
        meaning: the meaning. INVALID_ARGUMENT applies to a request with the wrong value; for
            other requests, such as a start, the meaning is ENGINE_CONFLICT.
        source: `virErrorDomain`; None: any.
        errnos: error numbers of a SYSTEM_ERROR; empty: any.
        text: a pattern to search for in libvirt's text; None: any text.
        field: the wrong field, below the specification; empty: no single one.
        seen: versions of libvirt with which the row was observed; empty: the code is documented,
            and cannot be provoked at will.
    """

    name: str
    code: int
    meaning: Meaning
    source: int | None = None
    errnos: Collection[int] = frozenset()
    text: re.Pattern[str] | None = None
    field: str = ""
    seen: tuple[str, ...] = ALL

    def fits(self, error: libvirt.libvirtError) -> bool:
        """Return whether the row applies to an error."""
        return (
            error.get_error_code() == self.code
            and self.source in {None, error.get_error_domain()}
            and (not self.errnos or error.get_int1() in self.errnos)
            and (self.text is None or bool(self.text.search(error.get_error_message() or "")))
        )


def row(
    meaning: Meaning,
    name: str,
    code: int,
    text: str = "",
    *,
    source: int | None = None,
    errnos: Collection[int] = frozenset(),
    field: str = "",
    seen: tuple[str, ...] = ALL,
) -> Refusal:
    """Return a row with a compiled pattern."""
    return Refusal(
        name=name,
        code=code,
        meaning=meaning,
        source=source,
        errnos=errnos,
        text=re.compile(text) if text else None,
        field=field,
        seen=seen,
    )


wrong = partial(row, Meaning.INVALID_ARGUMENT)

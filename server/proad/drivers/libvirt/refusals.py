"""What libvirt's refusals mean: the one table, and the one place that looks at libvirt's texts.

libvirt gives one number for several causes, and what QEMU says arrives as an internal error
whatever it is. Rows are tried in their order, and the first that fits counts; what fits none is
an ENGINE_CONFLICT. `docs/refusals.md` shows the table; a test provokes each row on a real engine.
"""

import errno
import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import libvirt

_DEBIAN_12, _DEBIAN_13, _DEBIAN_SID = "9.0", "11.3", "12.8"
ALL = (_DEBIAN_12, _DEBIAN_13, _DEBIAN_SID)

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.ENOMEM})
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENODEV})

_INTERNAL = libvirt.VIR_ERR_INTERNAL_ERROR
_FAILED = libvirt.VIR_ERR_OPERATION_FAILED
_SYSTEM = libvirt.VIR_ERR_SYSTEM_ERROR
_UNSUPPORTED = libvirt.VIR_ERR_CONFIG_UNSUPPORTED
_QEMU, _STORAGE = libvirt.VIR_FROM_QEMU, libvirt.VIR_FROM_STORAGE


class Meaning(StrEnum):
    """What a refusal means to the caller; a reason of the contract, or a case of one."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    CAPABILITY_MISSING = "CAPABILITY_MISSING"
    HOST_EXHAUSTED = "HOST_EXHAUSTED"
    TORN_SAVED_STATE = "ENGINE_CONFLICT, naming discard_saved_state"
    BUSY = "ENGINE_CONFLICT, as ABORTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One row of the table.

    Attributes:
        name: what was wrong, for people.
        code: `virErrorNumber`.
        meaning: what it means. INVALID_ARGUMENT holds where the request has the value that is
            wrong; elsewhere, such as at a start, the row is an ENGINE_CONFLICT.
        source: `virErrorDomain`; None: any.
        errnos: of a SYSTEM_ERROR; empty: any.
        text: a pattern that is searched for in libvirt's text; None: any text.
        field: the wrong field, below the specification; empty: no single one.
        seen: versions of libvirt that the row was seen on; empty: what its number means is
            documented, and nothing provokes it at will.
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
        """Tell whether an error is such a refusal."""
        return (
            error.get_error_code() == self.code
            and self.source in {None, error.get_error_domain()}
            and (not self.errnos or error.get_int1() in self.errnos)
            and (self.text is None or bool(self.text.search(error.get_error_message() or "")))
        )


def _row(
    name: str,
    code: int,
    meaning: Meaning,
    text: str = "",
    *,
    source: int | None = None,
    errnos: Collection[int] = frozenset(),
    field: str = "",
    seen: tuple[str, ...] = ALL,
) -> Refusal:
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


def find(error: libvirt.libvirtError) -> Refusal | None:
    """Return the row of an error; None: it has none, and is an ENGINE_CONFLICT."""
    return next((row for row in REFUSALS if row.fits(error)), None)


_HOST = (
    _row("memory for libvirtd", libvirt.VIR_ERR_NO_MEMORY, Meaning.HOST_EXHAUSTED, seen=()),
    _row("room on the host", _SYSTEM, Meaning.HOST_EXHAUSTED, errnos=_NO_ROOM),
    _row(
        "memory for the guest",
        _INTERNAL,
        Meaning.HOST_EXHAUSTED,
        r"cannot set up guest memory .*Cannot allocate memory",
        source=_QEMU,
    ),
    _row(
        "room for an image",
        _INTERNAL,
        Meaning.HOST_EXHAUSTED,
        r"No space left on device|Disk quota exceeded",
    ),
    _row(
        "room for a state",
        _FAILED,
        Meaning.HOST_EXHAUSTED,
        r"No space left on device|Disk quota exceeded",
    ),
)

_PASSING = (
    _row("another job on the domain", libvirt.VIR_ERR_OPERATION_TIMEOUT, Meaning.BUSY, seen=()),
    _row(
        "a volume that is being copied or made",
        libvirt.VIR_ERR_OPERATION_INVALID,
        Meaning.BUSY,
        r"is still (in use|being allocated)",
        source=_STORAGE,
    ),
    _row(
        "a pool in which something is being made",
        _INTERNAL,
        Meaning.BUSY,
        r"has asynchronous jobs running",
        source=_STORAGE,
    ),
)

_STATES = (
    _row(
        "a saved state that is none",
        _FAILED,
        Meaning.TORN_SAVED_STATE,
        r"image magic is incorrect",
        source=_QEMU,
    ),
    _row(
        "a torn saved state",
        _FAILED,
        Meaning.TORN_SAVED_STATE,
        r"load of migration failed",
        source=_QEMU,
        seen=(_DEBIAN_13, _DEBIAN_SID),
    ),
    _row(
        "a torn saved state, as QEMU says it",
        _INTERNAL,
        Meaning.TORN_SAVED_STATE,
        r"load of migration failed|error while loading state",
        source=_QEMU,
        seen=(_DEBIAN_12,),
    ),
)

_MACHINES = (
    _row(
        "a machine without PCI",
        libvirt.VIR_ERR_XML_ERROR,
        Meaning.INVALID_ARGUMENT,
        r"No PCI buses available",
        field="machine",
    ),
    _row(
        "an unknown machine",
        _INTERNAL,
        Meaning.INVALID_ARGUMENT,
        r"supports PCI but no PCI controller",
        source=_QEMU,
        field="machine",
        seen=(_DEBIAN_SID,),
    ),
    _row(
        "too many vCPUs for the machine",
        _UNSUPPORTED,
        Meaning.INVALID_ARGUMENT,
        r"Maximum CPUs greater than specified machine type limit",
        source=_QEMU,
        field="vcpus",
    ),
    _row(
        "too many vCPUs for the CPU model",
        _INTERNAL,
        Meaning.INVALID_ARGUMENT,
        r"requires x2APIC",
        source=_QEMU,
        field="vcpus",
        seen=(_DEBIAN_13, _DEBIAN_SID),
    ),
    _row(
        "a topology of other vCPUs",
        _UNSUPPORTED,
        Meaning.INVALID_ARGUMENT,
        r"CPU topology doesn't match",
        source=_QEMU,
        field="vcpus",
    ),
    _row(
        "a CPU mode without KVM",
        _UNSUPPORTED,
        Meaning.INVALID_ARGUMENT,
        r"CPU mode .* is not supported by hypervisor",
        source=_QEMU,
        field="cpu_mode",
    ),
    _row(
        "an unknown CPU model",
        _INTERNAL,
        Meaning.INVALID_ARGUMENT,
        r"Unknown CPU model",
        source=libvirt.VIR_FROM_CPU,
    ),
    _row(
        "an unknown CPU feature",
        _UNSUPPORTED,
        Meaning.INVALID_ARGUMENT,
        r"unknown CPU feature",
        source=libvirt.VIR_FROM_CPU,
    ),
    _row(
        "a CPU with features that it cannot be given",
        _FAILED,
        Meaning.INVALID_ARGUMENT,
        r"guest CPU doesn't match specification",
        source=libvirt.VIR_FROM_CPU,
    ),
    _row(
        "UEFI without ACPI",
        _UNSUPPORTED,
        Meaning.INVALID_ARGUMENT,
        r"UEFI requires ACPI",
        source=_QEMU,
        field="firmware",
    ),
    _row(
        "firmware that the host has not",
        _FAILED,
        Meaning.INVALID_ARGUMENT,
        r"Unable to find .*firmware",
        source=_QEMU,
        field="firmware",
    ),
    _row(
        "an unknown kind of machine",
        _UNSUPPORTED,
        Meaning.INVALID_ARGUMENT,
        r"does not support (os|virt) type|No emulator found for arch",
        source=_QEMU,
    ),
    _row(
        "a NUMA node that is not there",
        _UNSUPPORTED,
        Meaning.INVALID_ARGUMENT,
        r"NUMA node \d+ is unavailable",
    ),
)

_DEVICES = (
    _row(
        "an unknown network", libvirt.VIR_ERR_NO_NETWORK, Meaning.INVALID_ARGUMENT, field="networks"
    ),
    _row(
        "an unknown network filter",
        _INTERNAL,
        Meaning.INVALID_ARGUMENT,
        r"referenced filter .* is missing",
        source=libvirt.VIR_FROM_NWFILTER,
    ),
    _row("an unknown pool", libvirt.VIR_ERR_NO_STORAGE_POOL, Meaning.INVALID_ARGUMENT),
    _row("an unknown volume", libvirt.VIR_ERR_NO_STORAGE_VOL, Meaning.INVALID_ARGUMENT),
    _row("an unknown secret", libvirt.VIR_ERR_NO_SECRET, Meaning.INVALID_ARGUMENT),
    _row(
        "an unknown model of a device",
        _INTERNAL,
        Meaning.INVALID_ARGUMENT,
        r"is not a valid device model name",
        source=_QEMU,
    ),
    _row(
        "an unsuitable model of a device",
        _UNSUPPORTED,
        Meaning.INVALID_ARGUMENT,
        r"does not support video model|IDE controllers are unsupported|is only supported with",
        source=_QEMU,
    ),
    _row(
        "a port out of range",
        _UNSUPPORTED,
        Meaning.INVALID_ARGUMENT,
        r"port must be in range",
        source=_QEMU,
    ),
    _row(
        "an address that is not the host's",
        _INTERNAL,
        Meaning.INVALID_ARGUMENT,
        r"Failed to bind socket: Cannot assign requested address",
        source=_QEMU,
    ),
    _row(
        "a network device that is not there",
        _SYSTEM,
        Meaning.INVALID_ARGUMENT,
        r"interface",
        source=libvirt.VIR_FROM_NONE,
        errnos=_NOT_THERE,
    ),
    _row(
        "CPUs that the host has not",
        _SYSTEM,
        Meaning.INVALID_ARGUMENT,
        r"CPU affinity|cpuset\.cpus",
    ),
)

_FILES = (
    _row(
        "a disk that is not there",
        _SYSTEM,
        Meaning.INVALID_ARGUMENT,
        source=_STORAGE,
        errnos=_NOT_THERE,
        field="disks",
    ),
    _row(
        "a kernel that is not there",
        _SYSTEM,
        Meaning.INVALID_ARGUMENT,
        source=libvirt.VIR_FROM_SECURITY,
        errnos=_NOT_THERE,
    ),
    _row(
        "another file that is not there",
        _SYSTEM,
        Meaning.INVALID_ARGUMENT,
        r"Unable to open file|is not accessible|Could not open TPM device|cannot open directory",
        errnos=_NOT_THERE,
    ),
    _row(
        "a file that QEMU may not or cannot open",
        _INTERNAL,
        Meaning.INVALID_ARGUMENT,
        r"(?i)(could not|failed to) (open|load) .*"
        r"(Permission denied|No such file or directory|Is a directory)",
        source=_QEMU,
    ),
    _row(
        "a disk that is no file",
        _INTERNAL,
        Meaning.INVALID_ARGUMENT,
        r"driver requires .* to be a regular file",
        source=_QEMU,
        seen=(_DEBIAN_12,),
    ),
    _row(
        "a disk of another format",
        _INTERNAL,
        Meaning.INVALID_ARGUMENT,
        r"Image is not in \S+ format",
        source=_QEMU,
        field="disks",
    ),
    _row(
        "a base of another format",
        _INTERNAL,
        Meaning.INVALID_ARGUMENT,
        r"Image is not in \S+ format",
        field="base",
    ),
    _row(
        "a kernel that is none",
        _INTERNAL,
        Meaning.INVALID_ARGUMENT,
        r"invalid kernel header",
        source=_QEMU,
    ),
    _row(
        "a volume that is too large for its format",
        _INTERNAL,
        Meaning.INVALID_ARGUMENT,
        r"image size is too large for file format",
        field="capacity_bytes",
    ),
    _row(
        "a volume that is too large for the file system",
        _SYSTEM,
        Meaning.INVALID_ARGUMENT,
        source=_STORAGE,
        errnos=frozenset({errno.EFBIG}),
        field="capacity_bytes",
    ),
    _row(
        "a name that is too long for the file system",
        _INTERNAL,
        Meaning.INVALID_ARGUMENT,
        r"File name too long",
        field="name",
    ),
)

# Numbers that mean one thing, once the rows above have had their turn.
_NUMBERS = (
    _row("XML that is wrong", libvirt.VIR_ERR_XML_ERROR, Meaning.INVALID_ARGUMENT),
    _row("XML with a wrong detail", libvirt.VIR_ERR_XML_DETAIL, Meaning.INVALID_ARGUMENT),
    _row("XML against the schema", libvirt.VIR_ERR_XML_INVALID_SCHEMA, Meaning.INVALID_ARGUMENT),
    _row("an argument that is wrong", libvirt.VIR_ERR_INVALID_ARG, Meaning.INVALID_ARGUMENT),
    _row(
        "a domain that contradicts itself",
        _UNSUPPORTED,
        Meaning.INVALID_ARGUMENT,
        source=libvirt.VIR_FROM_DOMAIN,
    ),
    _row("what QEMU or the host cannot do", _UNSUPPORTED, Meaning.CAPABILITY_MISSING),
    _row(
        "an operation that is not supported",
        libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
        Meaning.CAPABILITY_MISSING,
    ),
    _row(
        "an argument that is not supported",
        libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
        Meaning.CAPABILITY_MISSING,
        seen=(),
    ),
    _row(
        "a function that the hypervisor has not",
        libvirt.VIR_ERR_NO_SUPPORT,
        Meaning.CAPABILITY_MISSING,
    ),
    _row(
        "a CPU that the host has not",
        libvirt.VIR_ERR_CPU_INCOMPATIBLE,
        Meaning.CAPABILITY_MISSING,
    ),
)

REFUSALS = (*_HOST, *_PASSING, *_STATES, *_MACHINES, *_DEVICES, *_FILES, *_NUMBERS)

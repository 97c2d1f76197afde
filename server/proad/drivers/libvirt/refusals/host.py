"""Rows for any call: missing resources of the host, inactive objects, torn saved states."""

import libvirt

from proad.drivers.libvirt.refusals.row import (
    DEBIAN_12,
    DEBIAN_13,
    DEBIAN_SID,
    FAILED,
    INTERNAL,
    NO_ROOM,
    QEMU,
    STORAGE,
    SYSTEM,
    UNSUPPORTED,
    Meaning,
    Refusal,
    row,
)

HOST: tuple[Refusal, ...] = (
    row(Meaning.HOST_EXHAUSTED, "memory for libvirtd", libvirt.VIR_ERR_NO_MEMORY, seen=()),
    row(Meaning.HOST_EXHAUSTED, "room on the host", SYSTEM, errnos=NO_ROOM),
    row(
        Meaning.HOST_EXHAUSTED,
        "memory for the guest",
        INTERNAL,
        r"cannot set up guest memory .*Cannot allocate memory",
        source=QEMU,
    ),
    row(
        Meaning.HOST_EXHAUSTED,
        "room for an image",
        INTERNAL,
        r"No space left on device|Disk quota exceeded",
    ),
    row(
        Meaning.HOST_EXHAUSTED,
        "room for a state",
        FAILED,
        r"No space left on device|Disk quota exceeded",
    ),
)

INACTIVE: tuple[Refusal, ...] = (
    row(
        Meaning.NOT_ACTIVE,
        "a network that is not active",
        libvirt.VIR_ERR_OPERATION_INVALID,
        r"network '.*' is not active",
        source=libvirt.VIR_FROM_NETWORK,
    ),
    row(
        Meaning.NOT_ACTIVE,
        "a pool that is not active",
        UNSUPPORTED,
        r"storage pool '.*' is not active",
        source=libvirt.VIR_FROM_DOMAIN,
    ),
)

PASSING: tuple[Refusal, ...] = (
    row(Meaning.BUSY, "another job on the domain", libvirt.VIR_ERR_OPERATION_TIMEOUT, seen=()),
    row(
        Meaning.BUSY,
        "a volume that is being copied or made",
        libvirt.VIR_ERR_OPERATION_INVALID,
        r"is still (in use|being allocated)",
        source=STORAGE,
    ),
    row(
        Meaning.BUSY,
        "a pool in which something is being made",
        INTERNAL,
        r"has asynchronous jobs running",
        source=STORAGE,
    ),
)

STATES: tuple[Refusal, ...] = (
    row(
        Meaning.TORN_SAVED_STATE,
        "a saved state that is none",
        FAILED,
        r"image magic is incorrect",
        source=QEMU,
    ),
    row(
        Meaning.TORN_SAVED_STATE,
        "a torn saved state",
        FAILED,
        r"load of migration failed",
        source=QEMU,
        seen=(DEBIAN_13, DEBIAN_SID),
    ),
    row(
        Meaning.TORN_SAVED_STATE,
        "a torn saved state, as QEMU says it",
        INTERNAL,
        r"load of migration failed|error while loading state",
        source=QEMU,
        seen=(DEBIAN_12,),
    ),
)

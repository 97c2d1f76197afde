"""Rows about devices of domains, and resources of the host for them."""

import libvirt

from proad.drivers.libvirt.refusals.row import (
    INTERNAL,
    NOT_THERE,
    QEMU,
    SYSTEM,
    UNSUPPORTED,
    Refusal,
    wrong,
)

DEVICES: tuple[Refusal, ...] = (
    wrong("an unknown network", libvirt.VIR_ERR_NO_NETWORK, field="networks"),
    wrong(
        "an unknown network filter",
        INTERNAL,
        r"referenced filter .* is missing",
        source=libvirt.VIR_FROM_NWFILTER,
    ),
    wrong("an unknown pool", libvirt.VIR_ERR_NO_STORAGE_POOL),
    wrong("an unknown volume", libvirt.VIR_ERR_NO_STORAGE_VOL),
    wrong("an unknown secret", libvirt.VIR_ERR_NO_SECRET),
    wrong(
        "an unknown model of a device",
        INTERNAL,
        r"is not a valid device model name",
        source=QEMU,
    ),
    wrong(
        "an unsuitable model of a device",
        UNSUPPORTED,
        r"does not support video model|IDE controllers are unsupported|is only supported with",
        source=QEMU,
    ),
    wrong(
        "a port out of range",
        UNSUPPORTED,
        r"port must be in range",
        source=QEMU,
    ),
    wrong(
        "an address that is not the host's",
        INTERNAL,
        r"Failed to bind socket: Cannot assign requested address",
        source=QEMU,
    ),
    wrong(
        "a network device that is not there",
        SYSTEM,
        r"interface",
        source=libvirt.VIR_FROM_NONE,
        errnos=NOT_THERE,
    ),
    wrong(
        "CPUs that the host has not",
        SYSTEM,
        r"CPU affinity|cpuset\.cpus",
    ),
)

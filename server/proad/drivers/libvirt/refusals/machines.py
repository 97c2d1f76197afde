"""Rows about types of machines, and processors."""

import libvirt

from proad.drivers.libvirt.refusals.row import (
    DEBIAN_13,
    DEBIAN_SID,
    FAILED,
    INTERNAL,
    QEMU,
    UNSUPPORTED,
    Refusal,
    wrong,
)

MACHINES: tuple[Refusal, ...] = (
    wrong(
        "a machine without PCI",
        libvirt.VIR_ERR_XML_ERROR,
        r"No PCI buses available",
        field="machine",
    ),
    wrong(
        "an unknown machine",
        INTERNAL,
        r"supports PCI but no PCI controller",
        source=QEMU,
        field="machine",
        seen=(DEBIAN_SID,),
    ),
    wrong(
        "too many vCPUs for the machine",
        UNSUPPORTED,
        r"Maximum CPUs greater than specified machine type limit",
        source=QEMU,
        field="vcpus",
    ),
    wrong(
        "too many vCPUs for the CPU model",
        INTERNAL,
        r"requires x2APIC",
        source=QEMU,
        field="vcpus",
        seen=(DEBIAN_13, DEBIAN_SID),
    ),
    wrong(
        "a topology of other vCPUs",
        UNSUPPORTED,
        r"CPU topology doesn't match",
        source=QEMU,
        field="vcpus",
    ),
    wrong(
        "a CPU mode without KVM",
        UNSUPPORTED,
        r"CPU mode .* is not supported by hypervisor",
        source=QEMU,
        field="cpu_mode",
    ),
    wrong(
        "an unknown CPU model",
        INTERNAL,
        r"Unknown CPU model",
        source=libvirt.VIR_FROM_CPU,
    ),
    wrong(
        "an unknown CPU feature",
        UNSUPPORTED,
        r"unknown CPU feature",
        source=libvirt.VIR_FROM_CPU,
    ),
    wrong(
        "a CPU with features that it cannot be given",
        FAILED,
        r"guest CPU doesn't match specification",
        source=libvirt.VIR_FROM_CPU,
    ),
    wrong(
        "UEFI without ACPI",
        UNSUPPORTED,
        r"UEFI requires ACPI",
        source=QEMU,
        field="firmware",
    ),
    wrong(
        "firmware that the host has not",
        FAILED,
        r"Unable to find .*firmware",
        source=QEMU,
        field="firmware",
    ),
    wrong(
        "an unknown kind of machine",
        UNSUPPORTED,
        r"does not support (os|virt) type|No emulator found for arch",
        source=QEMU,
    ),
    wrong(
        "a NUMA node that is not there",
        UNSUPPORTED,
        r"NUMA node \d+ is unavailable",
    ),
)

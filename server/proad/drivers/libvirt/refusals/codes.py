"""Rows for codes with one meaning; they come after all other rows."""

import libvirt

from proad.drivers.libvirt.refusals.row import UNSUPPORTED, Meaning, Refusal, row, wrong

CODES: tuple[Refusal, ...] = (
    wrong("XML that is wrong", libvirt.VIR_ERR_XML_ERROR),
    wrong("XML with a wrong detail", libvirt.VIR_ERR_XML_DETAIL),
    wrong("XML against the schema", libvirt.VIR_ERR_XML_INVALID_SCHEMA),
    wrong("an argument that is wrong", libvirt.VIR_ERR_INVALID_ARG),
    wrong(
        "a domain that contradicts itself",
        UNSUPPORTED,
        source=libvirt.VIR_FROM_DOMAIN,
    ),
    row(Meaning.CAPABILITY_MISSING, "what QEMU or the host cannot do", UNSUPPORTED),
    row(
        Meaning.CAPABILITY_MISSING,
        "an operation that is not supported",
        libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
    ),
    row(
        Meaning.CAPABILITY_MISSING,
        "an argument that is not supported",
        libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
        seen=(),
    ),
    row(
        Meaning.CAPABILITY_MISSING,
        "a function that the hypervisor has not",
        libvirt.VIR_ERR_NO_SUPPORT,
    ),
    row(
        Meaning.CAPABILITY_MISSING,
        "a CPU that the host has not",
        libvirt.VIR_ERR_CPU_INCOMPATIBLE,
    ),
)

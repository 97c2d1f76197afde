"""Rows about files of disks and kernels, and about volumes."""

import errno

import libvirt

from proad.drivers.libvirt.refusals.row import (
    DEBIAN_12,
    INTERNAL,
    NOT_THERE,
    QEMU,
    STORAGE,
    SYSTEM,
    Refusal,
    wrong,
)

FILES: tuple[Refusal, ...] = (
    wrong(
        "a disk that is not there",
        SYSTEM,
        source=STORAGE,
        errnos=NOT_THERE,
        field="disks",
    ),
    wrong(
        "a kernel that is not there",
        SYSTEM,
        source=libvirt.VIR_FROM_SECURITY,
        errnos=NOT_THERE,
    ),
    wrong(
        "another file that is not there",
        SYSTEM,
        r"Unable to open file|is not accessible|Could not open TPM device|cannot open directory",
        errnos=NOT_THERE,
    ),
    wrong(
        "a file that QEMU may not or cannot open",
        INTERNAL,
        r"(?i)(could not|failed to) (open|load) .*"
        r"(Permission denied|No such file or directory|Is a directory)",
        source=QEMU,
    ),
    wrong(
        "a disk that is no file",
        INTERNAL,
        r"driver requires .* to be a regular file",
        source=QEMU,
        seen=(DEBIAN_12,),
    ),
    wrong(
        "a disk of another format",
        INTERNAL,
        r"Image is not in \S+ format",
        source=QEMU,
        field="disks",
    ),
    wrong(
        "a base of another format",
        INTERNAL,
        r"Image is not in \S+ format",
        field="base",
    ),
    wrong(
        "a kernel that is none",
        INTERNAL,
        r"invalid kernel header",
        source=QEMU,
    ),
    wrong(
        "a volume that is too large for its format",
        INTERNAL,
        r"image size is too large for file format",
        field="capacity_bytes",
    ),
    wrong(
        "a volume that is too large for the file system",
        SYSTEM,
        source=STORAGE,
        errnos=frozenset({errno.EFBIG}),
        field="capacity_bytes",
    ),
    wrong(
        "a name that is too long for the file system",
        INTERNAL,
        r"File name too long",
        field="name",
    ),
)

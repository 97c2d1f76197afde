"""Which volumes new domains read and write, and what is said of those that are only read."""

import os
from collections.abc import Iterable, Iterator
from typing import NoReturn

from proad.core.actor import current_subject
from proad.errors import PolicyDeniedError, Violation
from proad.model import DomainSpec, Volume, VolumeRef


def read_volumes(spec: DomainSpec) -> Iterator[VolumeRef]:
    """Yield the existing volumes that a new domain reads: bases of its disks, and media."""
    for disk in spec.disks:
        if disk.new_volume is not None and disk.new_volume.base is not None:
            yield disk.new_volume.base
    for cdrom in spec.cdroms:
        if cdrom.volume is not None:
            yield cdrom.volume


def written_volumes(spec: DomainSpec) -> Iterator[VolumeRef]:
    """Yield the existing volumes that the disks of a new domain are put on."""
    return (disk.volume for disk in spec.disks if disk.volume is not None)


def is_among(path: str, files: Iterable[str]) -> bool:
    """Return whether a path, links resolved, is one of some files."""
    resolved = os.path.realpath(path)
    return any(resolved == os.path.realpath(file) for file in files)


def volume_of(source: str, volumes: Iterable[Volume]) -> Volume | None:
    """Return which of some volumes a file, or POOL/NAME, is; None: none."""
    return next(
        (
            each
            for each in volumes
            if source == f"{each.pool}/{each.name}" or is_among(source, [each.path])
        ),
        None,
    )


def deny_writing(volume: Volume) -> NoReturn:
    """Raise PolicyDeniedError for a volume that the caller may only read."""
    subject = current_subject()
    raise PolicyDeniedError(
        [
            Violation(
                rule="shared volume",
                message=f"{volume.pool}/{volume.name} is shared: it can be the base of a volume or a "
                "medium, and is neither written nor deleted",
            )
        ],
        profile=subject.profile if subject is not None else "",
    )

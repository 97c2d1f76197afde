"""Which volumes new domains read and write, and what is said of those that are only read."""

import errno
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from proad.core.actor import current_subject
from proad.errors import InvalidArgumentError, PolicyDeniedError, Violation
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


def volumes_at(sources: Collection[str], listed: Sequence[Volume]) -> dict[str, Sequence[Volume]]:
    """Return the volumes that some sources are, by the sources; looks at files.

    A pool of the same folder has a file under another name.

    Args:
        sources: files, and volumes as POOL/NAME.
        listed: all volumes.
    """
    by_file: dict[str, list[Volume]] = {}
    files: dict[str, str] = {}
    for each in listed:
        file = files[f"{each.pool}/{each.name}"] = os.path.realpath(each.path)
        by_file.setdefault(file, []).append(each)
    real = {
        each: os.path.realpath(each) if _is_path(each) else files.get(each, "") for each in sources
    }
    return {each: by_file.get(file, ()) for each, file in real.items()}


def is_of_pool(source: str, folders: Collection[str]) -> bool:
    """Return whether a source is named as a volume, or is in the folder of a storage pool."""
    paths = (source, os.path.realpath(source))
    return not _is_path(source) or any(str(Path(path).parent) in folders for path in paths)


def not_there(field: str, source: str) -> InvalidArgumentError:
    """Return the error for a source that the caller may not see, whether it is there or not."""
    return InvalidArgumentError.of(field, f"{source!r} cannot be used: {os.strerror(errno.ENOENT)}")


def _is_path(source: str) -> bool:
    return source.startswith("/")


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

"""Rules on the storage pools of disks and volumes.

An empty name is the default pool, which the host's configuration names.
"""

from collections.abc import Iterator

from proad.errors import Violation
from proad.model import DomainSpec, VolumeSpec
from proad.policy.bounds import is_listed
from proad.policy.profile import Profile


def judge(spec: DomainSpec, profile: Profile) -> Iterator[Violation]:
    """Yield the violations of the pools of a domain's disks and media."""
    for index, disk in enumerate(spec.disks):
        if disk.volume is not None:
            yield from _pool(f"disks[{index}].volume.pool", disk.volume.pool, profile)
        if (new := disk.new_volume) is not None:
            yield from _pool(f"disks[{index}].new_volume.pool", new.pool, profile)
            if new.base is not None:
                yield from _pool(f"disks[{index}].new_volume.base.pool", new.base.pool, profile)
    for index, drive in enumerate(spec.cdroms):
        if drive.volume is not None:
            yield from _pool(f"cdroms[{index}].volume.pool", drive.volume.pool, profile)


def judge_volume(spec: VolumeSpec, profile: Profile) -> Iterator[Violation]:
    """Yield the violations of the pools of a volume and its base."""
    yield from _pool("pool", spec.pool, profile)
    if spec.base is not None:
        yield from _pool("base.pool", spec.base.pool, profile)


def _pool(field: str, pool: str, profile: Profile) -> Iterator[Violation]:
    if pool and not is_listed(pool, profile.allowed_pools):
        yield Violation(
            field=field,
            rule="pool not listed",
            setting="allowed_pools",
            message=f"the storage pool {pool!r} is not one of those that are allowed",
        )

"""Rules on memory, CPUs, processes and other limits: each within the cap of the profile."""

from collections.abc import Iterator

from proad.errors import Violation
from proad.model import ContainerSpec
from proad.policy.containers.surroundings import Surroundings
from proad.policy.profile import Profile

_REAL_TIME = frozenset({"nice", "rtprio", "rttime"})
# The size of /dev/shm that the engine gives where nothing is said.
_SHM_BYTES = 64 * 2**20


def judge_resources(spec: ContainerSpec, profile: Profile, _: Surroundings) -> Iterator[Violation]:
    """Return the violations of memory, CPUs and processes."""
    asked = spec.resources
    yield from _capped(
        "resources.memory_bytes",
        asked.memory_bytes or 0,
        profile.max_memory_bytes,
        "max_memory_bytes",
    )
    swap, most = asked.memory_swap_bytes or 0, 2 * profile.max_memory_bytes
    if swap:  # otherwise it is twice the memory
        yield from _capped("resources.memory_swap_bytes", max(swap, 0), most, "max_memory_bytes")
    yield from _capped("resources.cpus", asked.cpus or 0, profile.max_cpus, "max_cpus")
    yield from _capped(
        "resources.pids_limit", asked.pids_limit or 0, profile.max_pids_limit, "max_pids_limit"
    )


def judge_shm(spec: ContainerSpec, profile: Profile, _: Surroundings) -> Iterator[Violation]:
    """Return the violation of the size of /dev/shm."""
    size = spec.shm_size_bytes or _SHM_BYTES
    yield from _capped("shm_size_bytes", size, profile.max_shm_bytes, "max_shm_bytes")


def judge_tmpfs(spec: ContainerSpec, profile: Profile, _: Surroundings) -> Iterator[Violation]:
    """Return the violations of file systems in memory."""
    for index, mount in enumerate(spec.mounts):
        if mount.tmpfs is not None:
            yield from _capped(
                f"mounts[{index}].tmpfs.size_bytes",
                mount.tmpfs.size_bytes or 0,
                profile.max_tmpfs_bytes,
                "max_tmpfs_bytes",
            )


def judge_ulimits(spec: ContainerSpec, profile: Profile, _: Surroundings) -> Iterator[Violation]:
    """Return the violations of ulimits."""
    for index, limit in enumerate(spec.ulimits):
        field = f"ulimits[{index}]"
        if limit.name in _REAL_TIME and not profile.allow_realtime:
            yield Violation(
                field=field,
                rule="real-time scheduling",
                setting="allow_realtime",
                message=f"{limit.name!r} would let it run before others",
            )
        most = profile.max_ulimits.get(limit.name)
        highest = -1 if -1 in {limit.soft, limit.hard} else max(limit.soft, limit.hard)
        if most is not None and not 0 <= highest <= most:
            yield Violation(
                field=field,
                rule="beyond the limit",
                setting="max_ulimits",
                message=f"{limit.name!r} may be {most} at the most",
            )


def _capped(field: str, value: float, most: float, setting: str) -> Iterator[Violation]:
    """Return the violation of a value; 0 is no limit, of both."""
    if most and not 0 < value <= most:
        limit = f"{most:g}" if most < 1 else f"{most}"
        asked = f"it is {value}" if value > 0 else "it is without limit"
        yield Violation(
            field=field,
            rule="beyond the limit",
            setting=setting,
            message=f"{asked}, and may be {limit} at the most",
        )

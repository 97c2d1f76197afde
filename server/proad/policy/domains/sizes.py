"""Rules on the memory and the processors of a domain, where 0 is no limit."""

from collections.abc import Iterator

from proad.errors import Violation
from proad.model import DomainSpec
from proad.policy.profile import Profile


def judge(spec: DomainSpec, profile: Profile) -> Iterator[Violation]:
    """Yield the violations of the sizes of a domain."""
    if 0 < profile.max_memory_bytes < spec.memory_bytes:
        yield Violation(
            field="memory_bytes",
            rule="too much memory",
            setting="max_memory_bytes",
            message=f"{spec.memory_bytes} bytes of memory are more than {profile.max_memory_bytes}",
        )
    if 0 < profile.max_cpus < spec.vcpus:
        yield Violation(
            field="vcpus",
            rule="too many CPUs",
            setting="max_cpus",
            message=f"{spec.vcpus} virtual processors are more than {profile.max_cpus:g}",
        )

"""The rules of typed domains and volumes together."""

from collections.abc import Callable, Iterator

from proad.errors import Violation
from proad.model import Domain, DomainSpec, VolumeSpec
from proad.policy.domains import pools, sizes
from proad.policy.profile import Profile

Rule = Callable[[DomainSpec, Profile], Iterator[Violation]]

_RULES: tuple[Rule, ...] = (pools.judge, sizes.judge)


def judge(spec: DomainSpec, profile: Profile) -> list[Violation]:
    """Return what a profile denies of the specification of a domain."""
    return [violation for rule in _RULES for violation in rule(spec, profile)]


def judge_live(domain: Domain | None, profile: Profile) -> list[Violation]:
    """Return what a profile denies of a domain that exists, by its FULL view."""
    if domain is None or domain.spec is None:
        return [
            Violation(
                rule="specification unknown",
                message="the engine does not tell all of the domain, so nobody can judge it",
            )
        ]
    return judge(domain.spec, profile)


def judge_snapshots(count: int, profile: Profile) -> list[Violation]:
    """Return what a profile denies of one more snapshot of a domain that has so many."""
    most = profile.max_snapshots
    if not most or count < most:
        return []
    return [
        Violation(
            rule="beyond the limit",
            setting="max_snapshots",
            message=f"the domain has {count} snapshots, and {most} are allowed",
        )
    ]


def judge_volume(spec: VolumeSpec, profile: Profile) -> list[Violation]:
    """Return what a profile denies of the specification of a volume."""
    return list(pools.judge_volume(spec, profile))

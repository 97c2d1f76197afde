"""Rules on the image of a container."""

from collections.abc import Iterator

from proad.errors import Violation
from proad.model import ContainerSpec, registry_of
from proad.policy.profile import Profile
from proad.policy.registries import judge_registry


def judge(spec: ContainerSpec, profile: Profile) -> Iterator[Violation]:
    """Yield the violation of an image whose name is one of a registry that is not allowed."""
    try:
        found = judge_registry(registry_of(spec.image), profile.allowed_registries, field="image")
    except ValueError:
        return  # no name of an image: the engine has none that is called so
    if found is not None:
        yield found

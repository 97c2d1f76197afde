"""Rules on the image of a container."""

import re
from collections.abc import Iterator

from proad.errors import Violation
from proad.model import ContainerSpec, registry_of
from proad.policy.bounds import ANY
from proad.policy.containers.surroundings import Surroundings
from proad.policy.profile import Profile
from proad.policy.registries import SETTING, judge_registry

# What an engine may take for an id, or for the start of one.
_ID = re.compile(r"(sha256:)?[0-9a-fA-F]{1,64}")


def judge_image(spec: ContainerSpec, profile: Profile, _: Surroundings) -> Iterator[Violation]:
    """Yield the violation of an image of a registry that is not allowed, or of any registry."""
    allowed = profile.allowed_registries
    if _ID.fullmatch(spec.image):
        if ANY not in allowed:
            yield Violation(
                field="image",
                rule="registry not listed",
                setting=SETTING,
                message=f"{spec.image!r} may be the id of an image of any registry: give its name",
            )
        return
    try:
        found = judge_registry(registry_of(spec.image), allowed, field="image")
    except ValueError:
        return  # no name of an image: the engine has none that is called so
    if found is not None:
        yield found

"""Rules on the networks of a container."""

from collections.abc import Iterator

from proad.errors import Violation
from proad.model import ContainerSpec
from proad.policy.bounds import ANY
from proad.policy.profile import Profile


def judge(spec: ContainerSpec, profile: Profile) -> Iterator[Violation]:
    """Yield the violations of networks that are not allowed."""
    allowed = profile.allowed_container_networks
    for index, attachment in enumerate(spec.networks):
        network = attachment.network
        if attachment.stands_alone or ANY in allowed or network in allowed:
            continue
        yield Violation(
            field=f"networks[{index}].network",
            rule="network not listed",
            setting="allowed_container_networks",
            message=f"the network {network!r} is not one of those that are allowed",
        )

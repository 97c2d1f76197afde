"""The networks of domains: libvirt's default one, and those that a profile names."""

from dataclasses import replace

from proad.model import DomainSpec, NetworkSpec
from proad.policy.bounds import ANY, is_listed
from proad.policy.profile import Profile

DEFAULT_NETWORK = "default"


def own_networks(profile: Profile) -> list[str]:
    """Return the networks that a profile names beside libvirt's default one."""
    return [each for each in profile.allowed_domain_networks if each not in {ANY, DEFAULT_NETWORK}]


def with_defaults(spec: DomainSpec, profile: Profile) -> DomainSpec:
    """Return a specification that is on the profile's own network if it names none.

    That is the first one that is listed, where the default one may not be used.
    """
    may_use_default = not profile.keeps_apart and is_listed(
        DEFAULT_NETWORK, profile.allowed_domain_networks
    )
    if spec.networks or spec.networkless or may_use_default:
        return spec
    first = own_networks(profile)[:1]
    return replace(spec, networks=tuple(NetworkSpec(network=name) for name in first))

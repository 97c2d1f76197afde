"""Rules on networks, and on names and addresses in them."""

from collections.abc import Iterator

from proad.errors import Violation
from proad.model import NETWORK_OF, ContainerSpec
from proad.policy import shared_networks
from proad.policy.bounds import ANY, is_listed
from proad.policy.containers.surroundings import Surroundings
from proad.policy.profile import Profile

DEFAULT_NETWORK = "bridge"
HOST = "host"
# Docker's names of its default network. Empty stands for no attachment at all.
_DEFAULTS = frozenset({"", "default", DEFAULT_NETWORK})
_NONE = "none"


def judge_networks(
    spec: ContainerSpec, profile: Profile, around: Surroundings
) -> Iterator[Violation]:
    """Return the violations of the networks, and of addresses that the caller chooses."""
    if not spec.networks:
        yield from _judge_name("networks", "", profile, around)
    for index, attachment in enumerate(spec.networks):
        field = f"networks[{index}]"
        yield from _judge_name(f"{field}.network", attachment.network, profile, around)
        for name in ("ipv4_address", "ipv6_address", "mac_address"):
            if getattr(attachment, name) and not profile.allow_fixed_addresses:
                yield Violation(
                    field=f"{field}.{name}",
                    rule="fixed address",
                    setting="allow_fixed_addresses",
                    message="leave the address to the engine",
                )


def judge_names(spec: ContainerSpec, profile: Profile, _: Surroundings) -> Iterator[Violation]:
    """Return the violations of name servers, search domains and lines of /etc/hosts."""
    for name in ("dns_servers", "dns_search"):
        if getattr(spec, name) and not profile.allow_dns:
            yield Violation(
                field=name,
                rule="name servers",
                setting="allow_dns",
                message="leave name servers and search domains to the host",
            )
    if spec.extra_hosts and not profile.allow_extra_hosts:
        yield Violation(
            field="extra_hosts",
            rule="extra hosts",
            setting="allow_extra_hosts",
            message="leave /etc/hosts to the engine",
        )


def may_use_default(profile: Profile) -> bool:
    """Return whether the engine's default network may be used."""
    return _is_named(DEFAULT_NETWORK, profile) and not profile.keeps_apart


def own_networks(profile: Profile) -> list[str]:
    """Return the networks that a profile names beside the engine's default one."""
    return [each for each in profile.allowed_container_networks if each not in {ANY, *_DEFAULTS}]


def _is_named(network: str, profile: Profile) -> bool:
    name = DEFAULT_NETWORK if network in _DEFAULTS else network
    return is_listed(name, profile.allowed_container_networks)


def host_namespace(field: str, namespace: str, profile: Profile) -> Iterator[Violation]:
    """Return the violation of a namespace that is shared with the host."""
    if not is_listed(namespace, profile.allowed_host_namespaces):
        yield Violation(
            field=field,
            rule="host namespace",
            setting="allowed_host_namespaces",
            message=f"it would share the {namespace} namespace with the host",
        )


def joined_namespace(field: str, other: str, profile: Profile) -> Iterator[Violation]:
    """Return the violation of a namespace that is shared with something else."""
    if not profile.allow_joined_namespaces:
        yield Violation(
            field=field,
            rule="joined namespace",
            setting="allow_joined_namespaces",
            message=f"it would join a namespace that is not the caller's: {other!r}",
        )


def _judge_name(
    field: str, network: str, profile: Profile, around: Surroundings
) -> Iterator[Violation]:
    known = around.networks.get(network)
    if network == HOST or (known is not None and known.driver == HOST):
        yield from host_namespace(field, "network", profile)
    elif network.startswith(NETWORK_OF):
        yield from _judge_joined(field, network, profile, around)
    elif ":" in network:  # such as ns:/proc/1/ns/net
        yield from joined_namespace(field, network, profile)
    elif network != _NONE and not _is_named(network, profile):
        yield Violation(
            field=field,
            rule="network not listed",
            setting="allowed_container_networks",
            message=f"the network {network or DEFAULT_NETWORK!r} is not one of "
            f"{', '.join(profile.allowed_container_networks) or 'none'}",
        )
    elif profile.keeps_apart and (network in _DEFAULTS or (known is not None and known.is_default)):
        yield Violation(
            field=field,
            rule=shared_networks.RULE,
            setting=shared_networks.SETTING,
            message=shared_networks.refusal(network or DEFAULT_NETWORK, own_networks(profile)),
        )


def _judge_joined(
    field: str, network: str, profile: Profile, around: Surroundings
) -> Iterator[Violation]:
    """Return the violations of the network of another container, which may be any."""
    joined = around.joined.get(network)
    if joined is None or not (joined.is_own or profile.allow_joined_namespaces):
        yield from joined_namespace(field, network, profile)
        return
    for name in joined.networks:
        if name.startswith(NETWORK_OF):
            yield from joined_namespace(field, name, profile)
        else:
            yield from _judge_name(field, name, profile, around)

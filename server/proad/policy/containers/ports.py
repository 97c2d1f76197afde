"""Rules on published ports."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

from proad.errors import Violation
from proad.model import ContainerSpec, PublishedPort
from proad.policy.containers.surroundings import Surroundings
from proad.policy.profile import Profile

_ALL = ("0.0.0.0", "::")  # noqa: S104 - nothing listens here


def judge_ports(spec: ContainerSpec, profile: Profile, _: Surroundings) -> Iterator[Violation]:
    """Return a violation for each port on an address that is not allowed."""
    yield from judge_published(spec.ports, profile, "ports")


def judge_published(
    ports: Iterable[PublishedPort], profile: Profile, field: str
) -> Iterator[Violation]:
    """Return a violation for each of the ports in a field; one without an address is on all."""
    for index, port in enumerate(ports):
        asked = (port.host_ip,) if port.host_ip else _ALL
        if not all(may_publish(address, profile) for address in asked):
            yield Violation(
                field=f"{field}[{index}].host_ip",
                rule="address not listed",
                setting="publish_addresses",
                message=f"port {port.container_port} would be published on "
                f"{port.host_ip or 'all addresses'}: leave the address out, or use "
                f"{profile.default_publish_address}",
            )


def may_publish(address: str, profile: Profile) -> bool:
    """Return whether ports may be published on an address, however it is spelled."""
    try:
        found: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    return any(found in network for network in profile.publish_addresses)


def may_publish_everywhere(profile: Profile) -> bool:
    """Return whether ports may be published on all addresses of the host."""
    return all(may_publish(address, profile) for address in _ALL)

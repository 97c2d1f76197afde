"""Provocations of refusals about networks, addresses and ports."""

from integration.docker.provoking import NOT_THERE, Provocation, create, on, shared
from proad.model import (
    PublishedPort,
)

ON_NETWORKS: tuple[Provocation, ...] = (
    create(
        "no such network",
        "networks[0].network",
        "a network that is not there",
        networks=on(NOT_THERE),
    ),
    create(
        "no such network",
        "networks[1].network",
        "a second network that is not there",
        networks=on("bridge") + on(NOT_THERE),
    ),
    create(
        "no container to share the network of",
        "networks[0].network",
        "network container:none",
        networks=on(f"container:{NOT_THERE}"),
    ),
    Provocation(
        row="the container whose network is shared does not run",
        call="CreateContainer, network container:NAME of a stopped one",
        act=shared(),
    ),
    Provocation(
        row="a host name beside a shared network",
        call="CreateContainer, network container:NAME and hostname",
        field="spec.hostname",
        act=shared(hostname="x"),
    ),
    Provocation(
        row="ports beside a shared network",
        call="CreateContainer, network container:NAME and ports",
        field="spec.ports",
        act=shared(ports=(PublishedPort(container_port=80),)),
    ),
    Provocation(
        row="name servers beside a shared network",
        call="CreateContainer, network container:NAME and dns_servers",
        field="spec.dns_servers",
        act=shared(dns_servers=("192.0.2.1",)),
    ),
    Provocation(
        row="extra hosts beside a shared network",
        call="CreateContainer, network container:NAME and extra_hosts",
        field="spec.extra_hosts",
        act=shared(extra_hosts={"a": "192.0.2.1"}),
    ),
    create(
        "an extra host without a name",
        "extra_hosts",
        "extra_hosts without a name",
        extra_hosts={"": "192.0.2.1"},
    ),
    create(
        "an IPv4 address that is none",
        "networks[0].ipv4_address",
        "ipv4_address fd00::9",
        networks=on("bridge", ipv4_address="fd00::9"),
    ),
    create(
        "an IPv6 address that is none",
        "networks[0].ipv6_address",
        "ipv6_address 192.0.2.9",
        networks=on("bridge", ipv6_address="192.0.2.9"),
    ),
    create(
        "an address of a network that has none to choose",
        "networks[0].ipv4_address",
        "ipv4_address on the network bridge",
        networks=on("bridge", ipv4_address="192.0.2.9"),
    ),
    Provocation(
        row="an address that is not of the network",
        call="CreateContainer, ipv4_address outside of the network's subnet",
        field="spec.networks[0].ipv4_address",
        act=lambda stage: stage.create_on_a_subnet(own=False),
    ),
    Provocation(
        row="an address that is taken",
        call="CreateContainer, ipv4_address of the gateway",
        act=lambda stage: stage.create_on_a_subnet(own=True),
    ),
    create(
        "aliases on a network that has none",
        "networks[0].aliases",
        "aliases on the network bridge",
        networks=on("bridge", aliases=("a",)),
    ),
    create(
        "an address that is not of the host",
        "ports[1].host_ip",
        "host_ip 203.0.113.9",
        ports=(
            PublishedPort(container_port=81),
            PublishedPort(container_port=80, host_port=48123, host_ip="203.0.113.9"),
        ),
    ),
    Provocation(
        row="a port of the host that is taken",
        call="CreateContainer, host_port twice",
        act=lambda stage: stage.create_with_one_port_twice(),
    ),
    Provocation(
        row="a port of the host that a process listens on",
        call="StartResource, host_port of a process",
        act=lambda stage: stage.start_with_a_port_that_is_taken(),
    ),
)

"""A container's networks, addresses and ports."""

from http import HTTPStatus

from proad.drivers.docker.refusals.row import (
    BAD,
    BAD_OR_FAULT,
    CONFLICT,
    FAULT,
    MISSING,
    DockerRefusal,
    RefusalMeaning,
    row,
    wrong,
)

NETWORKS: tuple[DockerRefusal, ...] = (
    wrong(
        "no such network",
        MISSING,
        r"network (?P<value>\S+) not found",
        "networks[].network",
        advice="make it with Docker's own tools first",
    ),
    wrong(
        "no container to share the network of",
        MISSING | FAULT,
        r"No such container: (?P<value>\S+)",
        "networks[].network",
    ),
    row(
        RefusalMeaning.CONFLICT,
        "the container whose network is shared does not run",
        CONFLICT,
        r"cannot join network (?:namespace )?of a non running container",
        advice="start that one first",
    ),
    wrong(
        "a host name beside a shared network",
        BAD,
        r"conflicting options: hostname and the network mode",
        "hostname",
    ),
    wrong(
        "ports beside a shared network",
        BAD,
        r"conflicting options: port publishing and the container type network mode",
        "ports",
    ),
    wrong(
        "name servers beside a shared network",
        BAD,
        r"conflicting options: dns and the network mode",
        "dns_servers",
    ),
    wrong(
        "extra hosts beside a shared network",
        BAD,
        r"conflicting options: custom host-to-IP mapping and the network mode",
        "extra_hosts",
    ),
    wrong(
        "an extra host without a name",
        BAD,
        r"bad format for add-host: \S+",
        "extra_hosts",
    ),
    wrong(
        "an IPv4 address that is none",
        BAD,
        r"invalid IPv4 address: (?P<value>\S+)",
        "networks[].ipv4_address",
    ),
    wrong(
        "an IPv6 address that is none",
        BAD,
        r"invalid IPv6 address: (?P<value>\S+)",
        "networks[].ipv6_address",
    ),
    wrong(
        "an address of a network that has none to choose",
        BAD,
        r"user specified IP address is supported (?:on user defined networks only"
        r"|only when connecting to networks with user configured subnets)",
        "networks[].ipv4_address",
        "networks[].ipv6_address",
    ),
    wrong(
        "an address that is not of the network",
        BAD_OR_FAULT,
        r"(?:no configured subnet or ip-range contain the IP|Invalid) address (?P<value>\S+?)"
        r"(?:: It does not belong to any of this network's subnets|$)",
        "networks[].ipv4_address",
        "networks[].ipv6_address",
    ),
    wrong(
        "aliases on a network that has none",
        BAD,
        r"network-scoped alias is supported only for containers in user defined networks",
        "networks[].aliases",
    ),
    wrong(
        "an address that is not of the host",
        FAULT,
        r"(?:listen \w+|host port for) \[?(?P<value>[0-9a-f.:]+?)\]?:\d+:"
        r"[^\n]*cannot assign requested address",
        "ports[].host_ip",
    ),
    row(
        RefusalMeaning.TAKEN,
        "a port of the host that is taken",
        FAULT,
        r"Bind for (?P<value>\S+) failed: port is already allocated",
    ),
    row(
        RefusalMeaning.TAKEN,
        "a port of the host that a process listens on",
        FAULT,
        r"(?:listen \w+|host port for) (?P<value>\S+?:\d+):(?: bind:| ?\S+:) "
        r"address already in use",
    ),
    row(
        RefusalMeaning.TAKEN,
        "an address that is taken",
        frozenset({HTTPStatus.FORBIDDEN}),
        r"Address already in use",
        "networks[].ipv4_address",
        "networks[].ipv6_address",
    ),
)

"""Requests for networks, names in them, and ports."""

from hostile_containers.hostile import Hostile, each

NETWORKS = (
    *each(
        [
            {"networks": [{"network": "host"}]},
            {"networks": [{"network": "host", "aliases": ["web"]}]},
        ],
        "host namespace",
        "allowed_host_namespaces",
    ),
    *each(
        [
            {"networks": [{"network": name}]}
            for name in (
                *("container:", "container:no-such-one", "container:zz", "container:/etc"),
                *("container:ns:/proc/1/ns/net", "ns:/proc/1/ns/net", "ns:/run/netns/x"),
                *("ns:", "service:web", "pod:web", "slirp4netns:enable_ipv6=true", "path:/x"),
            )
        ],
        "joined namespace",
        "allow_joined_namespaces",
    ),
    *each(
        [
            {"networks": [{"network": "bridge", "ipv4_address": "172.17.0.1"}]},
            {"networks": [{"network": "bridge", "ipv4_address": "172.17.0.99"}]},
            {"networks": [{"network": "bridge", "ipv6_address": "fd00::1"}]},
            {
                "networks": [
                    {"network": "bridge"},
                    {"network": "some", "ipv4_address": "10.0.0.1"},
                ]
            },
            {"networks": [{"network": "bridge", "mac_address": "02:42:ac:11:00:02"}]},
        ],
        "fixed address",
        "allow_fixed_addresses",
    ),
)

NAMES = (
    *each(
        [
            {"dns_servers": ["192.0.2.1"]},
            {"dns_servers": ["::1"]},
            {"dns_servers": ["169.254.169.254"]},
            {"dns_search": ["internal"]},
            {"dns_search": ["."]},
            {"dns_servers": ["127.0.0.1"], "dns_search": ["a.test"]},
        ],
        "name servers",
        "allow_dns",
    ),
    *each(
        [
            {"extra_hosts": {"host": "host-gateway"}},
            {"extra_hosts": {"localhost": "192.0.2.1"}},
            {"extra_hosts": {"registry.test": "192.0.2.1"}},
            {"extra_hosts": {"metadata": "169.254.169.254"}},
            {"extra_hosts": {"a\n192.0.2.1 b": "192.0.2.2"}},
        ],
        "extra hosts",
        "allow_extra_hosts",
    ),
)

_ADDRESSES = (
    *("0.0.0.0", "::", "0:0:0:0:0:0:0:0", "::0", "::ffff:0.0.0.0", "::ffff:10.0.0.1"),
    *("10.0.0.1", "172.17.0.1", "192.168.0.1", "192.168.122.1", "169.254.169.254", "8.8.8.8"),
    *("126.255.255.255", "128.0.0.1", "224.0.0.1", "255.255.255.255", "::2", "fe80::1"),
    *("fe80::1%eth0", "fd00::1", "2001:db8::1", "::7f00:1", "64:ff9b::7f00:1"),
)
PORTS = tuple(
    Hostile(
        {"ports": [{"container_port": 80, "host_ip": address, "protocol": protocol} | more]},
        "address not listed",
        "publish_addresses",
    )
    for address in _ADDRESSES
    for protocol, more in (
        ("PORT_PROTOCOL_TCP", {}),
        ("PORT_PROTOCOL_UDP", {"host_port": 53}),
        ("PORT_PROTOCOL_SCTP", {"host_port": 0}),
    )
    if more != {"host_port": 0}
) + tuple(
    Hostile(
        {
            "ports": [
                {"container_port": 80, "host_ip": "127.0.0.1"},
                {"container_port": 81},
                {"container_port": 82, "host_ip": address},
            ]
        },
        "address not listed",
        "publish_addresses",
    )
    for address in _ADDRESSES[:8]
)

from ipaddress import ip_network

import pytest

from proad.auth.client_address import ClientAddressResolver

PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8:ffff::/48"))


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.1:443", "192.0.2.1"),
        ("ipv6:%5B2001:db8:0:1:2::3%5D:443", "2001:db8:0:1::/64"),
        ("ipv6:[2001:db8:0:1:2::3]:443", "2001:db8:0:1::/64"),
        ("ipv6:%5B::1%5D:443", "::1"),
        ("ipv6:%5B::ffff:192.0.2.1%5D:443", "192.0.2.1"),
        ("ipv6:%5Bfe80::1%25eth0%5D:443", "fe80::1%eth0"),
        ("unix:", "unix"),
        ("unix:/run/proa.sock", "unix"),
        ("unix-abstract:x", "unix"),
        ("ipv4:nonsense:1", "unix"),
        ("", "unix"),
    ],
)
def test_resolve_without_proxies_returns_the_network_of_the_peer(peer, address):
    assert ClientAddressResolver().resolve(peer) == address
    assert ClientAddressResolver().resolve(peer, ["198.51.100.7"]) == address, (
        "no proxy is trusted by default"
    )


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ([], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["198.51.100.7"], "198.51.100.7"),
        ([" 198.51.100.7 "], "198.51.100.7"),
        (["198.51.100.7:55"], "198.51.100.7"),
        (["[2001:db8::7]:55"], "2001:db8::/64"),
        (["2001:db8::7"], "2001:db8::/64"),
        (["::ffff:198.51.100.7"], "198.51.100.7"),
        # entries left of the last address that is no proxy may be forged
        (["192.0.2.1, 198.51.100.7"], "198.51.100.7"),
        (["192.0.2.1", "198.51.100.7"], "198.51.100.7"),
        (["192.0.2.1, 198.51.100.7, 10.0.0.2,10.0.0.3"], "198.51.100.7"),
        (["198.51.100.7, 2001:db8:ffff::1"], "198.51.100.7"),
        # only proxies: the first of them
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        # an entry that is no address ends the chain
        (["192.0.2.1, unknown"], "10.0.0.1"),
        (["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
        (["192.0.2.1,"], "10.0.0.1"),
        (["x" * 8000], "10.0.0.1"),
        ([",".join(["192.0.2.1"] + ["10.0.0.2"] * 1000)], "10.0.0.2"),
    ],
)
def test_resolve_behind_proxies_returns_the_last_address_that_is_no_proxy(forwarded, address):
    assert ClientAddressResolver(PROXIES).resolve("ipv4:10.0.0.1:443", forwarded) == address


def test_resolve_of_a_peer_that_is_no_proxy_ignores_the_header():
    assert (
        ClientAddressResolver(PROXIES).resolve("ipv4:192.0.2.1:443", ["198.51.100.7"])
        == "192.0.2.1"
    )
    assert ClientAddressResolver(PROXIES).resolve("unix:", ["198.51.100.7"]) == "unix"


def test_resolve_with_a_proxy_at_the_unix_socket_reads_the_header():
    resolver = ClientAddressResolver(["unix"])
    assert resolver.resolve("unix:", ["192.0.2.1, 198.51.100.7"]) == "198.51.100.7"
    assert resolver.resolve("unix:") == "unix"
    assert resolver.resolve("ipv4:192.0.2.1:443", ["198.51.100.7"]) == "192.0.2.1"

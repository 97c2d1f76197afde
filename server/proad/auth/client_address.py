"""The address of a caller, as a key that tells callers apart."""

import ipaddress
import re
from collections.abc import Collection, Sequence
from typing import Literal
from urllib.parse import unquote

from proad.config.proxies import Proxy

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
UNIX: Literal["unix"] = "unix"

# A subscriber owns a network of this size: all addresses in it count as one.
_IPV6_PREFIX = 64
# No real call passes more proxies than that.
_MAX_HOPS = 16


class ClientAddressResolver:
    """Resolves the address that a call came from: an IPv4 address, an IPv6 /64, or "unix".

    gRPC does not report the peer of a Unix socket, so that all its callers have one address.

    Args:
        proxies: the trusted proxies, whose `x-forwarded-for` entries are believed.
    """

    def __init__(self, proxies: Collection[Proxy] = ()) -> None:
        self._networks = [proxy for proxy in proxies if proxy != UNIX]
        self._unix_is_proxy = UNIX in proxies

    def resolve(self, peer: str, forwarded: Sequence[str] = ()) -> str:
        """Return the address that a call came from.

        Args:
            peer: the peer of the connection, as gRPC reports it.
            forwarded: the values of its `x-forwarded-for` headers. Each proxy appends the
                address of its own peer: the last entry that is no trusted proxy is the
                caller, and every entry before that may be forged.
        """
        address = _peer_address(peer)
        if self.is_proxy(peer):
            for text in reversed(",".join(forwarded).split(",")[-_MAX_HOPS:]):
                hop = _hop_address(text.strip())
                if hop is None:
                    break
                address = hop
                if not self._is_proxy(hop):
                    break
        return UNIX if address is None else _network_of(address)

    def is_proxy(self, peer: str) -> bool:
        """Return whether the peer of a connection is a trusted proxy."""
        address = _peer_address(peer)
        return self._unix_is_proxy if address is None else self._is_proxy(address)

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def is_of_this_host(resolved: str) -> bool:
    """Return whether an address, as resolved, is the Unix socket or on loopback."""
    if resolved == UNIX:
        return True
    return ipaddress.ip_network(resolved).is_loopback


def _network_of(address: Address) -> str:
    # All hosts of a link share one link-local network, which tells none of them apart.
    if address.version == 4 or address.is_link_local or address.is_loopback:  # noqa: PLR2004
        return str(address)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))


def _peer_address(peer: str) -> Address | None:
    """Return the address in `ipv4:192.0.2.1:443` or `ipv6:%5B::1%5D:443`; None for a socket."""
    kind, _, rest = peer.partition(":")
    if kind not in {"ipv4", "ipv6"}:
        return None
    return _address(unquote(rest).rpartition(":")[0].strip("[]"))


def _hop_address(text: str) -> Address | None:
    """Return the address in `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1` or `[2001:db8::1]:443`."""
    if match := re.fullmatch(r"\[([^]]+)\](:\d{1,5})?|([0-9.]+):\d{1,5}", text):
        text = match[1] or match[3]
    return _address(text)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A dual-stack socket reports IPv4 peers as mapped IPv6 addresses, all in one /64.
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address

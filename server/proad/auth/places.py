"""Where a call comes from, as far as it tells one caller from another."""

import ipaddress
import re
from collections.abc import Collection, Sequence
from typing import Literal
from urllib.parse import unquote

from proad.config.settings import Proxy

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
UNIX: Literal["unix"] = "unix"

# A subscriber has a network of this size: all addresses in it are one place.
_IPV6_PREFIX = 64
# More proxies than that are in no one's way.
_MOST_HOPS = 16


class Places:
    """Tells places apart: IPv4 addresses, IPv6 networks of 64 bits, and the Unix socket.

    gRPC does not tell who is at the other end of a Unix socket: they are one place.

    Args:
        proxies: whose word is taken for where a call came from before it came to them.
    """

    def __init__(self, proxies: Collection[Proxy] = ()) -> None:
        self._networks = [proxy for proxy in proxies if proxy != UNIX]
        self._unix_is_proxy = UNIX in proxies

    def of(self, peer: str, forwarded: Sequence[str] = ()) -> str:
        """Return the place of a call.

        Args:
            peer: the other end of the connection, as gRPC tells it.
            forwarded: the values of its `x-forwarded-for` headers. Each proxy appends where
                the call came from, so what is true stands at the right: the place is the
                last address that is no proxy of ours, and what stands before it anybody may
                have written.
        """
        address = _peer_address(peer)
        if address is None and not self._unix_is_proxy:
            return UNIX
        if address is None or self._is_proxy(address):
            for text in reversed(",".join(forwarded).split(",")[-_MOST_HOPS:]):
                hop = _hop_address(text.strip())
                if hop is None:
                    break
                address = hop
                if not self._is_proxy(hop):
                    break
        return UNIX if address is None else _place(address)

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _place(address: Address) -> str:
    # All of a link have the same network: there it tells nobody apart.
    if address.version == 4 or address.is_link_local or address.is_loopback:  # noqa: PLR2004
        return str(address)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))


def _peer_address(peer: str) -> Address | None:
    """Return the address in `ipv4:192.0.2.1:443` or `ipv6:%5B::1%5D:443`; of a socket none."""
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
    # A socket for both kinds gives IPv4 addresses as IPv6 ones, all in one network.
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address

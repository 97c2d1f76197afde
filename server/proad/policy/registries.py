"""Which registries a list of patterns allows: "HOST", "HOST:PORT", "*.DOMAIN" or "*"."""

import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from proad.errors import Violation
from proad.model import DOCKER_HUB, host_and_port

SETTING = "allowed_registries"
ANY = "*"
"""Allows every registry except those on the host itself and on its own link."""

# Addresses other than link-local ones where clouds serve metadata, credentials included.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200")))
_HERE = ip_network("0.0.0.0/8")
_NAT64 = ip_network("64:ff9b::/96")

Address = IPv4Address | IPv6Address

_PATTERN = re.compile(
    r"\*|(\*\.)?[A-Za-z0-9][A-Za-z0-9_.-]*(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?"
)


def registry_pattern(value: str) -> str:
    """Check the spelling of a pattern. Raises ValueError."""
    if not _PATTERN.fullmatch(value):
        raise ValueError('give "HOST", "HOST:PORT", "*.DOMAIN" or "*", without https:// or a path')
    return value


def covers(pattern: str, other: str) -> bool:
    """Return whether a pattern allows all that another one allows."""
    if ANY in {pattern, other}:
        return pattern == other or (pattern == ANY and not is_near(_parsed(other)[0]))
    (host, port), (inner, inner_port) = _parsed(pattern), _parsed(other)
    if port and port != inner_port:
        return False
    return host == inner or (host.startswith(".") and inner.endswith(host))


def is_named(registry: str, allowed: Sequence[str]) -> bool:
    """Return whether a registry is allowed by another pattern than "*".

    Raises:
        ValueError: `registry` is neither HOST nor HOST:PORT.
    """
    host, port = host_and_port(registry)
    return any(_matches(host, port, _parsed(one)) for one in allowed if one != ANY)


def judge_registry(registry: str, allowed: Sequence[str], *, field: str = "") -> Violation | None:
    """Return the violation of a registry, as far as its name tells; None: it is allowed.

    Raises:
        ValueError: `registry` is neither HOST nor HOST:PORT.
    """
    host, _ = host_and_port(registry)
    if is_named(registry, allowed):
        return None
    if ANY not in allowed:
        return Violation(
            field=field,
            rule="registry not listed",
            setting=SETTING,
            message=f"the registry {registry!r} is not one of those that are allowed",
        )
    return near(registry, field=field) if host != DOCKER_HUB and is_near(host) else None


def near(registry: str, *, field: str = "") -> Violation:
    """Return the violation of a registry on the host itself or on its own link."""
    return Violation(
        field=field,
        rule="registry on loopback or link-local",
        setting=SETTING,
        message=f"the registry {registry!r} is on the host itself or on its own link",
    )


def is_near(host: str) -> bool:
    """Return whether a host, by its name or its address, is this host or on its own link."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    literal = literal_address(host)
    return literal is not None and is_near_address(literal)


def is_near_address(address: Address) -> bool:
    """Return whether an address is this host's, on its own link, or serves a cloud's metadata."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        # Addresses of NAT64 and IPv4-compatible ones embed an IPv4 address, too.
        if inner is None and (address in _NAT64 or int(address) >> 32 == 0):
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None and not address.is_loopback and is_near_address(inner):
            return True
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address in _METADATA
        or (isinstance(address, IPv4Address) and address in _HERE)
    )


def _matches(host: str, port: str, pattern: tuple[str, str]) -> bool:
    wanted, wanted_port = pattern
    if wanted_port and wanted_port != port:
        return False
    literal = literal_address(host)
    if literal is not None:
        return literal == literal_address(wanted)
    return host == wanted or (wanted.startswith(".") and host.endswith(wanted))


def _parsed(text: str) -> tuple[str, str]:
    """Return the host and the port of a pattern; the host of "*.DOMAIN" is ".DOMAIN"."""
    host, port = host_and_port(text.removeprefix("*."))
    return (f".{host}" if text.startswith("*.") else host), port


def literal_address(host: str) -> Address | None:
    """Parse an address, however it is spelled, also 127.1 or 0x7f000001; None: it is a name."""
    with suppress(ValueError):
        return ip_address(host)
    if not host[:1].isdigit():
        return None  # a name: the C library reads numbers in four ways, all of which begin so
    with suppress(OSError):
        return ip_address(socket.inet_aton(host))
    return None

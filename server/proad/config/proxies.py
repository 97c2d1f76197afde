"""Trusted proxies, by the networks that they are in."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal

Proxy = IPv4Network | IPv6Network | Literal["unix"]
"""A trusted source of `x-forwarded-for`: a network, or the Unix socket."""


def parse_proxies(value: object) -> object:
    """Parse networks or "unix": a comma-separated text or a list."""
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, list | tuple):
        raise ValueError("give a network, or a list of them")  # noqa: TRY004 - pydantic expects ValueError
    return tuple(map(_proxy, texts))


def _proxy(value: object) -> Proxy:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if text == "unix":
        return "unix"
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(
            f"{value!r} is no address, no network such as '10.0.0.0/8', and not 'unix'"
        ) from None

"""Which registries pulls and logins may go to."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from proad.errors import InvalidArgumentError, PolicyDeniedError
from proad.model import DOCKER_HUB, host_and_port, registry_of

SETTING = "allowed_registries"
ANY = "*"
"""Allows every registry except those on the host itself and on its own link."""

# Addresses other than link-local ones where clouds serve metadata, credentials included.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200")))
_HERE = ip_network("0.0.0.0/8")
_LOOKUPS = 4

_Address = IPv4Address | IPv6Address


class AllowedRegistries:
    """Checks whether an engine may be told to connect to a registry.

    Names are resolved here as a best effort: the engine resolves them again, and follows the
    redirects of the registry. A name that cannot be resolved is allowed: the engine may have
    a proxy or a mirror for it.

    Args:
        allowed: "HOST", "HOST:PORT", "*.DOMAIN", or "*": see `ANY`.
        resolve_within: seconds to wait for a name to be resolved; the resolver may take far
            longer to give up.
    """

    def __init__(self, allowed: Sequence[str], *, resolve_within: float = 2.0) -> None:
        self._resolve_within = resolve_within
        self._any = ANY in allowed
        self._patterns = [_pattern(one) for one in allowed if one != ANY]
        self._lookups = asyncio.Semaphore(_LOOKUPS)

    async def check_image(self, image: str) -> None:
        """Check that an image may be pulled from the registry in its name.

        Raises:
            InvalidArgumentError: the name is none that an image can have.
            PolicyDeniedError: the registry is not allowed.
        """
        try:
            await self._check(registry_of(image))
        except ValueError:
            raise InvalidArgumentError.of("image", "is no image name, such as debian:12") from None

    async def check(self, registry: str) -> None:
        """Check that a registry is allowed; an empty one is Docker Hub.

        Raises:
            InvalidArgumentError: `registry` is neither HOST nor HOST:PORT.
            PolicyDeniedError: the registry is not allowed.
        """
        try:
            await self._check(registry or DOCKER_HUB)
        except ValueError as error:
            raise InvalidArgumentError.of("registry", str(error)) from None

    async def _check(self, registry: str) -> None:
        host, port = host_and_port(registry)
        if any(_matches(host, port, pattern) for pattern in self._patterns):
            return
        if not self._any:
            raise PolicyDeniedError(
                f"the registry {registry!r} is not one of those that are allowed",
                rule="registry not listed",
                setting=SETTING,
            )
        if host != DOCKER_HUB and await self._is_near(host):
            raise PolicyDeniedError(
                f"the registry {registry!r} is on the host itself or on its own link",
                rule="registry on loopback or link-local",
                setting=SETTING,
            )

    async def _is_near(self, host: str) -> bool:
        if host == "localhost" or host.endswith(".localhost"):
            return True
        literal = _address(host)
        if literal is not None:
            return _near(literal)
        with suppress(TimeoutError):
            return any(
                map(_near, await asyncio.wait_for(self._resolve(host), self._resolve_within))
            )
        return False

    async def _resolve(self, host: str) -> Sequence[_Address]:
        """Resolve a name on a thread of its own, which delays neither others nor the exit."""
        await self._lookups.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[_Address]] = loop.create_future()

        def done(addresses: Sequence[_Address]) -> None:
            self._lookups.release()
            if not answer.done():
                answer.set_result(addresses)

        def resolve() -> None:
            addresses = _resolved(host)
            with suppress(RuntimeError):  # the event loop is closed by now
                loop.call_soon_threadsafe(done, addresses)

        threading.Thread(target=resolve, name="resolve", daemon=True).start()
        return await answer


def _matches(host: str, port: str, pattern: tuple[str, str]) -> bool:
    wanted, wanted_port = pattern
    if wanted_port and wanted_port != port:
        return False
    literal = _address(host)
    if literal is not None:
        return literal == _address(wanted)
    return host == wanted or (wanted.startswith(".") and host.endswith(wanted))


def _pattern(text: str) -> tuple[str, str]:
    """Return the host and the port of a pattern; the host of "*.DOMAIN" is ".DOMAIN"."""
    host, port = host_and_port(text.removeprefix("*."))
    return (f".{host}" if text.startswith("*.") else host), port


def _address(host: str) -> _Address | None:
    """Parse an address however it is spelled: also 127.1, 0x7f000001 and 017700000001."""
    with suppress(ValueError):
        return ip_address(host)
    if not host[:1].isdigit():
        return None  # a name: the C library reads numbers in four ways, all of which begin so
    with suppress(OSError):
        return ip_address(socket.inet_aton(host))
    return None


def _near(address: _Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        # Addresses of NAT64 and IPv4-compatible ones embed an IPv4 address, too.
        if inner is None and (address in ip_network("64:ff9b::/96") or int(address) >> 32 == 0):
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None and not address.is_loopback and _near(inner):
            return True
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address in _METADATA
        or (isinstance(address, IPv4Address) and address in _HERE)
    )


def _resolved(host: str) -> list[_Address]:
    with suppress(OSError, ValueError):
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return [ip_address(str(where[0]).partition("%")[0]) for *_, where in found]
    return []

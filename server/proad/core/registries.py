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
"""Every registry but those on the host itself and on its own link."""

# What a cloud tells its machines, credentials included, beside the link-local addresses.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200")))
_HERE = ip_network("0.0.0.0/8")
# Seconds for a name to be resolved; it may take the resolver far longer to give up.
_PATIENCE = 2.0
_LOOKUPS = 4

_Address = IPv4Address | IPv6Address


class AllowedRegistries:
    """Judges registries before an engine is asked to connect to one.

    Names are resolved here as a best effort: the engine does it again, and follows what
    the registry answers. A name that cannot be resolved is let through: the engine may have
    a proxy or a mirror for it.

    Args:
        allowed: "HOST", "HOST:PORT", "*.DOMAIN", or "*": see `ANY`.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self._any = ANY in allowed
        self._patterns = [_pattern(one) for one in allowed if one != ANY]
        self._lookups = asyncio.Semaphore(_LOOKUPS)

    async def check_image(self, image: str) -> None:
        """Do nothing if the image may be pulled from where its name says.

        Raises:
            PolicyDeniedError: it may not.
        """
        try:
            await self._check(registry_of(image))
        except ValueError:
            raise InvalidArgumentError.of("image", "is no image name, such as debian:12") from None

    async def check(self, registry: str) -> None:
        """Do nothing if the registry may be asked; an empty one is Docker Hub.

        Raises:
            InvalidArgumentError: it is neither HOST nor HOST:PORT.
            PolicyDeniedError: it may not.
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
            return any(map(_near, await asyncio.wait_for(self._resolve(host), _PATIENCE)))
        return False

    async def _resolve(self, host: str) -> Sequence[_Address]:
        """Give the addresses of a name, on a thread that holds up neither others nor the exit."""
        await self._lookups.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[_Address]] = loop.create_future()

        def done(addresses: Sequence[_Address]) -> None:
            self._lookups.release()
            if not answer.done():
                answer.set_result(addresses)

        def refresh() -> None:
            addresses = _resolved(host)
            with suppress(RuntimeError):  # the daemon has ended meanwhile
                loop.call_soon_threadsafe(done, addresses)

        threading.Thread(target=refresh, name="resolve", daemon=True).start()
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
    """Read the host and the port of a pattern; the host of "*.DOMAIN" is ".DOMAIN"."""
    host, port = host_and_port(text.removeprefix("*."))
    return (f".{host}" if text.startswith("*.") else host), port


def _address(host: str) -> _Address | None:
    """Read an address however it is spelled: also 127.1, 0x7f000001 and 017700000001."""
    with suppress(ValueError):
        return ip_address(host)
    if not host[:1].isdigit():
        return None  # a name; the C library takes numbers in four ways
    with suppress(OSError):
        return ip_address(socket.inet_aton(host))
    return None


def _near(address: _Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        # Also NAT64's, and the form without a prefix.
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

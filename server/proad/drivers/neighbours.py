"""Connections to neighbours of this host: what has an address in one of its bridge networks.

Where an address leads is asked of the kernel, and not of who told the address: a guest may tell that
of the host, of another guest, or of anybody. So the route must lead straight to a bridge, and who
answered must have the MAC address of the interface that is meant, and sit at its port of the bridge.
"""

import asyncio
import errno
import ipaddress
import os
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from proad.drivers.exhausted import exhausted, is_exhausted
from proad.drivers.tcp_connection import TcpConnection, connect, connection_of, tcp_socket
from proad.errors import CapabilityMissingError, ConnectionFailedError

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# https://man7.org/linux/man-pages/man7/rtnetlink.7.html
_GET_NEIGHBOUR, _GET_ROUTE = 30, 26
_REQUEST = 1
_ERROR = 2
_HEADER = struct.Struct("=IHHII")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_ATTRIBUTE = struct.Struct("=HH")
_ROUTE_DST, _ROUTE_OIF, _ROUTE_GATEWAY, _ROUTE_VIA = 1, 4, 5, 18
_NEIGHBOUR_DST, _NEIGHBOUR_MAC, _NEIGHBOUR_MASTER = 1, 2, 9
_UNICAST = 1
_LARGEST_ANSWER = 64 * 2**10
_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Where a resource may be connected to.

    Attributes:
        address: an address, of which nothing is known yet.
        mac_address: of the interface that must have it.
        networks: the address must be in one of these.
        gateways: addresses that are none of the resource.
        device: the bridge that must lead there; empty: any.
        port_device: the device of the interface, by which that bridge must lead there; empty: any.
    """

    address: IpAddress
    mac_address: str
    networks: tuple[IpNetwork, ...]
    gateways: tuple[IpAddress, ...]
    device: str = ""
    port_device: str = ""


@asynccontextmanager
async def connected(
    neighbours: Sequence[Neighbour], port: int, limit: timedelta, *, driver: str, hint: str
) -> AsyncIterator[TcpConnection]:
    """Connect to the first of some neighbours that can be connected to.

    Raises:
        CapabilityMissingError: none may be; `hint` says what to do.
        ConnectionFailedError: none of those answers that may be.
        HostExhaustedError: this process has no descriptor left for it.
    """
    failure: ConnectionFailedError | None = None
    clock = asyncio.get_running_loop().time
    end = clock() + limit.total_seconds()  # of all of them: a guest may tell many
    for neighbour in neighbours:
        try:
            device = _device_of(neighbour)
            if not device:
                continue
            left = timedelta(seconds=max(end - clock(), 0))
            carrier = await _connect(neighbour, device, port, left)
        except ConnectionFailedError as error:
            failure = failure or error
            continue
        except OSError as error:
            raise exhausted(driver, error) from None
        if carrier is not None:
            address = f"{neighbour.address}:{port}"
            if neighbour.address.version == 6:  # noqa: PLR2004 - of the protocol
                address = f"[{neighbour.address}]:{port}"
            async with connection_of(carrier, port, address) as connection:
                yield connection
                return
    raise failure or CapabilityMissingError(
        "connections to a resource without an address of its own that this host reaches",
        driver=driver,
        hint=hint,
    )


def _device_of(neighbour: Neighbour) -> int:
    """Return the number of the device that leads straight to a neighbour; 0: it may not be."""
    address = neighbour.address
    if (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in neighbour.gateways
        or not any(address in network for network in neighbour.networks)
    ):
        return 0
    try:
        device = route_to(address)
        name = socket.if_indextoname(device) if device else ""
        if neighbour.device not in {"", name} or not Path(f"/sys/class/net/{name}/bridge").is_dir():
            return 0
    except OSError as error:
        if is_exhausted(error):
            raise
        return 0
    return device


async def _connect(
    neighbour: Neighbour, device: int, port: int, limit: timedelta
) -> socket.socket | None:
    """Return a socket that is connected to a neighbour; None: somebody else has the address.

    Raises:
        ConnectionFailedError: it cannot be connected.
    """
    family = socket.AF_INET if neighbour.address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - of the protocol
    carrier = tcp_socket(family)
    try:
        # The route may have changed since: nothing else is reached.
        name = socket.if_indextoname(device).encode()
        carrier.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
        try:
            await connect(carrier, str(neighbour.address), port, limit)
        except ConnectionFailedError:
            if _has(neighbour, device) is False:
                carrier.close()
                return None
            raise
        if _has(neighbour, device):
            return carrier
    except OSError as error:
        carrier.close()
        if is_exhausted(error):
            raise
    except BaseException:
        carrier.close()
        raise
    carrier.close()
    return None


def _has(neighbour: Neighbour, device: int) -> bool | None:
    """Return whether the interface that is meant has the address; None: nobody told."""
    mac = mac_of(neighbour.address, device)
    if mac is None:
        return None
    if mac != neighbour.mac_address.lower():
        return False
    name = neighbour.port_device
    return not name or socket.if_nametoindex(name) == port_of(mac, device)


def route_to(address: IpAddress) -> int:
    """Return the number of the device on whose link an address is; 0: it is nobody's on a link.

    Those of this host, of groups, and what a gateway leads to, are not.

    Raises:
        OSError: the kernel knows no route.
    """
    packed = address.packed
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6  # noqa: PLR2004 - bytes
    body = _ROUTE.pack(family, 8 * len(packed), 0, 0, 0, 0, 0, 0, 0)
    header, attributes = _ask(_GET_ROUTE, body, {_ROUTE_DST: packed}, _ROUTE)
    if header[7] != _UNICAST or attributes.keys() & {_ROUTE_GATEWAY, _ROUTE_VIA}:
        return 0
    device: int = struct.unpack("=I", attributes.get(_ROUTE_OIF, bytes(4)))[0]
    return device


def mac_of(address: IpAddress, device: int) -> str | None:
    """Return the MAC address of who has an address on the link of a device; None: nobody told."""
    packed = address.packed
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6  # noqa: PLR2004 - bytes
    body = _NEIGHBOUR.pack(family, device, 0, 0, 0)
    try:
        _, attributes = _ask(_GET_NEIGHBOUR, body, {_NEIGHBOUR_DST: packed}, _NEIGHBOUR)
    except OSError as error:
        if is_exhausted(error):
            raise
        return None
    mac = attributes.get(_NEIGHBOUR_MAC)
    return None if mac is None else mac.hex(":")


def port_of(mac: str, bridge: int) -> int:
    """Return the number of the device at which a bridge saw a MAC address last.

    Raises:
        OSError: it has not seen it.
    """
    body = _NEIGHBOUR.pack(socket.AF_BRIDGE, 0, 0, 0, 0)
    asked = {
        _NEIGHBOUR_MAC: bytes.fromhex(mac.replace(":", "")),
        _NEIGHBOUR_MASTER: struct.pack("=I", bridge),
    }
    header, _ = _ask(_GET_NEIGHBOUR, body, asked, _NEIGHBOUR)
    return header[1]


def _ask(
    kind: int, body: bytes, attributes: dict[int, bytes], layout: struct.Struct
) -> tuple[tuple[int, ...], dict[int, bytes]]:
    """Ask the kernel one question; return the fixed part of its answer, and the attributes.

    Raises:
        OSError: it has no answer.
    """
    said = body + b"".join(
        _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), name) + value + bytes(-len(value) % 4)
        for name, value in attributes.items()
    )
    message = _HEADER.pack(_HEADER.size + len(said), kind, _REQUEST, 1, 0) + said
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as kernel:
        kernel.settimeout(_SECONDS)
        kernel.connect((0, 0))
        kernel.send(message)
        answer = kernel.recv(_LARGEST_ANSWER)
    if _HEADER.unpack_from(answer)[1] == _ERROR:
        number = -struct.unpack_from("=i", answer, _HEADER.size)[0]
        raise OSError(number or errno.ENOENT, os.strerror(number))
    return _parsed(answer, layout)


def _parsed(answer: bytes, layout: struct.Struct) -> tuple[tuple[int, ...], dict[int, bytes]]:
    length = _HEADER.unpack_from(answer)[0]
    at, found = _HEADER.size + layout.size, {}
    while at + _ATTRIBUTE.size <= length:
        size, name = _ATTRIBUTE.unpack_from(answer, at)
        found[name] = answer[at + _ATTRIBUTE.size : at + size]
        at += max(size + 3 & ~3, _ATTRIBUTE.size)
    return layout.unpack_from(answer, _HEADER.size), found

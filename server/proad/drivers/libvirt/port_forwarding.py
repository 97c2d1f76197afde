"""Connections to ports of domains, over the networks of libvirt that they are in."""

import ipaddress
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice

import libvirt

from proad.drivers import neighbours
from proad.drivers.libvirt.agent.agent import GuestAgents
from proad.drivers.libvirt.agent.talk import Talk
from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.connections.queries import is_alive
from proad.drivers.libvirt.errors import ENGINE, seek
from proad.drivers.libvirt.full_view import leased
from proad.drivers.libvirt.host.virt import is_local
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.xml.domain_view import domain_of
from proad.drivers.libvirt.xml.node import Node
from proad.drivers.neighbours import IpAddress, IpNetwork, Neighbour
from proad.drivers.tcp_connection import CONNECT_TIMEOUT, TcpConnection
from proad.drivers.tolerant import Omissions
from proad.errors import CapabilityMissingError, EngineConflictError, EngineTimedOutError
from proad.model import NetworkInterface
from proad.model.verbs import entering_refusal

# Addresses that are tried. A guest may tell any number of them.
_MOST = 8
_HINT = (
    "give it an interface in a network of libvirt with addresses on this host, such as default, and "
    "wait until it has an address there: WaitResource with has_address"
)


@dataclass(frozen=True, slots=True)
class _Place:
    """An interface of a domain, in a network of libvirt.

    Attributes:
        interface: the interface, with its leases.
        bridge: the device of the network.
        networks: the network's addresses.
        gateways: the addresses that the host has in it.
    """

    interface: NetworkInterface
    bridge: str
    networks: tuple[IpNetwork, ...]
    gateways: tuple[IpAddress, ...]

    def at(self, addresses: Iterable[str]) -> "Iterable[Neighbour]":
        """Yield where these addresses of the interface may be connected to."""
        for text in addresses:
            with suppress(ValueError):
                yield Neighbour(
                    address=ipaddress.ip_address(text.partition("/")[0]),
                    mac_address=self.interface.mac_address,
                    networks=self.networks,
                    gateways=self.gateways,
                    device=self.bridge,
                    port_device=self.interface.host_device,
                )


class DomainPorts:
    """Connects to ports of domains.

    Args:
        connection: to libvirt.
        reader: reads the domains.
        agents: the guest agents.
        omissions: records unreadable parts of answers.
        limit: of a connection.
    """

    def __init__(
        self,
        connection: Connection,
        reader: DomainReader,
        agents: GuestAgents,
        omissions: Omissions,
        limit: timedelta = CONNECT_TIMEOUT,
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._agents = agents
        self._omissions = omissions
        self._limit = limit

    @asynccontextmanager
    async def connect(self, id: str, port: int) -> AsyncIterator[TcpConnection]:
        """Connect to a port; see `ports.PortForwarding`."""
        places = await self._connection.on(id, self._places, bulkhead=Bulkhead.READ)
        found = [each for place in places for each in place.at(place.interface.addresses)]
        if places and not found:
            found = await self._told(id, places)
        async with neighbours.connected(
            found[:_MOST], port, self._limit, driver=ENGINE, hint=_HINT
        ) as connection:
            yield connection

    def _places(self, domain: libvirt.virDomain) -> list[_Place]:
        """Return the interfaces of a domain that this host has networks for."""
        if error := entering_refusal(self._reader.summary(domain)):
            raise error
        connection, id = domain.connect(), domain.UUIDString()
        if not is_local(connection):
            raise CapabilityMissingError(
                "connections to ports of domains of a libvirt on another host",
                driver=ENGINE,
                hint="its addresses mean something else here; run a daemon on that host",
            )
        root = self._reader.xml_of(domain)
        if root.element is None:
            return []
        interfaces = domain_of(root.element, self._omissions, id).networks
        leases = leased(domain, self._omissions)
        found = (self._place(connection, each) for each in interfaces if each.network)
        return [
            replace(
                place,
                interface=replace(
                    place.interface, addresses=leases.get(place.interface.mac_address, ())
                ),
            )
            for place in islice(filter(None, found), _MOST)
        ]

    def _place(self, connection: libvirt.virConnect, interface: NetworkInterface) -> _Place | None:
        """Return an interface with its network; None: that is none, or has no addresses here."""
        try:
            network = seek(connection.networkLookupByName, interface.network)
            bridge, text = network.bridgeName(), network.XMLDesc()
        except libvirt.libvirtError:
            if not is_alive(connection):
                raise
            return None
        networks: list[IpNetwork] = []
        gateways: list[IpAddress] = []
        for each in Node.of(text, self._omissions, interface.network).each("ip"):
            address = each.attribute("address").text()
            mask = each.attribute("prefix").text() or each.attribute("netmask").text()
            with suppress(ValueError):
                networks.append(ipaddress.ip_network(f"{address}/{mask}", strict=False))
                gateways.append(ipaddress.ip_address(address))
        return _Place(interface, bridge, tuple(networks), tuple(gateways))

    async def _told(self, id: str, places: Collection[_Place]) -> list[Neighbour]:
        """Return the addresses that a guest tells of these interfaces."""
        try:
            told = await self._agents.talk(id, Talk.interfaces)
        except (CapabilityMissingError, EngineConflictError, EngineTimedOutError):
            return []
        return [
            each
            for place in places
            for each in place.at(
                address
                for interface in told
                if interface.mac_address == place.interface.mac_address.lower()
                for address in interface.addresses
                if _is_in(address, place.networks)
            )
        ]


def _is_in(address: str, networks: Collection[IpNetwork]) -> bool:
    try:
        return any(ipaddress.ip_address(address.partition("/")[0]) in each for each in networks)
    except ValueError:
        return False

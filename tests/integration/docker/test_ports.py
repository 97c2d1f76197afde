"""Connections to ports of containers on a real engine, by both ways, and where they must not lead."""

import asyncio
import errno
import ipaddress
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import docker
import pytest

from eventually import eventually
from integration.docker.workloads import Make
from proad.drivers import neighbours
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.container_run import ContainerRun
from proad.drivers.docker.network_namespace import NetworkNamespace
from proad.drivers.neighbours import Neighbour
from proad.errors import (
    CapabilityMissingError,
    ConnectionFailedError,
    HostExhaustedError,
    ProaError,
    ResourceNotRunningError,
)
from proad.model import NetworkAttachment, Resource
from proad.ports import PortConnection
from resource_details import container_of

pytestmark = pytest.mark.docker

WEB, ECHO = 80, 7
SERVE = (
    "mkdir /www; echo hello >/www/index.html; httpd -h /www; "
    "echo more >/www/more; nc -ll -p 7 -e cat"
)
GET = b"GET / HTTP/1.0\r\n\r\n"
FILES = Path("/proc/self/fd")
BRIDGE = (NetworkAttachment(network="bridge"),)


async def whole(connection: PortConnection) -> bytes:
    said = b""
    while piece := await connection.read():
        said += piece
    return said


async def page(driver: DockerDriver, id: str) -> bytes:
    async with driver.connect_port(id, WEB) as connection:
        await connection.write(GET)
        return (await whole(connection)).rpartition(b"\r\n\r\n")[2]


async def listening(driver: DockerDriver, made: Resource, port: int) -> Resource:
    async def listens() -> bool:
        with suppress(ConnectionFailedError):
            async with driver.connect_port(made.id, port):
                return True
        return False

    await eventually(listens)
    return made


@pytest.fixture
async def web(driver: DockerDriver, make: Make) -> Resource:
    made = await make("sh", "-c", SERVE, networks=BRIDGE)
    return await listening(driver, made, ECHO)


async def test_two_hundred_connections_to_a_web_server_at_once(driver, web, way):
    before = len([*FILES.iterdir()])
    answers = await asyncio.gather(*(page(driver, web.id) for _ in range(200)))

    assert answers == [b"hello\n"] * 200
    # Some connections to the engine are kept.
    await eventually(lambda: len([*FILES.iterdir()]) < before + 100)


async def test_connection_leads_to_the_loopback_or_to_the_bridge(driver, web, way):
    async with driver.connect_port(web.id, ECHO) as connection:
        own = container_of(await driver.get_resource(web.id)).networks[0].ipv4_address
        assert connection.address == f"{'127.0.0.1' if way == 'inside' else own}:{ECHO}"
        await connection.write(b"ping")
        connection.end_input()
        assert await whole(connection) == b"ping"


async def test_port_where_nobody_listens_is_refused(driver, web, way):
    with pytest.raises(ConnectionFailedError) as refused:
        async with driver.connect_port(web.id, 1):
            pytest.fail("it is connected")
    assert refused.value.cause == "refused"


async def test_container_without_a_network_is_reached_from_inside_alone(driver, make, way):
    made = await make("nc", "-ll", "-p", "7", "-e", "cat")
    if way == "inside":
        await listening(driver, made, ECHO)
        return
    with pytest.raises(CapabilityMissingError, match="without an address"):
        async with driver.connect_port(made.id, ECHO):
            pytest.fail("it is connected")


@pytest.mark.parametrize(("cls", "name"), [(ContainerRun, "of"), (NetworkNamespace, "sockets")])
async def test_daemon_without_descriptors_tells_so_and_takes_no_other_way(
    driver: DockerDriver, web: Resource, monkeypatch: pytest.MonkeyPatch, cls: type, name: str
):
    def fail(*_: object, **_others: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(cls, name, fail)
    with pytest.raises(HostExhaustedError, match="Too many open files"):
        async with driver.connect_port(web.id, ECHO):
            pytest.fail("it is connected")


async def test_connection_ends_with_the_container_that_is_restarted(driver, raw, web, way):
    async with driver.connect_port(web.id, ECHO) as connection:
        await connection.write(b"ping")
        assert await connection.read() == b"ping"
        restarting = asyncio.create_task(asyncio.to_thread(raw.restart, web.id, timeout=0))
        with suppress(ProaError):
            assert await asyncio.wait_for(whole(connection), 30) == b""
        with pytest.raises(ResourceNotRunningError, match="started anew"):
            await asyncio.wait_for(connection.stopped(), 30)
        await restarting


async def test_container_in_the_network_of_the_host_is_refused(
    driver: DockerDriver, raw: docker.APIClient, make: Make, way: str
):
    host = await make("sleep", "1000", networks=(NetworkAttachment(network="host"),))
    joined = await make(
        "sleep", "1000", networks=(NetworkAttachment(network=f"container:{host.id}"),)
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        for each in (host, joined):
            with pytest.raises(CapabilityMissingError, match="network of its host"):
                async with driver.connect_port(each.id, server.getsockname()[1]):
                    pytest.fail("it is connected")


async def test_engine_on_another_host_has_no_addresses_here(driver, web):
    driver._ports._is_on_this_host = False
    with pytest.raises(CapabilityMissingError, match="another host"):
        async with driver.connect_port(web.id, WEB):
            pytest.fail("it is connected")


@dataclass(frozen=True)
class Place:
    address: Any
    mac_address: str


@pytest.fixture
async def place(driver: DockerDriver, web: Resource) -> Place:
    """Return where a container is on the bridge."""
    own = container_of(await driver.get_resource(web.id)).networks[0]
    return Place(ipaddress.ip_address(own.ipv4_address), own.mac_address)


@pytest.fixture
def subnet(raw: docker.APIClient) -> Any:
    config = raw.inspect_network("bridge")["IPAM"]["Config"][0]
    return ipaddress.ip_network(config["Subnet"])


async def connects(place: Place, subnet: Any, **fields: Any) -> bool:
    neighbour = Neighbour(
        **{
            "address": place.address,
            "mac_address": place.mac_address,
            "networks": (subnet,),
            "gateways": (),
            **fields,
        }
    )
    try:
        async with neighbours.connected(
            [neighbour], WEB, timedelta(seconds=5), driver="docker", hint=""
        ):
            return True
    except CapabilityMissingError:
        return False


async def test_address_of_the_container_itself_is_connected_to(place, subnet):
    assert await connects(place, subnet)


async def test_address_of_another_container_is_not_connected_to(
    driver: DockerDriver, make: Make, place: Place, subnet: Any
):
    other = await make("sleep", "1000", networks=BRIDGE)
    own = container_of(await driver.get_resource(other.id)).networks[0]

    assert not await connects(place, subnet, mac_address=own.mac_address)


async def test_address_outside_of_the_network_is_not_connected_to(place, subnet):
    elsewhere = ipaddress.ip_network("10.0.0.0/8")
    assert not await connects(place, subnet, networks=(elsewhere,))
    assert not await connects(place, subnet, gateways=(place.address,))
    assert not await connects(place, subnet, device="lo")
    assert not await connects(place, subnet, port_device="lo")


async def test_address_of_the_host_is_not_connected_to(place, subnet):
    everywhere = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    gateway = next(subnet.hosts())
    own = ("127.0.0.1", "127.5.5.5", "::1", "0.0.0.0", "224.0.0.1", "169.254.1.1", str(gateway))
    beyond = ("192.0.2.200", "8.8.8.8", "255.255.255.255", str(subnet.broadcast_address))
    for address in (*own, *beyond):
        invented = ipaddress.ip_address(address)
        assert not await connects(place, subnet, address=invented, networks=everywhere), address

"""Connections to ports of containers that listen by IPv6 alone, in a network of a real engine."""

import asyncio
import ipaddress
import secrets
import socket
from collections.abc import Iterator
from datetime import timedelta

import docker
import pytest

from eventually import eventually
from integration.docker.test_ports import whole
from integration.docker.workloads import Make
from proad.drivers import neighbours
from proad.drivers.docker import DockerDriver
from proad.drivers.neighbours import Neighbour
from proad.errors import CapabilityMissingError, ConnectionFailedError
from proad.model import NetworkAttachment, Resource
from resource_details import container_of

pytestmark = pytest.mark.docker

# Of its loopback, and of its address in the network.
PORTS = {"inside": 80, "beside": 81}
SERVE = """
mkdir /www; echo hello >/www/index.html; httpd -h /www -p '[::1]:80'
while ! own=$(ip -6 addr show dev eth0 scope global | sed -n 's,.*inet6 \\(.*\\)/.*,\\1,p' | grep .) ||
    ! httpd -h /www -p "[$own]:81"; do sleep 0.1; done
exec sleep 1000
"""


@pytest.fixture
def network(raw: docker.APIClient) -> Iterator[str]:
    name, digits = f"proa-test-{secrets.token_hex(4)}", secrets.token_hex(2)
    pool = docker.types.IPAMPool(subnet=f"fd5a:f11e:{digits}::/64")
    made = raw.create_network(
        name, enable_ipv6=True, internal=True, ipam=docker.types.IPAMConfig(pool_configs=[pool])
    )
    yield name
    for container in raw.inspect_network(made["Id"])["Containers"]:
        raw.disconnect_container_from_network(container, made["Id"], force=True)
    raw.remove_network(made["Id"])


@pytest.fixture
async def web(driver: DockerDriver, make: Make, network: str, way: str) -> Resource:
    made = await make("sh", "-c", SERVE, networks=(NetworkAttachment(network=network),))

    async def is_served() -> bool:
        try:
            return await page(driver, made.id, PORTS[way]) == b"hello\n"
        except ConnectionFailedError:  # its address is not settled yet
            return False

    await eventually(is_served)
    return await driver.get_resource(made.id)


async def page(driver: DockerDriver, id: str, port: int) -> bytes:
    async with driver.connect_port(id, port) as connection:
        await connection.write(b"GET / HTTP/1.0\r\n\r\n")
        return (await whole(connection)).rpartition(b"\r\n\r\n")[2]


async def test_connections_go_to_the_loopback_or_to_the_address(
    driver: DockerDriver, web: Resource, way: str
):
    own = container_of(web).networks[0].ipv6_address
    async with driver.connect_port(web.id, PORTS[way]) as connection:
        host = "::1" if way == "inside" else own
        assert connection.address == f"[{host}]:{PORTS[way]}"
    answers = await asyncio.gather(*(page(driver, web.id, PORTS[way]) for _ in range(50)))
    assert answers == [b"hello\n"] * 50
    with pytest.raises(ConnectionFailedError) as refused:
        await page(driver, web.id, 1)
    assert refused.value.cause == "refused"


@pytest.mark.parametrize("way", ["beside"], indirect=True)
async def test_address_is_believed_by_its_neighbour_and_its_route_alone(
    driver: DockerDriver, make: Make, web: Resource, network: str
):
    other = await make("sleep", "1000", networks=(NetworkAttachment(network=network),))
    own = container_of(web).networks[0]
    theirs = container_of(await driver.get_resource(other.id)).networks[0]
    subnet = ipaddress.ip_network(f"{own.ipv6_address}/64", strict=False)
    host = next(subnet.hosts())

    async def connects(address: str, mac: str) -> bool:
        neighbour = Neighbour(
            address=ipaddress.ip_address(address), mac_address=mac, networks=(subnet,), gateways=()
        )
        try:
            async with neighbours.connected(
                [neighbour], PORTS["beside"], timedelta(seconds=10), driver="docker", hint=""
            ):
                return True
        except CapabilityMissingError:
            return False

    assert await connects(own.ipv6_address, own.mac_address)
    assert not await connects(own.ipv6_address, theirs.mac_address)
    with socket.create_server((str(host), PORTS["beside"]), family=socket.AF_INET6):
        for address in (str(host), f"::ffff:{own.ipv4_address}", "::1", "fe80::1", "ff02::1"):
            assert not await connects(address, own.mac_address), address

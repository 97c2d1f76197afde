"""Connections to ports of a real guest, and addresses that a guest invents."""

import asyncio
import secrets
from collections.abc import Iterator

import libvirt
import pytest

from eventually import eventually
from integration.libvirt.guests import Guests
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.agent.talk import Talk
from proad.errors import CapabilityMissingError, ConnectionFailedError
from proad.model import GuestInterface, NetworkSpec
from resource_details import domain_of

pytestmark = pytest.mark.libvirt

WEB = 80
GATEWAY, OWN = "10.231.77.1", "10.231.77.5"
INVENTED = (
    GATEWAY,
    "10.231.77.255",
    "127.0.0.1",
    "::1",
    "0.0.0.0",
    "169.254.1.1",
    "224.0.0.1",
    "192.168.122.1",
    "192.0.2.1",
    "no address",
    "",
)


async def page(driver: LibvirtDriver, id: str) -> bytes:
    async with driver.connect_port(id, WEB) as connection:
        await connection.write(b"GET / HTTP/1.0\r\n\r\n")
        said = b""
        while piece := await connection.read():
            said += piece
        return said.rpartition(b"\r\n\r\n")[2]


@pytest.fixture
def isolated(raw: libvirt.virConnect) -> Iterator[str]:
    """A network that leases nothing."""
    name = f"proa-test-{secrets.token_hex(4)}"
    network = raw.networkCreateXML(
        f"<network><name>{name}</name><bridge name='pt{secrets.token_hex(4)}'/>"
        f"<ip address='{GATEWAY}' netmask='255.255.255.0'/></network>"
    )
    yield name
    network.destroy()


async def test_two_hundred_connections_to_a_web_server_at_once(
    driver: LibvirtDriver, guests: Guests
):
    made = await guests.driver.create_domain(
        guests.spec(networks=(NetworkSpec(),), networkless=False), start=True
    )

    async def is_served() -> bool:
        try:
            return await page(driver, made.id) == b"hello from the guest\n"
        except (CapabilityMissingError, ConnectionFailedError):  # it boots
            return False

    await eventually(is_served, within=120)
    answers = await asyncio.gather(*(page(driver, made.id) for _ in range(200)))
    assert answers == [b"hello from the guest\n"] * 200


async def test_domain_without_a_network_has_no_ports(driver: LibvirtDriver, guests: Guests):
    made = await driver.create_domain(guests.blank(), start=True)

    with pytest.raises(CapabilityMissingError, match="without an address"):
        async with driver.connect_port(made.id, WEB):
            pytest.fail("it is connected")


async def test_address_that_a_guest_invents_is_not_connected_to(
    driver: LibvirtDriver, guests: Guests, isolated: str, monkeypatch: pytest.MonkeyPatch
):
    made = await guests.boot(networks=(NetworkSpec(network=isolated),), networkless=False)
    script = f"ip addr add {OWN}/24 dev eth0; echo hi >/tmp/index.html; httpd -h /tmp; echo IS-UP"
    await guests.says(made.id, script, rb"\nIS-UP")
    assert await page(driver, made.id) == b"hi\n"  # by what the agent tells

    def tell(mac: str, address: str) -> None:
        told = (GuestInterface(mac_address=mac, addresses=(address,)),)
        monkeypatch.setattr(Talk, "interfaces", lambda _: told)

    mac = domain_of(await driver.get_resource(made.id)).networks[0].mac_address
    for address in INVENTED:
        tell(mac, address)
        with pytest.raises(CapabilityMissingError, match="without an address"):
            await page(driver, made.id)
    tell("52:54:00:00:00:01", OWN)
    with pytest.raises(CapabilityMissingError, match="without an address"):
        await page(driver, made.id)
    # An address of the interface, and of nobody.
    tell(mac, "10.231.77.77")
    with pytest.raises(ConnectionFailedError):
        await page(driver, made.id)

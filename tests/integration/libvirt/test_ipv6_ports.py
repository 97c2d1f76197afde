"""Connections to a real guest in a network that has IPv6 alone."""

import secrets
from collections.abc import Iterator

import libvirt
import pytest

from eventually import eventually
from integration.libvirt.guests import Guests
from integration.libvirt.test_ports import page
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.agent.talk import Talk
from proad.errors import CapabilityMissingError, ConnectionFailedError
from proad.model import GuestInterface, NetworkSpec
from resource_details import domain_of

pytestmark = pytest.mark.libvirt

PREFIX = f"fd5a:f11e:{secrets.token_hex(2)}"
GATEWAY, OWN = f"{PREFIX}::1", f"{PREFIX}::5"
INVENTED = (GATEWAY, "::1", "::", "fe80::1", "ff02::1", "fd00::2", "::ffff:10.0.0.1")


@pytest.fixture
def isolated(raw: libvirt.virConnect) -> Iterator[str]:
    """A network that leases nothing."""
    name = f"proa-test-{secrets.token_hex(4)}"
    network = raw.networkCreateXML(
        f"<network><name>{name}</name><bridge name='pt{secrets.token_hex(4)}'/>"
        f"<ip family='ipv6' address='{GATEWAY}' prefix='64'/></network>"
    )
    yield name
    network.destroy()


async def test_guest_with_ipv6_alone_is_connected_to(
    driver: LibvirtDriver, guests: Guests, isolated: str, monkeypatch: pytest.MonkeyPatch
):
    made = await guests.boot(networks=(NetworkSpec(network=isolated),), networkless=False)
    script = (
        f"ip link set eth0 up; ip -6 addr add {OWN}/64 dev eth0; echo hi >/tmp/index.html;"
        "httpd -h /tmp -p '[::]:80'; echo IS-UP"
    )
    await guests.says(made.id, script, rb"\nIS-UP")

    async def is_served() -> bool:
        try:
            return await page(driver, made.id) == b"hi\n"  # by what the agent tells
        except ConnectionFailedError:  # its address is not settled yet
            return False

    await eventually(is_served)
    mac = domain_of(await driver.get_resource(made.id)).networks[0].mac_address

    def tell(address: str) -> None:
        told = (GuestInterface(mac_address=mac, addresses=(address,)),)
        monkeypatch.setattr(Talk, "interfaces", lambda _: told)

    for address in INVENTED:
        tell(address)
        with pytest.raises(CapabilityMissingError, match="without an address"):
            await page(driver, made.id)
    # An address of the interface, and of nobody.
    tell(f"{PREFIX}::77")
    with pytest.raises(ConnectionFailedError):
        await page(driver, made.id)

"""What real guests say of themselves, through a daemon: honest, silent and without an agent."""

import re
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eventually import eventually
from integration.libvirt.guests import Guests
from integration.libvirt.served import served
from proa import v1
from proad.drivers.libvirt import LibvirtDriver
from proad.model import Access, CommandSpec, CommandStreams, NetworkSpec
from relaxed_policy import RELAXED
from rpc.daemon import Daemon
from rpc.tenants import tenant

pytestmark = pytest.mark.libvirt
RELEASE = 'NAME="Small"\nID=small\nVERSION_ID=1.5\nPRETTY_NAME="Small Linux 1.5"\n'
LOGIN_TIME = 1_700_000_000
# utmp(5): ut_type, ut_pid, ut_line, ut_id, ut_user, ut_host, ut_exit, ut_session, ut_tv, the rest.
UTMP = struct.pack(
    "hxxi32s4s32s256shhiii16x20x", 7, 1, b"tty1", b"1", b"ann", b"", 0, 0, 1, LOGIN_TIME, 0
)


@pytest.fixture
async def daemon(folder: Path, tmp_path: Path, driver: LibvirtDriver) -> AsyncIterator[Daemon]:
    async with served(folder, tmp_path, RELAXED) as daemon:
        await tenant(daemon, "ann", Access.ALL)
        yield daemon


async def run(driver: LibvirtDriver, id: str, script: str, input: bytes = b"") -> None:
    spec = CommandSpec(argv=("sh", "-c", script))
    async with driver.start_command(id, spec, CommandStreams(input=input)) as command:
        async for _ in command.output():
            pass
        assert (await command.exit()).code == 0


async def shown(daemon: Daemon, id: str) -> v1.Resource:
    return (await daemon.call("GetResource", id=id)).resource  # type: ignore[no-any-return]


async def test_guest_tells_host_name_system_addresses_and_users(
    daemon: Daemon, driver: LibvirtDriver, guests: Guests
):
    guest = await guests.boot(networkless=False, networks=(NetworkSpec(),))
    await run(driver, guest.id, "hostname desk-7")
    await run(driver, guest.id, "cat >/etc/os-release", RELEASE.encode())
    await run(driver, guest.id, "mkdir -p /var/run /run; tee /run/utmp >/var/run/utmp", UTMP)

    async def has_lease() -> bool:
        domain = (await driver.get_resource(guest.id)).domain
        return domain is not None and bool(domain.networks[0].addresses)

    await eventually(has_lease, within=120)
    leased = (await driver.get_resource(guest.id)).domain
    assert leased is not None
    address = leased.networks[0].addresses[0]

    async def configured() -> bool:
        told = await driver.ask_guest(guest.id)
        return any(address in each.addresses for each in told.interfaces)

    await eventually(configured)
    info = (await shown(daemon, guest.id)).guest_info
    assert (info.hostname, info.agent_answered) == ("desk-7", True)
    system = info.operating_system
    assert (system.id, system.name, system.version) == ("small", "Small Linux 1.5", "1.5")
    assert re.match(r"\d+\.\d+", system.kernel_release)
    assert system.architecture == "x86_64"
    (card,) = info.interfaces
    assert (card.name, card.mac_address) == ("eth0", leased.networks[0].mac_address)
    assert address in card.addresses
    assert [(each.name, each.login_time.seconds) for each in info.users] == [("ann", LOGIN_TIME)]
    assert info.user_count == 1


async def test_view_without_an_agent_has_leases_alone(daemon: Daemon, guests: Guests):
    guest = await guests.boot("guest-noagent.iso", networkless=False, networks=(NetworkSpec(),))

    async def has_lease() -> bool:
        return bool((await shown(daemon, guest.id)).domain.networks[0].addresses)

    await eventually(has_lease, within=120)
    resource = await shown(daemon, guest.id)
    (card,), (interface,) = resource.domain.networks, resource.guest_info.interfaces
    assert (interface.mac_address, interface.addresses) == (card.mac_address, card.addresses)
    assert not resource.guest_info.HasField("agent_answered")
    assert not resource.guest_info.hostname


async def test_agent_that_hangs_delays_one_view_a_little(daemon: Daemon, guests: Guests):
    dead, other = await guests.boot("guest-deadagent.iso"), await guests.boot()

    async def is_connected() -> bool:
        views = (await shown(daemon, dead.id), await shown(daemon, other.id))
        return all(each.domain.guest_agent_connected for each in views)

    await eventually(is_connected)

    async def has_failed() -> bool:
        info = (await shown(daemon, dead.id)).guest_info
        return info.HasField("agent_answered") and not info.agent_answered

    await eventually(has_failed, within=60)
    # Within the minute nobody waits for it any more.
    begin = time.monotonic()
    for _ in range(20):
        assert not (await shown(daemon, dead.id)).guest_info.hostname
        assert (await shown(daemon, other.id)).guest_info.agent_answered
    assert time.monotonic() - begin < 10  # an agent is waited for 5 s, each time

"""The libvirt driver on QEMU, with guests that really boot and shut down."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import libvirt
import pytest

from contract.commands import CommandEndsContract, CommandsContract, run
from contract.consoles import ConsolesContract, DomainConsolesContract
from contract.domain_harness import QemuHarness
from contract.domain_xml import DomainXmlContract
from contract.domains import DomainsContract
from contract.events import DomainEventsContract, EventsContract
from contract.external_actor import DomainExternalActor, LibvirtExternalActor
from contract.external_changes import DomainExternalChangesContract
from contract.files import FilesContract, NoFilesAtRestContract
from contract.foreign_volumes import (
    ForeignVolumes,
    ForeignVolumesContract,
    LibvirtForeignVolumes,
)
from contract.guests import GuestsContract
from contract.harness import PREFIX, SOON, DriverHarness
from contract.judged_xml import JudgedXmlContract
from contract.lifecycle import LifecycleContract
from contract.ports import PortForwardingContract
from contract.recovery import DomainRecoveryContract
from contract.snapshots import SnapshotsContract
from contract.stats import StatsContract
from contract.stopping import DeafnessContract, SavingContract, StoppingContract
from contract.updates import DomainUpdatesContract
from contract.volumes import VolumesContract
from eventually import eventually
from guest.media import build_guest, medium
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.timing import LibvirtTiming
from proad.model import Resource

pytestmark = pytest.mark.libvirt
URI = os.environ.get("PROA_LIBVIRT_URI", "qemu:///system")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Build the guests, and yield the name of a storage pool that only these tests use."""
    try:
        connection = libvirt.open(URI)
    except libvirt.libvirtError as error:
        if os.environ.get("PROA_REQUIRE_ENGINES") == "1":
            raise
        pytest.skip(f"no libvirt at {URI}: {error}")
    build_guest()
    name = PREFIX + secrets.token_hex(4)
    # Not below pytest's own folder, which QEMU's user may not enter.
    folder = Path("/var/tmp") / name
    folder.mkdir(mode=0o755)
    made = connection.storagePoolCreateXML(
        f"<pool type='dir'><name>{name}</name><target><path>{folder}</path></target></pool>"
    )
    yield name
    made.destroy()
    folder.rmdir()  # which fails if a test has left a volume
    connection.close()


class OnQemu:
    harness_class = QemuHarness

    @pytest.fixture
    async def harness(self, pool: str) -> AsyncIterator[DriverHarness]:
        driver = LibvirtDriver(
            uri=URI,
            virt_type="qemu",
            default_pool=pool,
            media_dirs=(str(medium("guest.iso").parent),),
            timing=LibvirtTiming(poll_interval=SOON),
        )
        async with QemuHarness.open(driver) as harness:
            yield harness


class TestLibvirtQemuLifecycle(OnQemu, LifecycleContract): ...


class TestLibvirtQemuStopping(OnQemu, StoppingContract, SavingContract, DeafnessContract): ...


class TestLibvirtQemuDomains(OnQemu, DomainsContract): ...


class TestLibvirtQemuDomainXml(OnQemu, DomainXmlContract): ...


class TestLibvirtQemuJudgedXml(OnQemu, JudgedXmlContract): ...


class TestLibvirtQemuSnapshots(OnQemu, SnapshotsContract): ...


class TestLibvirtQemuVolumes(OnQemu, VolumesContract): ...


class TestLibvirtQemuForeignVolumes(OnQemu, ForeignVolumesContract):
    @pytest.fixture
    def foreign(self, pool: str) -> Iterator[ForeignVolumes]:
        connection = libvirt.open(URI)
        yield LibvirtForeignVolumes(connection, pool)
        connection.close()


class TestLibvirtQemuUpdates(OnQemu, DomainUpdatesContract): ...


class TestLibvirtQemuEvents(OnQemu, EventsContract, DomainEventsContract): ...


class TestLibvirtQemuExternalChanges(OnQemu, DomainExternalChangesContract):
    @pytest.fixture
    def external(self, harness: DriverHarness) -> Iterator[DomainExternalActor]:
        connection = libvirt.open(URI)
        yield LibvirtExternalActor(connection, "qemu")
        connection.close()


class TestLibvirtQemuRecovery(OnQemu, DomainRecoveryContract): ...


class TestLibvirtQemuStats(OnQemu, StatsContract): ...


class TestLibvirtQemuFiles(OnQemu, FilesContract, NoFilesAtRestContract): ...


class TestLibvirtQemuCommands(OnQemu, CommandsContract, CommandEndsContract): ...


class TestLibvirtQemuGuests(OnQemu, GuestsContract):
    async def named(self, harness: DriverHarness, resource: Resource) -> str:
        await run(harness, resource, "hostname", "guest-of-a-test")
        return "guest-of-a-test"


class TestLibvirtQemuPorts(OnQemu, PortForwardingContract):
    async def networked(self, harness: DriverHarness) -> Resource:
        assert isinstance(harness, QemuHarness)
        made = await harness.make(start=True, networked=True)

        async def has_address() -> bool:
            domain = (await harness.driver.get_resource(made.id)).domain
            return domain is not None and bool(domain.networks[0].addresses)

        await eventually(has_address, within=120)  # by then its agent listens, too
        return await harness.driver.get_resource(made.id)


class TestLibvirtQemuConsoles(OnQemu, ConsolesContract, DomainConsolesContract): ...

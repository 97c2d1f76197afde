"""The libvirt driver on libvirt's own in-process hypervisor, which is always there."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import libvirt
import pytest

from contract.domain_harness import HypervisorHarness
from contract.domain_xml import DomainXmlContract
from contract.domains import MIB, DomainsContract
from contract.events import DomainEventsContract, EventsContract
from contract.external_actor import DomainExternalActor, LibvirtExternalActor
from contract.external_changes import DomainExternalChangesContract
from contract.harness import SOON, DriverHarness
from contract.judged_xml import JudgedXmlContract
from contract.lifecycle import IllegalVerbsContract, LifecycleContract
from contract.recovery import DomainRecoveryContract
from contract.snapshots import SnapshotsContract
from contract.stopping import SavingContract, StoppingContract
from contract.updates import DomainUpdatesContract
from contract.volumes import VolumesContract
from event_queue import EventQueue
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.timing import LibvirtTiming
from proad.errors import EngineUnreachableError, InvalidArgumentError
from proad.model import Resource, ResourceState, VolumeSpec

# States that a guest enters by itself, by libvirt's numbers.
_PRESET = {ResourceState.STOPPING: 4, ResourceState.FAILED: 6, ResourceState.SUSPENDED: 7}


class OnTestHypervisor:
    harness_class = HypervisorHarness

    @pytest.fixture
    async def harness(self) -> AsyncIterator[DriverHarness]:
        async with HypervisorHarness.open(
            LibvirtDriver(uri="test:///default", timing=LibvirtTiming(poll_interval=SOON))
        ) as harness:
            yield harness


class TestLibvirtTestLifecycle(OnTestHypervisor, LifecycleContract): ...


class PresetHarness(HypervisorHarness):
    states = tuple(_PRESET)

    async def bring_to(self, state: ResourceState, resource: Resource | None = None) -> Resource:
        assert resource is None
        (preset,) = await self.named(f"preset-{state}")
        return preset


class TestLibvirtTestPreset(IllegalVerbsContract):
    """States that no verb leads to, from a file that the test hypervisor reads."""

    harness_class = PresetHarness

    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[DriverHarness]:
        domain = """
            <domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
              <name>preset-{}</name><memory>65536</memory><os><type>hvm</type></os>
              <test:runstate>{}</test:runstate>
            </domain>"""
        domains = [domain.format(state, number) for state, number in _PRESET.items()]
        node = tmp_path / "node.xml"
        node.write_text(f"<node>{''.join(domains)}</node>")
        async with PresetHarness.open(LibvirtDriver(uri=f"test://{node}")) as harness:
            yield harness

    async def test_domain_preset_has_its_state(self, harness: DriverHarness, state: ResourceState):
        assert (await harness.bring_to(state)).state is state


class TestLibvirtTestStopping(OnTestHypervisor, StoppingContract, SavingContract): ...


class TestLibvirtTestDomains(OnTestHypervisor, DomainsContract): ...


class TestLibvirtTestDomainXml(OnTestHypervisor, DomainXmlContract): ...


class TestLibvirtTestJudgedXml(OnTestHypervisor, JudgedXmlContract): ...


class TestLibvirtTestSnapshots(OnTestHypervisor, SnapshotsContract): ...


class TestLibvirtTestVolumes(OnTestHypervisor, VolumesContract):
    async def test_record_volume_without_a_file_is_refused(self, harness: DriverHarness):
        own = await harness.volumes.create_volume(
            VolumeSpec(name=harness.new_name(), capacity_bytes=MIB)
        )
        name = harness.new_name()
        connection = libvirt.open("test:///default")
        pool = connection.storagePoolLookupByName(own.pool)
        made = pool.createXML(f"<volume><name>{name}</name><capacity>{MIB}</capacity></volume>")
        with pytest.raises(InvalidArgumentError, match="no regular file of this host"):
            await harness.volumes.record_volume(own.pool, name)
        assert await harness.volumes.record_volume(own.pool, own.name) == own
        made.delete()
        connection.close()
        await harness.volumes.delete_volume(own.pool, own.name)


class TestLibvirtTestUpdates(OnTestHypervisor, DomainUpdatesContract): ...


class TestLibvirtTestRecovery(OnTestHypervisor, DomainRecoveryContract): ...


class TestLibvirtTestEvents(OnTestHypervisor, EventsContract, DomainEventsContract): ...


class TestLibvirtTestExternalChanges(OnTestHypervisor, DomainExternalChangesContract):
    @pytest.fixture
    def external(self, harness: DriverHarness) -> Iterator[DomainExternalActor]:
        connection = libvirt.open("test:///default")
        yield LibvirtExternalActor(connection, "test")
        connection.close()


async def test_engine_absent_is_unreachable(tmp_path: Path):
    uri = f"qemu+unix:///system?socket={tmp_path}/nothing.sock"
    async with LibvirtDriver(uri=uri) as driver:
        for call in (driver.probe(), driver.list_resources(), driver.get_resource("0" * 8)):
            with pytest.raises(EngineUnreachableError):
                await call
        with pytest.raises(EngineUnreachableError):
            async with EventQueue.of(driver):
                pass

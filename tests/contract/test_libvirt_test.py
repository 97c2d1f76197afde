"""The libvirt driver on libvirt's own in-process hypervisor, which is always there."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import libvirt
import pytest

from contract.domain_xml import DomainXmlContract
from contract.domain_yard import HypervisorYard
from contract.domains import DomainsContract
from contract.events import DomainEventsContract, EventsContract
from contract.lifecycle import IllegalVerbsContract, LifecycleContract
from contract.outside import DomainOutsideContract
from contract.outsider import DomainOutsider, LibvirtOutsider
from contract.snapshots import SnapshotsContract
from contract.stopping import SavingContract, StoppingContract
from contract.updates import DomainUpdatesContract
from contract.volumes import VolumesContract
from contract.yard import SOON, Yard
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import EngineUnreachableError
from proad.model import Resource, ResourceState

# States that a guest gets into by itself, by libvirt's numbers.
_PRESET = {ResourceState.STOPPING: 4, ResourceState.FAILED: 6, ResourceState.SUSPENDED: 7}


class OnTestHypervisor:
    yard_class = HypervisorYard

    @pytest.fixture
    async def yard(self) -> AsyncIterator[Yard]:
        async with HypervisorYard.open(
            LibvirtDriver(uri="test:///default", sweep_every=SOON)
        ) as yard:
            yield yard


class TestLibvirtTestLifecycle(OnTestHypervisor, LifecycleContract): ...


class PresetYard(HypervisorYard):
    states = tuple(_PRESET)

    async def bring_to(self, state: ResourceState, resource: Resource | None = None) -> Resource:
        assert resource is None
        (preset,) = await self.named(f"preset-{state}")
        return preset


class TestLibvirtTestPreset(IllegalVerbsContract):
    """States that no verb leads to, from a file that the test hypervisor reads."""

    yard_class = PresetYard

    @pytest.fixture
    async def yard(self, tmp_path: Path) -> AsyncIterator[Yard]:
        domain = """
            <domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
              <name>preset-{}</name><memory>65536</memory><os><type>hvm</type></os>
              <test:runstate>{}</test:runstate>
            </domain>"""
        domains = [domain.format(state, number) for state, number in _PRESET.items()]
        node = tmp_path / "node.xml"
        node.write_text(f"<node>{''.join(domains)}</node>")
        async with PresetYard.open(LibvirtDriver(uri=f"test://{node}")) as yard:
            yield yard

    async def test_it_is_as_preset(self, yard: Yard, state: ResourceState):
        assert (await yard.bring_to(state)).state is state


class TestLibvirtTestStopping(OnTestHypervisor, StoppingContract, SavingContract): ...


class TestLibvirtTestDomains(OnTestHypervisor, DomainsContract): ...


class TestLibvirtTestDomainXml(OnTestHypervisor, DomainXmlContract): ...


class TestLibvirtTestSnapshots(OnTestHypervisor, SnapshotsContract): ...


class TestLibvirtTestVolumes(OnTestHypervisor, VolumesContract): ...


class TestLibvirtTestUpdates(OnTestHypervisor, DomainUpdatesContract): ...


class TestLibvirtTestEvents(OnTestHypervisor, EventsContract, DomainEventsContract): ...


class TestLibvirtTestOutside(OnTestHypervisor, DomainOutsideContract):
    @pytest.fixture
    def outsider(self, yard: Yard) -> Iterator[DomainOutsider]:
        connection = libvirt.open("test:///default")
        yield LibvirtOutsider(connection, "test")
        connection.close()


async def test_an_engine_that_is_not_there_is_unreachable(tmp_path: Path):
    uri = f"qemu+unix:///system?socket={tmp_path}/nothing.sock"
    async with LibvirtDriver(uri=uri) as driver:
        for call in (driver.probe(), driver.list_resources(), driver.get_resource("0" * 8)):
            with pytest.raises(EngineUnreachableError):
                await call
        with pytest.raises(EngineUnreachableError):
            async with driver.subscribe():
                pass

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from contract.attachments import AttachmentsContract
from contract.commands import CommandsContract
from contract.consoles import (
    ConsolesContract,
    ContainerConsolesContract,
    DomainConsolesContract,
)
from contract.containers import IDLE, IMAGE, ContainersContract
from contract.domain_xml import DomainXmlContract
from contract.domains import MEMORY, DomainsContract, new_disk
from contract.events import DomainEventsContract, EventsContract, SnapshotEventsContract
from contract.files import FilesAtRestContract, FilesContract, NoFilesAtRestContract
from contract.foreign_volumes import (
    ForeignVolumes,
    ForeignVolumesContract,
    MemoryForeignVolumes,
)
from contract.guests import ContainerGuestInfoContract, GuestsContract
from contract.harness import DriverHarness
from contract.images import ImagesContract, PullsContract, images
from contract.judged_xml import JudgedXmlContract
from contract.lifecycle import LifecycleContract
from contract.logs import ContainerLogsContract
from contract.ports import PortForwardingContract, SocketForwardingContract
from contract.recovery import ContainerRecoveryContract, DomainRecoveryContract
from contract.snapshots import SnapshotsContract
from contract.stats import StatsContract
from contract.stopping import DeafnessContract, NoSavingContract, SavingContract, StoppingContract
from contract.updates import ContainerUpdatesContract, DomainUpdatesContract
from contract.volumes import VolumesContract
from proad.drivers.memory import MemoryDriver
from proad.errors import (
    CapabilityMissingError,
    HostExhaustedError,
    InvalidArgumentError,
)
from proad.model import (
    ContainerSpec,
    DomainSpec,
    Lifetime,
    Resource,
    ResourceKind,
    ResourceState,
    VolumeSpec,
)

STARTS_AS = (
    ResourceState.STARTING,
    ResourceState.SUSPENDED,
    ResourceState.STOPPING,
    ResourceState.FAILED,
)


class MemoryHarness(DriverHarness):
    grace = timedelta(seconds=10)
    patience = timedelta(seconds=0.1)

    async def make(
        self,
        *,
        name: str = "",
        start: bool = False,
        deaf: bool = False,
        slow: bool = False,
        lifetime: Lifetime = Lifetime.PERSISTENT,
        labels: dict[str, str] | None = None,
    ) -> Resource:
        labels = dict(labels or {})
        if deaf:
            labels["proa.memory/ignores-stop"] = "true"
        if slow:
            labels["proa.memory/stop-after"] = "0.5"
        name = name or self.new_name()
        if self.kind is ResourceKind.CONTAINER:
            container = ContainerSpec(
                image=IMAGE,
                name=name,
                command=IDLE,
                labels=labels,
                lifetime=lifetime,
                stop_timeout=timedelta(seconds=1),
            )
            return (await self.containers.create_container(container, start=start)).resource
        domain = DomainSpec(
            name=name,
            memory_bytes=MEMORY,
            labels=labels,
            lifetime=lifetime,
            disks=(new_disk(),),
            networkless=True,
        )
        return await self.domains.create_domain(domain, start=start)

    async def blank(self, state: ResourceState) -> Resource:
        if state not in STARTS_AS:
            return await super().blank(state)
        return await self.make(labels={"proa.memory/starts-as": state})

    async def bring_to(self, state: ResourceState, resource: Resource | None = None) -> Resource:
        if state not in STARTS_AS:
            return await super().bring_to(state, resource)
        id = (resource or await self.blank(state)).id
        await self.driver.start(id)
        return await self.driver.get_resource(id)


class MemoryContainerHarness(MemoryHarness):
    kind = ResourceKind.CONTAINER
    states = (ResourceState.STOPPED, ResourceState.RUNNING, ResourceState.PAUSED, *STARTS_AS)


class MemoryDomainHarness(MemoryHarness):
    kind = ResourceKind.DOMAIN
    states = (*MemoryContainerHarness.states, ResourceState.SAVED)


class OnMemoryContainers:
    harness_class = MemoryContainerHarness

    @pytest.fixture
    async def harness(self) -> AsyncIterator[DriverHarness]:
        async with MemoryContainerHarness.open(MemoryDriver()) as harness:
            yield harness

    @pytest.fixture
    async def scratch(self, harness: DriverHarness) -> str:
        async for _ in images(harness).pull_image("proa-test/scratch:1"):
            pass
        return "proa-test/scratch:1"

    @pytest.fixture
    def registry(self) -> str:
        return "registry.example:5000"


class OnMemoryDomains:
    harness_class = MemoryDomainHarness

    @pytest.fixture
    async def harness(self) -> AsyncIterator[DriverHarness]:
        async with MemoryDomainHarness.open(MemoryDriver()) as harness:
            yield harness


class TestMemoryContainerLifecycle(OnMemoryContainers, LifecycleContract): ...


class TestMemoryContainerStopping(
    OnMemoryContainers, StoppingContract, NoSavingContract, DeafnessContract
): ...


class TestMemoryContainers(OnMemoryContainers, ContainersContract): ...


class TestMemoryAttachments(OnMemoryContainers, AttachmentsContract): ...


class TestMemoryImages(OnMemoryContainers, ImagesContract, PullsContract): ...


class TestMemoryContainerUpdates(OnMemoryContainers, ContainerUpdatesContract): ...


class TestMemoryContainerEvents(OnMemoryContainers, EventsContract): ...


class TestMemoryContainerStats(OnMemoryContainers, StatsContract): ...


class TestMemoryContainerFiles(OnMemoryContainers, FilesContract, FilesAtRestContract): ...


class TestMemoryContainerCommands(OnMemoryContainers, CommandsContract): ...


class MemoryPorts(PortForwardingContract):
    @asynccontextmanager
    async def echoing(self, harness: DriverHarness) -> AsyncIterator[Resource]:
        yield await self.networked(harness)


class TestMemoryContainerPorts(OnMemoryContainers, MemoryPorts): ...


class TestMemoryContainerSockets(OnMemoryContainers, SocketForwardingContract): ...


class TestMemoryContainerLogs(OnMemoryContainers, ContainerLogsContract): ...


class TestMemoryContainerGuestInfo(OnMemoryContainers, ContainerGuestInfoContract): ...


class TestMemoryDomainLifecycle(OnMemoryDomains, LifecycleContract): ...


class TestMemoryDomainStopping(
    OnMemoryDomains, StoppingContract, SavingContract, DeafnessContract
): ...


class TestMemoryDomains(OnMemoryDomains, DomainsContract): ...


class TestMemoryDomainXml(OnMemoryDomains, DomainXmlContract): ...


class TestMemoryJudgedXml(OnMemoryDomains, JudgedXmlContract): ...


class TestMemorySnapshots(OnMemoryDomains, SnapshotsContract):
    async def test_snapshots_of_a_container_are_missing_capability(self, harness: DriverHarness):
        spec = ContainerSpec(image=IMAGE, name=harness.new_name())
        container = (await harness.containers.create_container(spec)).resource
        for call in (
            harness.snapshots.list_snapshots(container.id),
            harness.snapshots.create_snapshot(container.id),
            harness.snapshots.revert_snapshot(container.id, "one"),
            harness.domains.get_domain_xml(container.id),
        ):
            with pytest.raises(CapabilityMissingError):
                await call


class TestMemoryVolumes(OnMemoryDomains, VolumesContract):
    async def test_create_volume_larger_than_the_pool_is_refused(self, harness: DriverHarness):
        with pytest.raises(HostExhaustedError):
            await harness.volumes.create_volume(
                VolumeSpec(name="big", capacity_bytes=2**41, preallocate=True)
            )
        assert await harness.volumes.list_volumes() == []


class TestMemoryForeignVolumes(OnMemoryDomains, ForeignVolumesContract):
    @pytest.fixture
    def foreign(self, harness: DriverHarness) -> ForeignVolumes:
        assert isinstance(harness.driver, MemoryDriver)
        return MemoryForeignVolumes(harness.driver)


class TestMemoryDomainUpdates(OnMemoryDomains, DomainUpdatesContract): ...


class TestMemoryDomainEvents(
    OnMemoryDomains, EventsContract, DomainEventsContract, SnapshotEventsContract
): ...


class TestMemoryDomainStats(OnMemoryDomains, StatsContract): ...


class TestMemoryDomainFiles(OnMemoryDomains, FilesContract, NoFilesAtRestContract): ...


class TestMemoryContainerConsoles(
    OnMemoryContainers, ConsolesContract, ContainerConsolesContract
): ...


class TestMemoryDomainConsoles(OnMemoryDomains, ConsolesContract, DomainConsolesContract): ...


class TestMemoryDomainCommands(OnMemoryDomains, CommandsContract): ...


class TestMemoryDomainGuests(OnMemoryDomains, GuestsContract):
    async def silent(self, harness: DriverHarness) -> Resource:
        spec = DomainSpec(name=harness.new_name(), memory_bytes=MEMORY, guest_agent=False)
        return await harness.domains.create_domain(spec, start=True)


class TestMemoryDomainPorts(OnMemoryDomains, MemoryPorts): ...


class TestMemoryContainerRecovery(OnMemoryContainers, ContainerRecoveryContract): ...


class TestMemoryDomainRecovery(OnMemoryDomains, DomainRecoveryContract): ...


class TestMemoryLabels:
    """The values that labels of the memory driver may have."""

    @pytest.mark.parametrize(
        ("label", "value"),
        [
            ("ignores-stop", "yes"),
            ("stop-after", "soon"),
            ("stop-after", "-1"),
            ("stop-after", "nan"),
            ("stop-after", "1e9"),
            ("starts-as", "REMOVING"),
        ],
    )
    async def test_create_wrong_label_is_refused(self, label: str, value: str):
        async with MemoryDriver() as driver:
            spec = ContainerSpec(image=IMAGE, labels={f"proa.memory/{label}": value})
            with pytest.raises(InvalidArgumentError):
                await driver.create_container(spec)
            assert await driver.list_resources() == []

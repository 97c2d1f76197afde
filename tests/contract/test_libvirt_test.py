"""The libvirt driver on libvirt's own in-process hypervisor, which is always there."""

from collections.abc import AsyncIterator

import pytest

from contract.domain_yard import HypervisorYard
from contract.domains import DomainsContract
from contract.lifecycle import LifecycleContract
from contract.snapshots import SnapshotsContract
from contract.stopping import SavingContract, StoppingContract
from contract.updates import DomainUpdatesContract
from contract.volumes import VolumesContract
from contract.yard import Yard
from proad.drivers.libvirt import LibvirtDriver


class OnTestHypervisor:
    yard_class = HypervisorYard

    @pytest.fixture
    async def yard(self) -> AsyncIterator[Yard]:
        async with HypervisorYard.open(LibvirtDriver(uri="test:///default")) as yard:
            yield yard


class TestLibvirtTestLifecycle(OnTestHypervisor, LifecycleContract): ...


class TestLibvirtTestStopping(OnTestHypervisor, StoppingContract, SavingContract): ...


class TestLibvirtTestDomains(OnTestHypervisor, DomainsContract): ...


class TestLibvirtTestSnapshots(OnTestHypervisor, SnapshotsContract): ...


class TestLibvirtTestVolumes(OnTestHypervisor, VolumesContract): ...


class TestLibvirtTestUpdates(OnTestHypervisor, DomainUpdatesContract): ...

"""What resources say of themselves: what every driver contributes to it, and obligations of `Guests`."""

import pytest

from contract.harness import FORCE, DriverHarness
from proad.core.engine_connection import EngineConnection
from proad.core.guest_info import GuestInfos
from proad.errors import CapabilityMissingError, ResourceNotRunningError, StateError
from proad.model import GuestInfo, Resource
from proad.ports import Guests


def guests_of(harness: DriverHarness) -> Guests:
    assert isinstance(harness.driver, Guests)
    return harness.driver


async def info_of(harness: DriverHarness, resource: Resource) -> GuestInfo | None:
    """Return what GetResource has beside the driver's FULL view."""
    view = await harness.driver.get_resource(resource.id)
    assert view.guest_info is None  # that is the core's
    return await GuestInfos().of(EngineConnection("local", harness.driver), view)


class GuestInfoContract:
    """Obligations of all drivers."""

    async def test_resource_tells_of_itself_while_it_runs(self, harness: DriverHarness):
        resource = await harness.running()
        info = await info_of(harness, resource)
        assert info is not None
        assert info.hostname
        assert not info.shortened
        await harness.driver.stop(resource.id, FORCE)
        assert await info_of(harness, resource) is None


class ContainerGuestInfoContract(GuestInfoContract):
    async def test_container_tells_host_name_and_addresses(self, harness: DriverHarness):
        resource = await harness.running()
        container, info = resource.container, await info_of(harness, resource)
        assert info is not None
        assert container is not None
        assert info.hostname == container.hostname == resource.id[:12]
        told = [address for each in info.interfaces for address in each.addresses]
        assert told == [each.ipv4_address for each in container.networks if each.ipv4_address]
        assert (info.agent_answered, info.operating_system, info.user_count) == (None, None, None)


class GuestsContract(GuestInfoContract):
    async def named(self, harness: DriverHarness, resource: Resource) -> str:
        """Give a guest a host name where it has none, and return what it has."""
        return resource.name

    async def test_guest_tells_of_itself(self, harness: DriverHarness):
        resource = await harness.running()
        hostname = await self.named(harness, resource)
        info = await guests_of(harness).ask_guest(resource.id)
        assert info.hostname == hostname
        assert info.agent_answered
        assert info.operating_system is not None
        assert info.operating_system.kernel_release
        assert info.operating_system.architecture
        assert info.user_count == len(info.users)
        assert info.observe_time is not None

    async def test_guest_that_does_not_run_is_not_asked(self, harness: DriverHarness):
        stopped = await harness.make()
        with pytest.raises(ResourceNotRunningError):
            await guests_of(harness).ask_guest(stopped.id)
        paused = await harness.running()
        await harness.driver.pause(paused.id)
        with pytest.raises(StateError):
            await guests_of(harness).ask_guest(paused.id)

    async def silent(self, harness: DriverHarness) -> Resource:
        """Return a domain that runs, without an agent."""
        return await harness.running(slow=True)

    async def test_domain_without_an_agent_is_not_asked(self, harness: DriverHarness):
        resource = await self.silent(harness)
        with pytest.raises(CapabilityMissingError):
            await guests_of(harness).ask_guest(resource.id)
        info = await info_of(harness, resource)
        assert info is not None
        assert (info.agent_answered, info.hostname) == (None, "")

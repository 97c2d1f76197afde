"""Obligations of `ContainerAttachments`."""

import secrets

import pytest

from contract.containers import IDLE, IMAGE
from contract.harness import PREFIX, DriverHarness
from proad.model import ContainerNetwork, ContainerSpec, ContainerVolume, Mount, VolumeMount
from proad.ports import ContainerAttachments


def attachments(harness: DriverHarness) -> ContainerAttachments:
    assert isinstance(harness.driver, ContainerAttachments)
    return harness.driver


class AttachmentsContract:
    @pytest.fixture
    def volume(self) -> str:
        """The name of a volume; an engine that keeps it removes it when its containers are gone."""
        return PREFIX + secrets.token_hex(4)

    async def test_volume_of_a_container_is_told_by_its_name(
        self, volume: str, harness: DriverHarness
    ):
        name = volume
        called = harness.new_name()
        mounts = (Mount(target="/data", volume=VolumeMount(name=name)),)
        spec = ContainerSpec(image=IMAGE, name=called, command=IDLE, mounts=mounts)
        assert await attachments(harness).container_volumes({name}) == []
        await harness.containers.create_container(spec)
        told = ContainerVolume(name=name, driver="local")
        assert await attachments(harness).container_volumes({name, f"{name}-not"}) == [told]
        assert told in await attachments(harness).container_volumes()

    async def test_name_that_no_volume_can_have_is_of_none(self, harness: DriverHarness):
        names = {"..", "a/b", "", "/", "%2e%2e"}
        assert await attachments(harness).container_volumes(names) == []

    async def test_default_network_is_known_as_such(self, harness: DriverHarness):
        found = await attachments(harness).container_networks({"bridge", "missing-one"})
        bridge = ContainerNetwork(name="bridge", driver="bridge", is_default=True)
        assert found == {"bridge": bridge}

    async def test_engine_on_this_host_says_so(self, harness: DriverHarness):
        await harness.driver.probe()
        assert attachments(harness).is_on_this_host
        assert attachments(harness).default_log_driver

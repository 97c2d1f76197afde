"""Workloads on libvirt: its own test hypervisor, and QEMU with a real guest."""

import os
from datetime import timedelta
from typing import ClassVar

import libvirt

from contract.domains import MEMORY, new_disk
from contract.harness import DriverHarness
from guest.console import hear
from guest.media import medium
from proad.model import (
    CdromSpec,
    DomainSpec,
    GraphicsSpec,
    GraphicsType,
    Lifetime,
    NetworkSpec,
    Resource,
    ResourceKind,
    ResourceState,
)

_GUEST_MEMORY = 160 * 2**20
_BOOT_SECONDS = 120  # emulated, on a machine that may be slow and busy


class HypervisorHarness(DriverHarness):
    """Domains that follow every request at once."""

    __test__ = False
    kind = ResourceKind.DOMAIN
    states: ClassVar[tuple[ResourceState, ...]] = (
        ResourceState.STOPPED,
        ResourceState.RUNNING,
        ResourceState.PAUSED,
        ResourceState.SAVED,
    )
    grace = timedelta(seconds=5)
    patience = timedelta(seconds=0.3)

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
        assert not deaf, "the test hypervisor has only obedient guests"
        assert not slow, "and they are quick"
        spec = DomainSpec(
            name=name or self.new_name(),
            memory_bytes=MEMORY,
            disks=(new_disk(),),
            networkless=True,
            labels=labels or {},
            lifetime=lifetime,
        )
        return await self.domains.create_domain(spec, start=start)


class QemuHarness(DriverHarness):
    """Small Linux guests under emulation."""

    kind = ResourceKind.DOMAIN
    states = HypervisorHarness.states
    grace = timedelta(seconds=30)

    async def make(
        self,
        *,
        name: str = "",
        start: bool = False,
        deaf: bool = False,
        slow: bool = False,
        lifetime: Lifetime = Lifetime.PERSISTENT,
        labels: dict[str, str] | None = None,
        networked: bool = False,
    ) -> Resource:
        # The power button takes longer than the guest agent.
        guest = "guest-deaf" if deaf else "guest-noagent" if slow else "guest"
        spec = DomainSpec(
            name=name or self.new_name(),
            memory_bytes=_GUEST_MEMORY,
            cdroms=(CdromSpec(path=str(medium(f"{guest}.iso"))),),
            disks=(new_disk(),),
            networks=(NetworkSpec(),) if networked else (),
            networkless=not networked,
            graphics=GraphicsSpec(type=GraphicsType.NONE),
            labels=labels or {},
            lifetime=lifetime,
        )
        return await self.domains.create_domain(spec, start=start)

    async def ready(self, resource: Resource) -> Resource:
        """Wait until the guest says on its serial console that it is up."""
        with libvirt.open(os.environ.get("PROA_LIBVIRT_URI", "qemu:///system")) as connection:
            # READY may have been said before we listened; TICK goes on for ever.
            domain = connection.lookupByUUIDString(resource.id)
            await hear(domain, rb"READY|TICK", within=_BOOT_SECONDS)
        return await self.driver.get_resource(resource.id)

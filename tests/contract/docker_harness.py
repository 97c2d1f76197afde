"""Workloads on a real Docker Engine."""

from datetime import timedelta
from pathlib import Path

from contract.containers import IMAGE
from contract.harness import DriverHarness
from eventually import eventually
from proad.model import (
    ContainerSpec,
    Lifetime,
    Resource,
    ResourceKind,
    ResourceState,
    RestartPolicy,
    RestartPolicyMode,
)
from resource_details import container_of

_SHELL = ("sh", "-c")
OBEDIENT = (*_SHELL, 'trap "exit 0" TERM; while :; do sleep 0.05; done')
SLOW = (*_SHELL, 'trap "sleep 1; exit 0" TERM; while :; do sleep 0.05; done')
DEAF = (*_SHELL, 'trap "" TERM; while :; do sleep 0.2; done')
_SIGTERM_BIT = 1 << 14


class DockerHarness(DriverHarness):
    kind = ResourceKind.CONTAINER
    states = (
        ResourceState.STOPPED,
        ResourceState.RUNNING,
        ResourceState.PAUSED,
        ResourceState.STARTING,
    )
    grace = timedelta(seconds=10)

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
        spec = ContainerSpec(
            image=IMAGE,
            name=name or self.new_name(),
            command=DEAF if deaf else SLOW if slow else OBEDIENT,
            labels=labels or {},
            lifetime=lifetime,
            stop_timeout=timedelta(seconds=1),
        )
        return (await self.containers.create_container(spec, start=start)).resource

    async def ready(self, resource: Resource) -> Resource:
        """Wait until the shell has set its trap: before, process 1 ignores every signal."""

        async def trapped() -> bool:
            now = (await self.driver.get_resource(resource.id)).container
            assert now is not None
            return _traps_sigterm(now.pid)

        await eventually(trapped, every=0.01)
        return await self.driver.get_resource(resource.id)

    async def blank(self, state: ResourceState) -> Resource:
        if state is not ResourceState.STARTING:
            return await super().blank(state)
        # Docker brings it up again and again, and waits longer each time.
        spec = ContainerSpec(
            image=IMAGE,
            name=self.new_name(),
            command=("false",),
            restart_policy=RestartPolicy(mode=RestartPolicyMode.ALWAYS),
        )
        return (await self.containers.create_container(spec)).resource

    async def bring_to(self, state: ResourceState, resource: Resource | None = None) -> Resource:
        if state is not ResourceState.STARTING:
            return await super().bring_to(state, resource)
        resource = resource or await self.blank(state)
        return await self.settled(await self.driver.start(resource.id), state)

    async def settled(self, resource: Resource, state: ResourceState) -> Resource:
        if state is not ResourceState.STARTING:
            return await super().settled(resource, state)
        assert resource.state in {state, ResourceState.RUNNING}
        now = resource

        async def reached() -> bool:
            nonlocal now
            now = await self.driver.get_resource(resource.id)
            # Docker waits 3.2 seconds before the restart after the fifth.
            return now.state is state and container_of(now).restart_count >= 5

        await eventually(reached, within=60, every=0.02)
        return now


def _traps_sigterm(pid: int) -> bool:
    """Return whether the shell has a trap; the runtime, which is there before it, has some, too."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    if lines[0].startswith("Name:\trunc"):
        return False
    masks = [line.partition(":")[2] for line in lines if line.startswith(("SigCgt", "SigIgn"))]
    return any(int(mask, 16) & _SIGTERM_BIT for mask in masks)

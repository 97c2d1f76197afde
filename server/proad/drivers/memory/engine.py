"""The imitated engine: workloads, images and volumes in dictionaries.

Nothing changes across an await, so that one event loop needs no locks.
"""

import asyncio
import itertools
import os
import platform
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from proad.drivers.memory.connection import NAME, MemoryConnection
from proad.drivers.memory.host_ports import HostPorts
from proad.drivers.memory.views import Run
from proad.drivers.memory.workload import Workload
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    ResourceNotFoundError,
)
from proad.model import (
    Domain,
    EngineEvent,
    EngineInfo,
    Image,
    Lifetime,
    Resource,
    ResourceKind,
    ResourceState,
    ResourceView,
    StateReason,
    Verb,
    Volume,
)
from proad.model.verbs import ACTIVE, refusal

_START_REASONS = {
    ResourceState.STARTING: StateReason.RESTARTING,
    ResourceState.FAILED: StateReason.CRASHED,
}
HOST_MEMORY_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
_LISTED_AT_ONCE = 32
FROZEN = frozenset({ResourceState.PAUSED, ResourceState.SUSPENDED})


class ImitatedEngine:
    """What there is in the imitated engine, and how workloads change their state.

    Attributes:
        identity: a UUID; no other imitated engine has it.
        connection: by which the driver reaches the engine.
        workloads: by full id.
        images: by id.
        volumes: by pool and name.
        volume_ids: ids of the records of volumes by pool and name: `PlannedVolume.id` of those that
            a create made.
        on_start: is called with each workload that begins to run.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.identity = str(uuid4())
        self.connection = MemoryConnection()
        self.workloads: dict[str, Workload] = {}
        self.images: dict[str, Image] = {}
        self.volumes: dict[tuple[str, str], Volume] = {}
        self.volume_ids: dict[tuple[str, str], str] = {}
        self.on_start: Callable[[Workload], None] = lambda _: None
        self._names: dict[tuple[ResourceKind, str], Workload] = {}
        self._numbers = itertools.count(1)
        self._ports = HostPorts()
        self._clock = clock

    def describe(self) -> EngineInfo:
        """Describe this host as the engine's own. Raises EngineUnreachableError."""
        self.connection.check()
        return EngineInfo(
            version="1",
            hostname=platform.node(),
            cpus=os.cpu_count() or 1,
            memory_bytes=HOST_MEMORY_BYTES,
            architecture=platform.machine(),
            warnings=("nothing here is real: the memory driver imitates an engine",),
        )

    async def show_all(self, view: ResourceView) -> list[Resource]:
        """Return all resources. Raises EngineUnreachableError."""
        self.connection.check()
        found: list[Resource] = []
        for workload in list(self.workloads.values()):
            if len(found) % _LISTED_AT_ONCE == 0:
                await asyncio.sleep(0)  # the event loop serves others in between
            found.append(workload.shown(view))
        return found

    def find_id(self, name: str) -> str:
        """Return the id of the workload of a name; empty: there is none."""
        self.connection.check()
        named = (self.named(kind, name) for kind in ResourceKind)
        return next((workload.resource.id for workload in named if workload is not None), "")

    def workload(self, id: str) -> Workload:
        """Return a workload. Raises ResourceNotFoundError, EngineUnreachableError."""
        self.connection.check()
        try:
            return self.workloads[id]
        except KeyError:
            raise ResourceNotFoundError(id) from None

    def domain(self, id: str, capability: str) -> tuple[Workload, Domain]:
        """Return a workload that is a domain. Raises CapabilityMissingError for a container."""
        workload = self.workload(id)
        if workload.resource.domain is None:
            raise CapabilityMissingError(
                capability, driver=NAME, hint="domains have it, containers do not"
            )
        return workload, workload.resource.domain

    def add(self, workload: Workload) -> None:
        """Add a workload."""
        self.workloads[workload.resource.id] = workload
        self._names[workload.resource.kind, workload.resource.name] = workload
        self.connection.publish(EngineEvent(id=workload.resource.id))

    def publish_reconfigured(self, workload: Workload) -> None:
        """Publish that something changed which a SUMMARY may not show."""
        self.connection.publish(EngineEvent(id=workload.resource.id, reconfigured=True))

    def named(self, kind: ResourceKind, name: str) -> Workload | None:
        """Return the workload of a kind and name."""
        return self._names.get((kind, name))

    def rename(self, workload: Workload, name: str) -> None:
        """Rename a workload."""
        kind = workload.resource.kind
        del self._names[kind, workload.resource.name]
        self._names[kind, name] = workload
        workload.resource = replace(workload.resource, name=name)

    def permit(self, verb: Verb, workload: Workload, *, force: bool = False) -> None:
        """Raise the error of a verb that is illegal in the present state."""
        if error := refusal(verb, workload.resource, force=force):
            raise error

    def enter(
        self,
        workload: Workload,
        state: ResourceState,
        reason: StateReason | None = None,
        *,
        exit_code: int = 0,
    ) -> None:
        """Bring a workload to a state, with all that comes with it."""
        begins = workload.run is None and state in ACTIVE
        ends = workload.run is not None and state not in ACTIVE
        detail = replace(workload.resource.state_detail, reason=reason)
        if begins:
            workload.run = self._new_run(workload)
            workload.over = asyncio.Event()
        if workload.resource.kind is ResourceKind.CONTAINER:
            if begins:
                detail = replace(detail, start_time=now(), finish_time=None)
            elif ends:
                detail = replace(detail, exit_code=exit_code, finish_time=now())
        workload.resource = replace(workload.resource, state=state, state_detail=detail)
        if workload.run is not None:
            workload.run = workload.run.running(on=state not in FROZEN)
        if begins and state is ResourceState.RUNNING:
            self.on_start(workload)
        self.connection.publish(EngineEvent(id=workload.resource.id, ended=ends))
        if ends:
            self.end_run(workload)
            if workload.resource.lifetime is Lifetime.TRANSIENT:
                self.remove(workload)
            workload.over.set()

    def end_run(self, workload: Workload) -> None:
        """End the run of a workload, if there is one, and release its ports."""
        if workload.run is not None:
            self._ports.release(workload.run.ports)
            workload.run = None

    def start(self, workload: Workload) -> None:
        """Start a workload in the state that its labels say."""
        state = workload.behaviour.starts_as
        self.enter(workload, state, _START_REASONS.get(state))
        workload.behaviour = replace(workload.behaviour, starts_as=ResourceState.RUNNING)

    def kill(self, workload: Workload) -> None:
        """Stop a workload at once."""
        self.enter(workload, ResourceState.STOPPED, StateReason.KILLED, exit_code=137)

    def remove(self, workload: Workload) -> None:
        """Remove a workload, and the volumes that were made for it alone."""
        resource = workload.resource
        if self.workloads.pop(resource.id, None) is not None:  # a kill forgets a TRANSIENT one
            del self._names[resource.kind, resource.name]
        for key in workload.owned_volumes:
            self.remove_volume(key)
        self.connection.publish(EngineEvent(id=workload.resource.id, removed=True))

    def add_volume(self, volume: Volume, id: str) -> None:
        """Add a volume, which its create knows by `id`."""
        self.volumes[volume.pool, volume.name] = volume
        self.volume_ids[volume.pool, volume.name] = id

    def remove_volume(self, key: tuple[str, str]) -> None:
        """Remove a volume by its pool and name, with its record, if it is there."""
        self.volumes.pop(key, None)
        self.volume_ids.pop(key, None)

    def _new_run(self, workload: Workload) -> Run:
        container, domain = workload.resource.container, workload.resource.domain
        networks = [each.network for each in (container.networks if container else ())]
        networks += [each.network for each in (domain.networks if domain else ())]
        for network in networks:
            if is_missing(network):
                raise EngineConflictError(NAME, f"network {network} not found")
        published = container is not None and not container.networks[0].stands_alone
        spec = container and container.spec
        wishes = spec.ports if spec and published else ()
        ports = self._ports.publish(wishes, workload)
        return Run(next(self._numbers), ports, domain, self._clock)


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def is_missing(network: str) -> bool:
    """Return whether a network is not there."""
    return network.startswith("missing")

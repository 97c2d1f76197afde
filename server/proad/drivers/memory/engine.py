"""The imitated engine: workloads, images and volumes in dictionaries.

Nothing changes across an await, so that one event loop needs no locks.
"""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from proad.drivers.memory.behaviour import Behaviour
from proad.drivers.memory.connection import NAME, MemoryConnection
from proad.drivers.memory.views import Run, shown
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    InUseError,
    ResourceNotFoundError,
)
from proad.model import (
    Domain,
    EngineEvent,
    Image,
    Lifetime,
    PublishedPort,
    Resource,
    ResourceKind,
    ResourceState,
    ResourceView,
    Snapshot,
    StateReason,
    Verb,
    Volume,
)
from proad.model.verbs import ACTIVE, refusal

_START_REASONS = {
    ResourceState.STARTING: StateReason.RESTARTING,
    ResourceState.FAILED: StateReason.CRASHED,
}
FROZEN = frozenset({ResourceState.PAUSED, ResourceState.SUSPENDED})
_EVERY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True, slots=True)
class TakenSnapshot:
    """A snapshot, and the resource as it was then."""

    snapshot: Snapshot
    resource: Resource


@dataclass(slots=True, eq=False)
class Workload:
    """A container or a domain.

    Attributes:
        resource: the full view, without what only a run has.
        behaviour: what its labels make of it.
        run: the present run, None while it is inactive.
        over: set when the present run ends.
        snapshots: by name, oldest first.
        current: name of the snapshot that the present state descends from.
    """

    resource: Resource
    behaviour: Behaviour
    run: Run | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    snapshots: dict[str, TakenSnapshot] = field(default_factory=dict)
    current: str = ""

    def shown(self, view: ResourceView = ResourceView.FULL) -> Resource:
        """Return the resource in as much detail as `view` wants."""
        return shown(self.resource, self.run, len(self.snapshots), view)

    @property
    def owned_volumes(self) -> list[tuple[str, str]]:
        """Pool and name of the volumes that were made for it alone."""
        disks = self.resource.domain.disks if self.resource.domain else ()
        return [(d.volume.pool, d.volume.name) for d in disks if d.owned and d.volume is not None]

    def disown_volumes(self) -> None:
        """Let the volumes that were made for it outlive it."""
        if (domain := self.resource.domain) is not None:
            disks = tuple(replace(disk, owned=False) for disk in domain.disks)
            self.resource = replace(self.resource, domain=replace(domain, disks=disks))


class ImitatedEngine:
    """What there is in the imitated engine, and how workloads change their state.

    Attributes:
        connection: by which the driver reaches the engine.
        workloads: by full id.
        images: by id.
        volumes: by pool and name.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.connection = MemoryConnection()
        self.workloads: dict[str, Workload] = {}
        self.images: dict[str, Image] = {}
        self.volumes: dict[tuple[str, str], Volume] = {}
        self._names: dict[tuple[ResourceKind, str], Workload] = {}
        self._numbers = itertools.count(1)
        self._clock = clock

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
        self.connection.publish(EngineEvent(id=workload.resource.id, ended=ends))
        if ends:
            workload.run = None
            if workload.resource.lifetime is Lifetime.TRANSIENT:
                self.remove(workload)
            workload.over.set()

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
            self.volumes.pop(key, None)
        self.connection.publish(EngineEvent(id=workload.resource.id, removed=True))

    def _new_run(self, workload: Workload) -> Run:
        container, domain = workload.resource.container, workload.resource.domain
        networks = [each.network for each in (container.networks if container else ())]
        networks += [each.network for each in (domain.networks if domain else ())]
        for network in networks:
            if is_missing(network):
                raise EngineConflictError(NAME, f"network {network} not found")
        holders = [
            (port, other.resource.name)
            for other in self.workloads.values()
            if other.run
            for port in other.run.ports
        ]
        taken = [port for port, _ in holders]
        ports: list[PublishedPort] = []
        published = container is not None and not container.networks[0].stands_alone
        for wish in container.requested_ports if container and published else ():
            port = wish if wish.host_port else _free_port(wish, [*taken, *ports])
            if any(_collide(port, other) for other in [*taken, *ports]):
                users = [name for held, name in holders if _collide(port, held)]
                raise InUseError.of_the_host(
                    "port",
                    f"{port.host_ip or '0.0.0.0'}:{port.host_port}",  # noqa: S104 - told, not bound
                    users,
                )
            ports.append(port)
        return Run(next(self._numbers), tuple(ports), domain, self._clock)


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def _collide(one: PublishedPort, other: PublishedPort) -> bool:
    return (
        one.host_port == other.host_port
        and one.protocol is other.protocol
        and (one.host_ip == other.host_ip or bool({one.host_ip, other.host_ip} & _EVERY_ADDRESS))
    )


def _free_port(wish: PublishedPort, taken: list[PublishedPort]) -> PublishedPort:
    for candidate in (replace(wish, host_port=number) for number in range(32768, 61000)):
        if not any(_collide(candidate, other) for other in taken):
            return candidate
    raise EngineConflictError(NAME, "all ports are allocated")


def is_missing(network: str) -> bool:
    """Return whether a network is not there."""
    return network.startswith("missing")

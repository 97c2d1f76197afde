"""What the imitated engine consists of: workloads, images and volumes in dictionaries.

All of it changes between two awaits only, so that one event loop needs no locks.
"""

import asyncio
import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from proad.drivers.memory.behaviour import Behaviour
from proad.drivers.memory.events import NAME, Line
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
        """Give the resource in as much detail as `view` wants."""
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


class World(Line):
    """The imitated engine, and what all parts of the driver do with it."""

    def __init__(self) -> None:
        super().__init__()
        self._workloads: dict[str, Workload] = {}
        self._names: dict[tuple[ResourceKind, str], Workload] = {}
        self._images: dict[str, Image] = {}
        self._volumes: dict[tuple[str, str], Volume] = {}
        self._numbers = itertools.count(1)

    def _workload(self, id: str) -> Workload:
        self._reach()
        try:
            return self._workloads[id]
        except KeyError:
            raise ResourceNotFoundError(id) from None

    def _domain(self, id: str, capability: str) -> tuple[Workload, Domain]:
        workload = self._workload(id)
        if workload.resource.domain is None:
            raise CapabilityMissingError(
                capability, driver=NAME, hint="domains have it, containers do not"
            )
        return workload, workload.resource.domain

    def _add(self, workload: Workload) -> None:
        self._workloads[workload.resource.id] = workload
        self._names[workload.resource.kind, workload.resource.name] = workload
        self._tell(EngineEvent(id=workload.resource.id))

    def _reconfigured(self, workload: Workload) -> None:
        self._tell(EngineEvent(id=workload.resource.id, reconfigured=True))

    def _named(self, kind: ResourceKind, name: str) -> Workload | None:
        return self._names.get((kind, name))

    def _rename(self, workload: Workload, name: str) -> None:
        kind = workload.resource.kind
        del self._names[kind, workload.resource.name]
        self._names[kind, name] = workload
        workload.resource = replace(workload.resource, name=name)

    def _permit(self, verb: Verb, workload: Workload, *, force: bool = False) -> None:
        if error := refusal(verb, workload.resource, force=force):
            raise error

    def _enter(
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
            workload.run = workload.run.going(on=state not in FROZEN)
        self._tell(EngineEvent(id=workload.resource.id, ended=ends))
        if ends:
            workload.run = None
            if workload.resource.lifetime is Lifetime.TRANSIENT:
                self._forget(workload)
            workload.over.set()

    def _start(self, workload: Workload) -> None:
        state = workload.behaviour.starts_as
        self._enter(workload, state, _START_REASONS.get(state))
        workload.behaviour = replace(workload.behaviour, starts_as=ResourceState.RUNNING)

    def _kill(self, workload: Workload) -> None:
        self._enter(workload, ResourceState.STOPPED, StateReason.KILLED, exit_code=137)

    def _forget(self, workload: Workload) -> None:
        """Remove a workload, and the volumes that were made for it alone."""
        resource = workload.resource
        if self._workloads.pop(resource.id, None) is not None:  # a kill forgets a TRANSIENT one
            del self._names[resource.kind, resource.name]
        for key in workload.owned_volumes:
            self._volumes.pop(key, None)
        self._tell(EngineEvent(id=workload.resource.id, removed=True))

    def _new_run(self, workload: Workload) -> Run:
        container, domain = workload.resource.container, workload.resource.domain
        networks = [each.network for each in (container.networks if container else ())]
        networks += [each.network for each in (domain.networks if domain else ())]
        for network in networks:
            if is_missing(network):
                raise EngineConflictError(NAME, f"network {network} not found")
        holders = [
            (port, other.resource.name)
            for other in self._workloads.values()
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
        return Run(next(self._numbers), tuple(ports), domain)


def now() -> datetime:
    """Give the time, with its zone."""
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
    """Tell whether a network is not there."""
    return network.startswith("missing")

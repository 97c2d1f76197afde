"""How the imitated engine changes existing workloads."""

from dataclasses import replace
from typing import TypeVar

from proad.drivers.memory.behaviour import Behaviour
from proad.drivers.memory.connection import NAME
from proad.drivers.memory.engine import ImitatedEngine
from proad.drivers.memory.views import on_machine
from proad.drivers.memory.workload import Workload
from proad.errors import (
    AlreadyExistsError,
    CapabilityMissingError,
    HasSavedStateError,
    InvalidArgumentError,
    ResourceRunningError,
)
from proad.model import (
    Container,
    ContainerResources,
    ContainerUpdate,
    Domain,
    DomainUpdate,
    Lifetime,
    Resource,
    ResourceState,
    ResourceUpdate,
    Updated,
    Verb,
)
from proad.model.verbs import allowed_verbs

T = TypeVar("T")


class MemoryUpdater:
    """Changes workloads as Docker and libvirt allow."""

    def __init__(self, engine: ImitatedEngine) -> None:
        self._engine = engine

    async def update(self, id: str, update: ResourceUpdate) -> Updated:
        """Change what `update` names, or nothing. A running domain gets other vcpus, and
        more memory than it has room for, when it next starts.
        """
        workload = self._engine.workload(id)
        self._engine.permit(Verb.UPDATE, workload)
        resource = workload.resource
        _check_kind(resource, update)
        saved = resource.state is ResourceState.SAVED
        if saved and update.is_undone_by_saved_state(resource.name):
            raise HasSavedStateError.of_update(resource.name)
        if resource.container is not None:
            if update.labels is not None:
                raise CapabilityMissingError("changing the labels of a container", driver=NAME)
            container = _updated_container(resource.container, update.container)
            resource = replace(resource, container=container)
        elif resource.domain is not None:
            domain = _updated_domain(workload, resource.domain, update)
            resource = replace(resource, domain=domain)
        other = self._engine.named(resource.kind, update.name or resource.name)
        if other is not None and other is not workload:
            kind, name = resource.kind.lower(), other.resource.name
            raise AlreadyExistsError(kind, name, existing_id=other.resource.id)
        if update.labels is not None:
            workload.behaviour = Behaviour.of(update.labels.entries)
            resource = replace(resource, labels=update.labels.entries)
        workload.resource = resource
        if update.name is not None:
            self._engine.rename(workload, update.name)
        if update != ResourceUpdate():
            self._engine.publish_reconfigured(workload)
        shown = workload.shown()
        return Updated(resource=shown, restart_required=_waiting(update.domain, shown.domain))


def _waiting(asked: DomainUpdate | None, shown: Domain | None) -> tuple[str, ...]:
    """Return the paths of what was asked for and does not show yet."""
    if asked is None or shown is None:
        return ()
    return tuple(
        f"domain.{field}"
        for field, wanted, present in (
            ("vcpus", asked.vcpus, shown.vcpus),
            ("memory_bytes", asked.memory_bytes, shown.memory_bytes),
        )
        if wanted not in {None, present}
    )


def _updated_container(container: Container, update: ContainerUpdate | None) -> Container:
    if update is None:
        return container
    limits = container.resources or ContainerResources()
    limits = ContainerResources(
        memory_bytes=_or(update.memory_bytes, limits.memory_bytes),
        memory_reservation_bytes=limits.memory_reservation_bytes,
        memory_swap_bytes=_or(update.memory_swap_bytes, limits.memory_swap_bytes),
        cpus=_or(update.cpus, limits.cpus),
        cpuset_cpus=_or(update.cpuset_cpus, limits.cpuset_cpus),
        cpu_shares=limits.cpu_shares,
        pids_limit=_or(update.pids_limit, limits.pids_limit),
    )
    policy = _or(update.restart_policy, container.restart_policy)
    return replace(container, resources=limits, restart_policy=policy)


def _check_kind(resource: Resource, update: ResourceUpdate) -> None:
    if resource.container is not None and update.domain is not None:
        raise InvalidArgumentError.of("domain", "this is a container; set container instead")
    if resource.domain is not None and update.container is not None:
        raise InvalidArgumentError.of("container", "this is a domain; set domain instead")


def _updated_domain(workload: Workload, domain: Domain, update: ResourceUpdate) -> Domain:
    changes = update.domain or DomainUpdate()
    active = workload.run is not None
    if active and update.name is not None:
        resource = workload.resource
        raise ResourceRunningError(
            id=resource.id,
            name=resource.name,
            state=resource.state,
            verb="UPDATE of name",
            allowed_verbs=allowed_verbs(resource.kind, resource.state),
            hint="stop it first",
        )
    if changes.autostart or changes.vcpus is not None:
        _require_next_start(workload)
    memory = _or(changes.memory_bytes, domain.memory_bytes)
    machine = workload.run.machine if workload.run else None
    if machine is not None and changes.memory_bytes is not None:
        if memory <= machine.max_memory_bytes:
            workload.run = on_machine(workload.run, replace(machine, memory_bytes=memory))
        else:
            _require_next_start(workload)
    # What is running keeps the room that it has.
    most = max(domain.max_memory_bytes if active else 0, memory)
    if changes.memory_bytes is None:
        most = domain.max_memory_bytes
    return replace(
        domain,
        memory_bytes=memory,
        max_memory_bytes=most,
        vcpus=_or(changes.vcpus, domain.vcpus),
        autostart=_or(changes.autostart, domain.autostart),
        title=_or(changes.title, domain.title),
        description=_or(changes.description, domain.description),
    )


def _require_next_start(workload: Workload) -> None:
    if workload.resource.lifetime is Lifetime.TRANSIENT:
        raise CapabilityMissingError(
            "autostart, other vcpus and more memory than it has room for, for a TRANSIENT domain",
            driver=NAME,
            hint="it has no next start",
        )


def _or(value: T | None, present: T) -> T:
    return present if value is None else value

"""How the imitated engine changes existing workloads."""

from dataclasses import replace

from proad.drivers.memory.behaviour import Behaviour
from proad.drivers.memory.connection import NAME
from proad.drivers.memory.engine import ImitatedEngine
from proad.drivers.memory.views import on_machine
from proad.drivers.memory.workload import Workload
from proad.errors import (
    AlreadyExistsError,
    CapabilityMissingError,
    HasSavedStateError,
    ResourceRunningError,
)
from proad.model import (
    Container,
    ContainerSpec,
    Domain,
    DomainSpec,
    Lifetime,
    Resource,
    ResourceState,
    ResourceUpdate,
    Updated,
    Verb,
    merged,
)
from proad.model.update import LIMIT_PATHS
from proad.model.verbs import allowed_verbs

_OF_CONTAINERS = LIMIT_PATHS | {"name", "restart_policy"}
_OF_DOMAINS = frozenset(
    {"name", "labels", "memory_bytes", "vcpus", "autostart", "title", "description"}
)


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
        before = workload.resource
        changed = self._changed(workload, update)
        if before.state is ResourceState.SAVED and update.is_undone_by_saved_state(before.name):
            raise HasSavedStateError.of_update(before.name)
        if "name" in update.paths:
            self._check_name(workload, update.spec.name)
        if "labels" in update.paths:
            workload.behaviour = Behaviour.of(update.spec.labels)
            changed = replace(changed, labels=update.spec.labels)
        workload.resource = changed
        if "name" in update.paths:
            self._engine.rename(workload, update.spec.name)
        if update.paths:
            self._engine.publish_reconfigured(workload)
        shown = workload.shown()
        return Updated(resource=shown, restart_required=_waiting(update, shown.domain))

    def _changed(self, workload: Workload, update: ResourceUpdate) -> Resource:
        resource = workload.resource
        if resource.container is not None:
            update.wanted(
                ContainerSpec,
                _OF_CONTAINERS,
                driver=NAME,
                hint="RecreateContainer makes it again with other values",
            )
            return replace(resource, container=_updated_container(resource.container, update))
        wanted = update.wanted(DomainSpec, _OF_DOMAINS, driver=NAME, hint="create it anew")
        if resource.domain is None:
            return resource
        domain = _updated_domain(workload, resource.domain, wanted, update.paths)
        return replace(resource, domain=domain)

    def _check_name(self, workload: Workload, name: str) -> None:
        kind = workload.resource.kind
        other = self._engine.named(kind, name)
        if other is not None and other is not workload:
            raise AlreadyExistsError(kind.lower(), name, existing_id=other.resource.id)


def _waiting(update: ResourceUpdate, shown: Domain | None) -> tuple[str, ...]:
    """Return the paths of what was asked for and does not show yet."""
    return tuple(
        path
        for path in ("vcpus", "memory_bytes")
        if path in update.paths and getattr(update.spec, path) != getattr(shown, path)
    )


def _updated_container(container: Container, update: ResourceUpdate) -> Container:
    return replace(container, spec=container.spec and merged(container.spec, update))


def _updated_domain(
    workload: Workload, domain: Domain, wanted: DomainSpec, paths: frozenset[str]
) -> Domain:
    active = workload.run is not None
    if active and "name" in paths:
        resource = workload.resource
        raise ResourceRunningError(
            id=resource.id,
            name=resource.name,
            state=resource.state,
            verb="UPDATE of name",
            allowed_verbs=allowed_verbs(resource.kind, resource.state),
            hint="stop it first",
        )
    if ("autostart" in paths and wanted.autostart) or "vcpus" in paths:
        _require_next_start(workload)
    machine = workload.run.machine if workload.run else None
    if machine is not None and "memory_bytes" in paths:
        if wanted.memory_bytes <= machine.max_memory_bytes:
            size = replace(machine, memory_bytes=wanted.memory_bytes)
            workload.run = on_machine(workload.run, size)
        else:
            _require_next_start(workload)
    shown = paths & {"memory_bytes", "vcpus", "autostart"}
    changed = replace(domain, **{path: getattr(wanted, path) for path in shown})
    if domain.spec is not None and (texts := paths & {"title", "description"}):
        told = replace(domain.spec, **{path: getattr(wanted, path) for path in texts})
        changed = replace(changed, spec=told)
    if "memory_bytes" in paths:
        # What is running keeps the room that it has.
        most = max(domain.max_memory_bytes if active else 0, changed.memory_bytes)
        changed = replace(changed, max_memory_bytes=most)
    return changed


def _require_next_start(workload: Workload) -> None:
    if workload.resource.lifetime is Lifetime.TRANSIENT:
        raise CapabilityMissingError(
            "autostart, other vcpus and more memory than it has room for, for a TRANSIENT domain",
            driver=NAME,
            hint="it has no next start",
        )

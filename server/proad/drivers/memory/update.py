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
    Findings,
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
    UpdatePlan,
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

    async def plan(self, id: str, update: ResourceUpdate) -> UpdatePlan:
        """Return what `update` would do."""
        return self._planned(self._engine.workload(id), update)

    async def update(self, id: str, update: ResourceUpdate) -> Updated:
        """Change what `update` names, or nothing. A running domain gets other vcpus, and
        more memory than it has room for, when it next starts.
        """
        workload = self._engine.workload(id)
        plan = self._planned(workload, update)
        plan.check()
        changed = _changed(workload, update)
        if "labels" in update.paths:
            workload.behaviour = Behaviour.of(update.spec.labels)
            changed = replace(changed, labels=update.spec.labels)
        workload.resource = changed
        if "name" in update.paths:
            self._engine.rename(workload, update.spec.name)
        if update.paths:
            self._engine.publish_reconfigured(workload)
        return Updated(resource=workload.shown(), restart_required=plan.restart_required)

    def _planned(self, workload: Workload, update: ResourceUpdate) -> UpdatePlan:
        """Return the plan of an update, after all checks."""
        self._engine.permit(Verb.UPDATE, workload)
        resource = workload.resource
        if resource.container is not None:
            update.wanted(ContainerSpec)
            hint = "RecreateContainer makes it again with other values"
            plan = update.planned(_OF_CONTAINERS, driver=NAME, hint=hint)
        else:
            update.wanted(DomainSpec)
            late = _late(workload, update)
            plan = update.planned(_OF_DOMAINS, late, driver=NAME, hint="create it anew")
        findings = Findings()
        with findings.noted():
            _check_saved(resource, update)
        with findings.noted():
            _check_domain(workload, update, plan)
        with findings.noted():
            if "name" in update.paths:
                self._check_name(workload, update.spec.name)
        findings.check()
        return plan

    def _check_name(self, workload: Workload, name: str) -> None:
        kind = workload.resource.kind
        other = self._engine.named(kind, name)
        if other is not None and other is not workload:
            raise AlreadyExistsError(kind.lower(), name, existing_id=other.resource.id)


def _check_saved(resource: Resource, update: ResourceUpdate) -> None:
    if resource.state is ResourceState.SAVED and update.is_undone_by_saved_state(resource.name):
        raise HasSavedStateError.of_update(resource.name)


def _changed(workload: Workload, update: ResourceUpdate) -> Resource:
    resource = workload.resource
    if resource.container is not None:
        return replace(resource, container=_updated_container(resource.container, update))
    if resource.domain is None:
        return resource
    wanted = update.wanted(DomainSpec)
    return replace(
        resource, domain=_updated_domain(workload, resource.domain, wanted, update.paths)
    )


def _late(workload: Workload, update: ResourceUpdate) -> frozenset[str]:
    """Return the paths that a domain which runs has no room for until its next start."""
    machine = workload.run.machine if workload.run else None
    wanted = update.wanted(DomainSpec)
    if machine is None:
        return frozenset()
    late = {"vcpus"} if wanted.vcpus != machine.vcpus else set()
    if wanted.memory_bytes > machine.max_memory_bytes:
        late.add("memory_bytes")
    return frozenset(late)


def _check_domain(workload: Workload, update: ResourceUpdate, plan: UpdatePlan) -> None:
    """Refuse what a domain cannot have while it runs, or without a next start."""
    resource, spec = workload.resource, update.spec
    if not isinstance(spec, DomainSpec):
        return
    if workload.run is not None and "name" in update.paths:
        raise ResourceRunningError(
            id=resource.id,
            name=resource.name,
            state=resource.state,
            verb="UPDATE of name",
            allowed_verbs=allowed_verbs(resource.kind, resource.state),
            hint="stop it first",
        )
    if ("autostart" in update.paths and spec.autostart) or "vcpus" in update.paths:
        _require_next_start(workload)
    if "memory_bytes" in plan.restart_required:
        _require_next_start(workload)


def _updated_container(container: Container, update: ResourceUpdate) -> Container:
    return replace(container, spec=container.spec and merged(container.spec, update))


def _updated_domain(
    workload: Workload, domain: Domain, wanted: DomainSpec, paths: frozenset[str]
) -> Domain:
    active = workload.run is not None
    machine = workload.run.machine if workload.run else None
    fits = machine is not None and wanted.memory_bytes <= machine.max_memory_bytes
    if machine is not None and "memory_bytes" in paths and fits:
        size = replace(machine, memory_bytes=wanted.memory_bytes)
        workload.run = on_machine(workload.run, size)
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

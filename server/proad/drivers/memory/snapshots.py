"""The imitated engine's snapshots."""

from dataclasses import replace

from proad.drivers.memory.behaviour import Behaviour
from proad.drivers.memory.engine import ImitatedEngine, now
from proad.drivers.memory.views import on_machine
from proad.drivers.memory.workload import TakenSnapshot, Workload
from proad.errors import AlreadyExistsError, SnapshotNotFoundError
from proad.model import (
    Footprint,
    Resource,
    ResourceState,
    RevertState,
    Snapshot,
    SnapshotSpec,
    StateReason,
    Verb,
)
from proad.model.verbs import ACTIVE
from proad.ports import AnnounceFootprint, unannounced

_CAPABILITY = "snapshots"


class MemorySnapshots:
    """Snapshots of domains: of what is known about them, for there is nothing else."""

    def __init__(self, engine: ImitatedEngine) -> None:
        self._engine = engine

    async def list_snapshots(self, id: str) -> list[Snapshot]:
        """Return the snapshots, in any order."""
        workload, _ = self._engine.domain(id, _CAPABILITY)
        return [_shown(workload, name) for name in workload.snapshots]

    async def get_snapshot(self, id: str, name: str) -> Snapshot:
        """Return one snapshot."""
        workload, _ = self._engine.domain(id, _CAPABILITY)
        return _shown(workload, name)

    async def create_snapshot(
        self,
        id: str,
        spec: SnapshotSpec = SnapshotSpec(),
        *,
        announce: AnnounceFootprint = unannounced,
    ) -> Snapshot:
        """Take a snapshot."""
        workload, _ = self._engine.domain(id, _CAPABILITY)
        self._engine.permit(Verb.CREATE_SNAPSHOT, workload)
        name = spec.name or now().strftime("%Y%m%dT%H%M%S.%f")
        _refusetaken(workload, name)
        await announce(
            Footprint(mark=id, create_time=now(), snapshot=name, named_by_caller=bool(spec.name))
        )
        workload, domain = self._engine.domain(id, _CAPABILITY)
        self._engine.permit(Verb.CREATE_SNAPSHOT, workload)
        _refusetaken(workload, name)
        active = workload.resource.state in ACTIVE
        snapshot = Snapshot(
            name=name,
            resource_id=id,
            description=spec.description,
            create_time=now(),
            state=workload.resource.state if active else ResourceState.STOPPED,
            has_memory=active,
            parent=workload.current,
            charge=domain.charge,
        )
        workload.snapshots[name] = TakenSnapshot(snapshot, workload.resource)
        workload.current = name
        self._engine.publish_reconfigured(workload)
        return _shown(workload, name)

    async def revert_snapshot(
        self, id: str, name: str, state: RevertState | None = None
    ) -> Resource:
        """Take a domain back."""
        workload, _ = self._engine.domain(id, _CAPABILITY)
        self._engine.permit(Verb.REVERT_SNAPSHOT, workload)
        self.revert(workload, name, ResourceState(state) if state else None)
        return workload.shown()

    async def delete_snapshot(self, id: str, name: str, *, children: bool = False) -> None:
        """Delete a snapshot; its children go too, or become its parent's."""
        workload, _ = self._engine.domain(id, _CAPABILITY)
        self._engine.permit(Verb.DELETE_SNAPSHOT, workload)
        parent = taken(workload, name).snapshot.parent
        heirs = [each for each, t in workload.snapshots.items() if t.snapshot.parent == name]
        for heir in heirs:
            if children:
                await self.delete_snapshot(id, heir, children=True)
            else:
                kept = workload.snapshots[heir]
                moved = replace(kept, snapshot=replace(kept.snapshot, parent=parent))
                workload.snapshots[heir] = moved
        del workload.snapshots[name]
        if workload.current == name:
            workload.current = parent
        self._engine.publish_reconfigured(workload)

    def revert(self, workload: Workload, name: str, state: ResourceState | None) -> None:
        """Take a domain back to a snapshot, in a state or in that of the snapshot."""
        snapshot = taken(workload, name)
        domain, labels = snapshot.resource.domain, snapshot.resource.labels
        workload.resource = replace(workload.resource, domain=domain, labels=labels)
        workload.behaviour = Behaviour.of(labels)
        workload.current = name
        target = state or snapshot.snapshot.state
        reason = None if target is ResourceState.RUNNING else StateReason.FROM_SNAPSHOT
        workload.run = on_machine(workload.run, domain)
        self._engine.publish_reconfigured(workload)
        self._engine.enter(workload, target, reason)


def _refusetaken(workload: Workload, name: str) -> None:
    if name in workload.snapshots:
        raise AlreadyExistsError("snapshot", name)


def taken(workload: Workload, name: str) -> TakenSnapshot:
    """Return a snapshot of a domain. Raise SnapshotNotFoundError."""
    try:
        return workload.snapshots[name]
    except KeyError:
        raise SnapshotNotFoundError(name, detail=f"of {workload.resource.name!r}") from None


def _shown(workload: Workload, name: str) -> Snapshot:
    return replace(taken(workload, name).snapshot, current=name == workload.current)

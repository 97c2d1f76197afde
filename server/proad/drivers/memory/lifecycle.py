"""Start, pause, resume and delete of imitated workloads."""

from proad.drivers.memory.engine import FROZEN, ImitatedEngine
from proad.drivers.memory.snapshots import MemorySnapshots
from proad.errors import Findings, HasSavedStateError, HasSnapshotsError
from proad.model import (
    DeleteOptions,
    Resource,
    ResourceState,
    ResourceView,
    StartOptions,
    StateReason,
    Verb,
)
from proad.ports import Begin


class MemoryLifecycle:
    """Starts, pauses, resumes and deletes workloads."""

    def __init__(self, engine: ImitatedEngine, snapshots: MemorySnapshots) -> None:
        self._engine = engine
        self._snapshots = snapshots

    async def start(self, id: str, options: StartOptions) -> Resource:
        """Start a workload, a domain also from a snapshot or its saved state."""
        workload = self._engine.workload(id)
        if options.from_snapshot or options.discard_saved_state:
            self._engine.domain(id, "snapshots and saved states")
        self._engine.permit(Verb.START, workload)
        if options.from_snapshot:
            self._snapshots.revert(workload, options.from_snapshot, ResourceState.RUNNING)
        elif workload.resource.state in FROZEN:
            self._engine.enter(workload, ResourceState.RUNNING)
        else:
            self._engine.start(workload)
        return workload.shown(ResourceView.SUMMARY)

    async def pause(self, id: str) -> Resource:
        """Freeze a workload."""
        workload = self._engine.workload(id)
        self._engine.permit(Verb.PAUSE, workload)
        self._engine.enter(workload, ResourceState.PAUSED, StateReason.USER)
        return workload.shown(ResourceView.SUMMARY)

    async def resume(self, id: str) -> Resource:
        """Resume a workload."""
        workload = self._engine.workload(id)
        self._engine.permit(Verb.RESUME, workload)
        self._engine.enter(workload, ResourceState.RUNNING)
        return workload.shown(ResourceView.SUMMARY)

    async def delete(self, id: str, options: DeleteOptions, begin: Begin) -> Resource:
        """Delete a workload, and the volumes that were made for it alone."""
        workload = self._engine.workload(id)
        name, findings = workload.resource.name, Findings()
        with findings.noted():
            self._engine.permit(Verb.DELETE, workload, force=options.force)
        with findings.noted():
            if workload.snapshots and not options.delete_snapshots:
                raise HasSnapshotsError(name, len(workload.snapshots))
        saved = workload.resource.state is ResourceState.SAVED
        with findings.noted():
            if saved and not options.delete_saved_state:
                raise HasSavedStateError(name)
        findings.check()
        await begin()
        if options.keep_volumes:
            workload.disown_volumes()
        if workload.run is not None:
            self._engine.kill(workload)
        self._engine.remove(workload)
        return workload.shown()

"""What interrupted creates have made in the imitated engine."""

from proad.drivers.memory.engine import ImitatedEngine
from proad.model import (
    ACTIVE,
    Footprint,
    Found,
    PlannedVolume,
    Resource,
    Snapshot,
    StateReason,
    Volume,
)


class MemoryRecovery:
    """Finds and removes what creates have made; the imitated engine makes all of it or nothing."""

    def __init__(self, engine: ImitatedEngine) -> None:
        self._engine = engine

    async def find(self, footprint: Footprint) -> Found | None:
        """Return what a create has made."""
        self._engine.connection.check()
        if not footprint.mark:
            volumes = map(self._volume, footprint.volumes)
            return next((Found(made=each, complete=True) for each in volumes if each), None)
        workload = self._engine.workloads.get(footprint.mark)
        if workload is None:
            return None
        if footprint.snapshot:
            taken = workload.snapshots.get(footprint.snapshot)
            if taken is None or _older(taken.snapshot, footprint):
                return None
            return Found(made=taken.snapshot, complete=True)
        made = workload.shown()
        if _older(made, footprint):
            return None
        fresh = made.state_detail.reason is StateReason.NEVER_STARTED
        return Found(made=made, complete=not (footprint.start and fresh))

    def _volume(self, planned: PlannedVolume) -> Volume | None:
        """Return the volume that a create has made; None if another one has its name."""
        key = planned.pool, planned.name
        ours = self._engine.volume_ids.get(key) == planned.id
        return self._engine.volumes.get(key) if ours else None

    async def undo(self, footprint: Footprint, *, force: bool) -> tuple[str, ...]:
        """Remove what a create has left, but nothing that runs or that a caller named."""
        self._engine.connection.check()
        if not footprint.mark:
            for each in footprint.volumes:
                if self._volume(each) is not None:
                    self._engine.remove_volume((each.pool, each.name))
            return ()
        workload = self._engine.workloads.get(footprint.mark)
        if workload is None or await self.find(footprint) is None:
            return ()
        if footprint.replaces and footprint.replaces not in self._engine.workloads:
            return ()  # the new one is in its place, and is all that there is
        if not footprint.snapshot:
            if force or workload.resource.state not in ACTIVE:
                self._engine.remove(workload)
        elif footprint.named_by_caller:
            return (f"snapshot {footprint.snapshot}",)
        else:
            del workload.snapshots[footprint.snapshot]
        return ()


def _older(made: Resource | Snapshot, footprint: Footprint) -> bool:
    return made.create_time is None or made.create_time < footprint.create_time

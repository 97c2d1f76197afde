"""The workloads of the imitated engine."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from proad.drivers.memory.behaviour import Behaviour
from proad.drivers.memory.file_tree import MemoryTree
from proad.drivers.memory.views import Run, shown
from proad.model import Resource, ResourceView, Snapshot


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
        secrets: the values of a container's `env_secret`.
        files: what is inside it; None: what there is at first.
    """

    resource: Resource
    behaviour: Behaviour
    run: Run | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    snapshots: dict[str, TakenSnapshot] = field(default_factory=dict)
    current: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: MemoryTree | None = field(default=None, repr=False)

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

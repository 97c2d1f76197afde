"""The reference driver: both kinds in this process, for developers without engines."""

import asyncio
import os
import platform
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

from proad.drivers.memory.containers import MemoryContainers
from proad.drivers.memory.domains import MemoryDomains
from proad.drivers.memory.events import NAME
from proad.drivers.memory.images import MemoryImages
from proad.drivers.memory.snapshots import MemorySnapshots
from proad.drivers.memory.stats import HOST_MEMORY_BYTES, MemoryStats
from proad.drivers.memory.updates import MemoryUpdates
from proad.drivers.memory.views import on_machine
from proad.drivers.memory.volumes import MemoryVolumes
from proad.drivers.memory.world import FROZEN, Workload
from proad.errors import (
    CapabilityMissingError,
    HasSavedStateError,
    HasSnapshotsError,
    StopTimedOutError,
)
from proad.model import (
    DeleteOptions,
    EngineInfo,
    Lifetime,
    Resource,
    ResourceKind,
    ResourceState,
    ResourceView,
    RestartMode,
    RestartOptions,
    StartOptions,
    StateReason,
    StopMode,
    StopOptions,
    Verb,
)
from proad.ports import OnStep, ignore

_CONTAINER_GRACE = timedelta(seconds=10)
_DOMAIN_GRACE = timedelta(seconds=60)
_KILLING = "killing"
_LISTED_AT_ONCE = 32


class MemoryDriver(
    MemoryContainers,
    MemoryImages,
    MemoryDomains,
    MemorySnapshots,
    MemoryVolumes,
    MemoryUpdates,
    MemoryStats,
):
    """An engine imitated in this process: containers, images, domains, snapshots, volumes.

    Nothing runs and nothing outlives the driver. What a workload does, its labels say:

    - `proa.memory/ignores-stop: "true"`: it is deaf to graceful requests.
    - `proa.memory/stop-after: "0.2"`: seconds until it follows one; without it, at once.
    - `proa.memory/starts-as: "FAILED"`: the state that its first start brings it to,
      of RUNNING, STARTING, SUSPENDED, STOPPING, FAILED and OTHER.

    What there is, names say: networks whose name starts with "missing" are not there;
    of images see MemoryImages. The one storage pool is "default".

    To see what a loss of the engine does, call `lose()`: every call and subscription ends
    in EngineUnreachableError until `come_back()`. The workloads live on, and what happens
    to them meanwhile is told to nobody.
    """

    name: str = NAME
    endpoint: str = "memory:"
    kinds: tuple[ResourceKind, ...] = (ResourceKind.CONTAINER, ResourceKind.DOMAIN)
    stop_modes: frozenset[StopMode] = frozenset(StopMode)
    full_view_age: timedelta | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do nothing: the imitated engine is the driver's own memory."""

    async def probe(self) -> EngineInfo:
        """Describe this host as the engine's own."""
        self._reach()
        return EngineInfo(
            version="1",
            hostname=platform.node(),
            cpus=os.cpu_count() or 1,
            memory_bytes=HOST_MEMORY_BYTES,
            architecture=platform.machine(),
            warnings=("nothing here is real: the memory driver imitates an engine",),
        )

    async def list_resources(self, view: ResourceView = ResourceView.SUMMARY) -> list[Resource]:
        """Give all resources."""
        self._reach()
        found: list[Resource] = []
        for workload in list(self._workloads.values()):
            if len(found) % _LISTED_AT_ONCE == 0:
                await asyncio.sleep(0)  # the event loop serves others in between
            found.append(workload.shown(view))
        return found

    async def get_resource(self, id: str, view: ResourceView = ResourceView.FULL) -> Resource:
        """Give one resource."""
        return self._workload(id).shown(view)

    async def find_id(self, name: str) -> str:
        """Give the id of the resource of that name."""
        self._reach()
        named = (self._named(kind, name) for kind in ResourceKind)
        return next((workload.resource.id for workload in named if workload is not None), "")

    async def start(self, id: str, options: StartOptions = StartOptions()) -> Resource:
        """Start it, from a snapshot or its saved state where it is a domain."""
        workload = self._workload(id)
        if options.from_snapshot or options.discard_saved_state:
            self._domain(id, "snapshots and saved states")
        self._permit(Verb.START, workload)
        if options.from_snapshot:
            self._revert(workload, options.from_snapshot, ResourceState.RUNNING)
        elif workload.resource.state in FROZEN:
            self._enter(workload, ResourceState.RUNNING)
        else:
            self._start(workload)
        return workload.shown(ResourceView.SUMMARY)

    async def stop(
        self, id: str, options: StopOptions = StopOptions(), *, on_step: OnStep = ignore
    ) -> Resource:
        """Stop it, in the way that its labels let it."""
        workload = self._workload(id)
        mode = options.mode or StopMode(_usual_mode(workload))
        if mode is StopMode.SAVE:
            self._domain(id, "stop mode SAVE")
        self._permit(Verb.STOP, workload)
        if mode is StopMode.FORCE:
            on_step(_KILLING, None)
            self._kill(workload)
        elif mode is StopMode.SAVE:
            if workload.resource.lifetime is Lifetime.TRANSIENT:
                raise CapabilityMissingError(
                    "saving a TRANSIENT domain",
                    driver=NAME,
                    hint="it is gone once it stops; PauseResource keeps its memory",
                )
            self._enter(workload, ResourceState.SAVED)
        else:
            force = self._kill if mode is StopMode.GRACEFUL_THEN_FORCE else None
            await self._ask(workload, options.grace_period, self._shut_down, force, on_step)
        return workload.shown(ResourceView.SUMMARY)

    async def restart(
        self, id: str, options: RestartOptions = RestartOptions(), *, on_step: OnStep = ignore
    ) -> Resource:
        """Restart it. When somebody stops it meanwhile, it stays stopped, and that is said."""
        workload = self._workload(id)
        self._permit(Verb.RESTART, workload)
        mode = options.mode or RestartMode(_usual_mode(workload))
        if mode is RestartMode.FORCE:
            on_step(_KILLING, None)
            self._reboot(workload)
        else:
            force = self._reboot if mode is RestartMode.GRACEFUL_THEN_FORCE else None
            await self._ask(workload, options.grace_period, self._reboot, force, on_step)
            if workload.run is None:
                self._permit(Verb.RESTART, workload)
        return workload.shown(ResourceView.SUMMARY)

    async def pause(self, id: str) -> Resource:
        """Freeze it."""
        workload = self._workload(id)
        self._permit(Verb.PAUSE, workload)
        self._enter(workload, ResourceState.PAUSED, StateReason.USER)
        return workload.shown(ResourceView.SUMMARY)

    async def resume(self, id: str) -> Resource:
        """Let it go on."""
        workload = self._workload(id)
        self._permit(Verb.RESUME, workload)
        self._enter(workload, ResourceState.RUNNING)
        return workload.shown(ResourceView.SUMMARY)

    async def delete(self, id: str, options: DeleteOptions = DeleteOptions()) -> Resource:
        """Delete it, and the volumes that were made for it alone unless `keep_volumes`."""
        workload = self._workload(id)
        self._permit(Verb.DELETE, workload, force=options.force)
        name = workload.resource.name
        if workload.snapshots and not options.delete_snapshots:
            raise HasSnapshotsError(name, len(workload.snapshots))
        if workload.resource.state is ResourceState.SAVED and not options.delete_saved_state:
            raise HasSavedStateError(name)
        if options.keep_volumes:
            workload.disown_volumes()
        if workload.run is not None:
            self._kill(workload)
        self._forget(workload)
        return workload.shown()

    async def _ask(
        self,
        workload: Workload,
        grace: timedelta | None,
        follow: Callable[[Workload], None],
        force: Callable[[Workload], None] | None,
        on_step: OnStep,
    ) -> None:
        """Ask a workload to `follow`; when the grace period is over use `force`, or raise."""
        if workload.resource.state in FROZEN:  # it could not hear
            self._enter(workload, ResourceState.RUNNING)
        over = workload.over

        def heard() -> None:
            if not over.is_set() and workload.resource.state not in FROZEN:
                follow(workload)

        if not workload.behaviour.ignores_stop:
            asyncio.get_running_loop().call_later(workload.behaviour.stop_after, heard)
        if grace is None:
            grace = _usual_grace(workload)
        on_step(f"asked, waiting up to {grace.total_seconds():g} s", None)
        if await self._happens(over, grace):
            return
        if force is None:
            raise StopTimedOutError(workload.resource.name, grace)
        on_step(_KILLING, None)
        force(workload)

    def _shut_down(self, workload: Workload) -> None:
        self._enter(workload, ResourceState.STOPPED, StateReason.COMPLETED)

    def _reboot(self, workload: Workload) -> None:
        workload.over.set()
        machine = workload.run.machine if workload.run else None
        workload.run = None  # not by way of STOPPED: a TRANSIENT one outlives its restart
        self._start(workload)
        workload.run = on_machine(workload.run, machine)  # a reboot gives a domain no other


def _usual_mode(workload: Workload) -> str:
    container = workload.resource.kind is ResourceKind.CONTAINER
    return StopMode.GRACEFUL_THEN_FORCE if container else StopMode.GRACEFUL


def _usual_grace(workload: Workload) -> timedelta:
    container = workload.resource.container
    if container is None:
        return _DOMAIN_GRACE
    return _CONTAINER_GRACE if container.stop_timeout is None else container.stop_timeout

"""The reference driver: both kinds in this process, for developers without engines."""

import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from datetime import timedelta
from functools import partial
from typing import Self

from proad import ports
from proad.drivers.delegated_files import DelegatedFiles
from proad.drivers.memory.commands import MemoryCommands
from proad.drivers.memory.connection import NAME
from proad.drivers.memory.consoles import MemoryConsoles
from proad.drivers.memory.containers import MemoryContainers
from proad.drivers.memory.domains import MemoryDomains
from proad.drivers.memory.engine import ImitatedEngine, is_missing
from proad.drivers.memory.files import MemoryFiles
from proad.drivers.memory.guests import MemoryGuests
from proad.drivers.memory.images import MemoryImages
from proad.drivers.memory.lifecycle import MemoryLifecycle
from proad.drivers.memory.logs import MemoryLogs
from proad.drivers.memory.ports import MemoryPorts
from proad.drivers.memory.recovery import MemoryRecovery
from proad.drivers.memory.snapshots import MemorySnapshots
from proad.drivers.memory.stats import MemoryStats
from proad.drivers.memory.stop import MemoryStopper
from proad.drivers.memory.timing import MemoryTiming
from proad.drivers.memory.update import MemoryUpdater
from proad.drivers.memory.volumes import MemoryVolumes
from proad.model import (
    Capability,
    ContainerNetwork,
    ContainerSpec,
    ContainerVolume,
    CreatedContainer,
    DeletedImage,
    DeleteOptions,
    DomainDocument,
    DomainFacts,
    DomainSpec,
    DomainXml,
    EngineInfo,
    Footprint,
    Found,
    Image,
    ImageFilter,
    PullProgress,
    RegistryCredentials,
    Resource,
    ResourceKind,
    ResourceStats,
    ResourceUpdate,
    ResourceView,
    RestartOptions,
    RevertState,
    Snapshot,
    SnapshotSpec,
    StartOptions,
    StopMode,
    StopOptions,
    Updated,
    UpdatePlan,
    Volume,
    VolumeRef,
    VolumeSpec,
)
from proad.ports.records import EngineIdentity


class MemoryDriver(DelegatedFiles):
    """An engine imitated in this process: containers, images, domains, snapshots, volumes.

    Nothing outlives the driver. Of programs there are those of `commands`: a container whose command
    is one of them writes to its log and ends with it, all others run for ever. The labels say:

    - `proa.memory/ignores-stop: "true"`: it is deaf to graceful requests.
    - `proa.memory/stop-after: "0.2"`: seconds until it follows one; without it, at once.
    - `proa.memory/starts-as: "FAILED"`: the state of its first start; or RUNNING, STARTING, …

    Networks named "missing…" are not there; of images see MemoryImages. The one pool is "default".

    After `lose()` every call and subscription ends in EngineUnreachableError, until `come_back()`.

    Args:
        timing: the durations of the engine.
        clock: returns the time in seconds, of which the samples of `stats` are functions.

    Attributes:
        commands: what runs inside.
    """

    name: str = NAME
    endpoint: str = "memory:"
    kinds: tuple[ResourceKind, ...] = (ResourceKind.CONTAINER, ResourceKind.DOMAIN)
    stop_modes: frozenset[StopMode] = frozenset(StopMode)
    lacks: frozenset[Capability] = frozenset()
    full_view_age: timedelta | None = None
    is_on_this_host: bool = True
    default_log_driver: str = "json-file"
    state_folders: tuple[str, ...] = ()

    def __init__(
        self, *, timing: MemoryTiming = MemoryTiming(), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = ImitatedEngine(clock)
        self._snapshots = MemorySnapshots(self._engine)
        self._volumes = MemoryVolumes(self._engine)
        self._images = MemoryImages(self._engine, timing.pull_step)
        self._containers = MemoryContainers(self._engine, self._images)
        self._domains = MemoryDomains(self._engine, self._volumes)
        self._lifecycle = MemoryLifecycle(self._engine, self._snapshots)
        self._stopper = MemoryStopper(self._engine, timing)
        self._updater = MemoryUpdater(self._engine)
        self.commands = MemoryCommands(self._engine)
        self._stats = MemoryStats(self._engine)
        self._recovery = MemoryRecovery(self._engine)
        self.subscribe = self._engine.connection.subscribe
        self.start_command = self.commands.start
        self.files = MemoryFiles(self._engine)
        memory_ports = MemoryPorts(self._engine)
        self.connect_port = memory_ports.connect
        self.connect_socket = memory_ports.connect_socket
        self.read_log = MemoryLogs(self._engine, self.commands).read
        self.attach = MemoryConsoles(self._engine).attach
        self.ask_guest = MemoryGuests(self._engine).ask_guest

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do nothing: the imitated engine is the driver's own memory."""

    def put_volume(self, name: str, capacity_bytes: int, *, base: VolumeRef | None = None) -> None:
        """Make a volume past Proa, or make it anew: it has no record, and so no owner."""
        self._volumes.put(name, capacity_bytes, base)

    def lose(self) -> None:
        """Lose the engine: calls and subscriptions end in EngineUnreachableError."""
        self._engine.connection.lose()

    def come_back(self) -> None:
        """Reach the engine again. Calls and subscriptions that `lose` ended stay ended."""
        self._engine.connection.come_back()

    async def probe(self) -> EngineInfo:
        """Describe this host as the engine's own."""
        return self._engine.describe()

    async def identity(self) -> EngineIdentity:
        """Return an identity that no other imitated engine has."""
        self._engine.connection.check()
        return self._engine.identity

    async def list_resources(self, view: ResourceView = ResourceView.SUMMARY) -> list[Resource]:
        """Return all resources."""
        return await self._engine.show_all(view)

    async def get_resource(self, id: str, view: ResourceView = ResourceView.FULL) -> Resource:
        """Return one resource."""
        return self._engine.workload(id).shown(view)

    async def find_id(self, name: str) -> str:
        """Return the id of the resource of that name."""
        return self._engine.find_id(name)

    async def start(self, id: str, options: StartOptions = StartOptions()) -> Resource:
        """Start a workload, a domain also from a snapshot or its saved state."""
        return await self._lifecycle.start(id, options)

    async def stop(
        self, id: str, options: StopOptions = StopOptions(), *, on_step: ports.OnStep = ports.ignore
    ) -> Resource:
        """Stop a workload, in the way that its labels allow."""
        return await self._stopper.stop(id, options, on_step)

    async def restart(
        self,
        id: str,
        options: RestartOptions = RestartOptions(),
        *,
        on_step: ports.OnStep = ports.ignore,
    ) -> Resource:
        """Restart a workload."""
        return await self._stopper.restart(id, options, on_step)

    async def pause(self, id: str) -> Resource:
        """Freeze a workload."""
        return await self._lifecycle.pause(id)

    async def resume(self, id: str) -> Resource:
        """Resume a workload."""
        return await self._lifecycle.resume(id)

    async def delete(
        self,
        id: str,
        options: DeleteOptions = DeleteOptions(),
        *,
        begin: ports.Begin = ports.at_once,
    ) -> Resource:
        """Delete a workload."""
        return await self._lifecycle.delete(id, options, begin)

    async def plan_update(self, id: str, update: ResourceUpdate) -> UpdatePlan:
        """Return what `update` would do."""
        return await self._updater.plan(id, update)

    async def update(self, id: str, update: ResourceUpdate) -> Updated:
        """Change what `update` names."""
        return await self._updater.update(id, update)

    async def stats(self, ids: Collection[str]) -> Mapping[str, ResourceStats]:
        """Compute one sample of each active workload."""
        return await self._stats.stats(ids)

    async def create_container(
        self,
        spec: ContainerSpec,
        *,
        start: bool = False,
        announce: ports.AnnounceFootprint = ports.unannounced,
        judge: ports.JudgeImage = ports.any_image,
    ) -> CreatedContainer:
        """Create a container; with `start`, start it."""
        return await self._containers.create_container(
            spec, start=start, announce=announce, judge=judge
        )

    async def recreate_container(
        self,
        id: str,
        spec: ContainerSpec,
        *,
        announce: ports.AnnounceFootprint = ports.unannounced,
        judge: ports.JudgeImage = ports.any_image,
        on_step: ports.OnStep = ports.ignore,
    ) -> CreatedContainer:
        """Put a container with this specification in place of one."""
        return await self._containers.recreate_container(
            id,
            spec,
            announce=announce,
            judge=judge,
            stop=partial(self._stopper.stop, on_step=on_step),
        )

    async def container_volumes(
        self, names: Collection[str] | None = None
    ) -> list[ContainerVolume]:
        """Return the volumes of these names that were mounted once; None: all of them."""
        return self._containers.volumes(names)

    async def container_networks(self, names: Collection[str]) -> Mapping[str, ContainerNetwork]:
        """Return those networks that are there."""
        self._engine.connection.check()
        return {
            name: ContainerNetwork(name=name, driver="bridge", is_default=name == "bridge")
            for name in names
            if not is_missing(name)
        }

    async def layer_size(self, id: str) -> int:
        """Return 0: an imitated container writes nothing."""
        self._engine.workload(id)
        return 0

    async def env_secrets(self, id: str) -> Mapping[str, str]:
        """Return the secrets in a container's environment."""
        return self._engine.workload(id).secrets

    async def list_images(self, which: ImageFilter = ImageFilter()) -> list[Image]:
        """Return the images."""
        return await self._images.list_images(which)

    async def get_image(self, name: str) -> Image:
        """Return one image in full."""
        return await self._images.get_image(name)

    def pull_image(
        self, name: str, *, platform: str = "", credentials: RegistryCredentials | None = None
    ) -> AsyncGenerator[PullProgress | Image, None]:
        """Pull an image in a few steps."""
        return self._images.pull_image(name, platform=platform, credentials=credentials)

    async def delete_image(self, name: str, *, force: bool = False) -> DeletedImage:
        """Delete an image."""
        return await self._images.delete_image(name, force=force)

    async def check_credentials(self, credentials: RegistryCredentials) -> None:
        """Accept any credentials but the password "wrong"."""
        await self._images.check_credentials(credentials)

    async def domain_facts(self) -> DomainFacts:
        """Return the facts on which domain XML is judged."""
        return await self._domains.domain_facts()

    async def domain_documents(self, id: str, *, snapshot: str = "") -> tuple[DomainDocument, ...]:
        """Return what a start, or a revert to a snapshot, would run."""
        return await self._domains.domain_documents(id, snapshot=snapshot)

    async def create_domain(
        self,
        spec: DomainSpec,
        *,
        start: bool = False,
        announce: ports.AnnounceFootprint = ports.unannounced,
        judge: ports.JudgeXml = ports.unjudged,
    ) -> Resource:
        """Create a domain and its new volumes; with `start`, start it."""
        return await self._domains.create_domain(spec, start=start, announce=announce, judge=judge)

    async def create_domain_from_xml(
        self,
        source: DomainXml,
        *,
        start: bool = False,
        announce: ports.AnnounceFootprint = ports.unannounced,
        judge: ports.JudgeXml = ports.unjudged,
    ) -> Resource:
        """Create a domain from as much XML as `get_domain_xml` writes."""
        return await self._domains.create_domain_from_xml(
            source, start=start, announce=announce, judge=judge
        )

    async def find_running(self, runtime_id: int) -> str:
        """Return the UUID of the domain that runs under this number now."""
        return self._domains.find_running(runtime_id)

    async def get_domain_xml(self, id: str, *, inactive: bool = False) -> str:
        """Return a domain as XML."""
        return await self._domains.get_domain_xml(id, inactive=inactive)

    async def list_snapshots(self, id: str) -> list[Snapshot]:
        """Return the snapshots of a domain."""
        return await self._snapshots.list_snapshots(id)

    async def get_snapshot(self, id: str, name: str) -> Snapshot:
        """Return one snapshot."""
        return await self._snapshots.get_snapshot(id, name)

    async def create_snapshot(
        self,
        id: str,
        spec: SnapshotSpec = SnapshotSpec(),
        *,
        announce: ports.AnnounceFootprint = ports.unannounced,
    ) -> Snapshot:
        """Take a snapshot of a domain."""
        return await self._snapshots.create_snapshot(id, spec, announce=announce)

    async def revert_snapshot(
        self, id: str, name: str, state: RevertState | None = None
    ) -> Resource:
        """Take a domain back to a snapshot."""
        return await self._snapshots.revert_snapshot(id, name, state)

    async def delete_snapshot(self, id: str, name: str, *, children: bool = False) -> None:
        """Delete a snapshot, and with `children` those taken after it."""
        await self._snapshots.delete_snapshot(id, name, children=children)

    async def list_volumes(self, pool: str = "") -> list[Volume]:
        """Return the volumes."""
        return await self._volumes.list_volumes(pool)

    async def create_volume(
        self, spec: VolumeSpec, *, announce: ports.AnnounceFootprint = ports.unannounced
    ) -> Volume:
        """Create a volume."""
        return await self._volumes.create_volume(spec, announce=announce)

    async def delete_volume(
        self,
        pool: str,
        name: str,
        *,
        ignore_unreadable: Collection[str] = (),
        begin: ports.Begin = ports.at_once,
    ) -> None:
        """Delete a volume that nothing uses."""
        await self._volumes.delete_volume(
            pool, name, ignore_unreadable=ignore_unreadable, begin=begin
        )

    async def record_volume(
        self, pool: str, name: str, *, ours: Collection[str] | None = None
    ) -> Volume:
        """Return a volume that is to have an owner; record it if it has no record."""
        return await self._volumes.record_volume(pool, name, ours=ours)

    async def recorded_volumes(self) -> Collection[str]:
        """Return the ids of all records."""
        return await self._volumes.recorded_volumes()

    async def find_created(self, footprint: Footprint) -> Found | None:
        """Return what an interrupted create has made."""
        return await self._recovery.find(footprint)

    async def undo_created(self, footprint: Footprint, *, force: bool = False) -> tuple[str, ...]:
        """Remove what an interrupted create has left."""
        return await self._recovery.undo(footprint, force=force)

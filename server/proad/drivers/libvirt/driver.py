"""The libvirt driver: the ports of the core, delegated to the driver's components."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Never, Self

from proad.drivers.delegated_files import DelegatedFiles
from proad.drivers.libvirt.components import LibvirtComponents
from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.libvirt.host.virt import VirtChoice, lacking
from proad.drivers.libvirt.timing import LibvirtTiming
from proad.drivers.records import LocalVolumeRecords
from proad.errors import redacted
from proad.model import (
    CommandSpec,
    CommandStreams,
    ConsoleOptions,
    DeleteOptions,
    DomainDocument,
    DomainFacts,
    DomainSpec,
    DomainXml,
    EngineInfo,
    Footprint,
    Found,
    GuestInfo,
    LogLine,
    LogOptions,
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
    Verb,
    Volume,
    VolumeRef,
    VolumeSpec,
)
from proad.ports import (
    AnnounceFootprint,
    Begin,
    Console,
    JudgeXml,
    OnEvent,
    OnStep,
    PortConnection,
    RunningCommand,
    at_once,
    ignore,
    unannounced,
    unjudged,
)
from proad.ports.records import EngineIdentity, VolumeRecords

DEFAULT_POOL_PATH = "/var/lib/libvirt/images"
MEDIA_DIRS = ("/srv",)


class LibvirtDriver(DelegatedFiles):
    """Controls the domains of one libvirtd.

    Implements the ports Driver, Domains, Snapshots, Volumes, Recovery, Updates, Stats,
    Commands, Consoles, Files, Guests and PortForwarding.

    Args:
        uri: libvirt's connection URI.
        virt_type: whether new domains use KVM, emulation, or whichever the host offers.
        threads: number of threads for ordinary calls to libvirt; reads, statistics, agents and
            forced stops have more.
        default_pool: the storage pool that an empty name means.
        default_pool_path: folder of that pool, for its creation.
        media_dirs: folders of installation media that are named by their path, beside those of
            the storage pools.
        records: the records of the volumes that Proa created; None: in this process alone.
        timing: durations of all components.
    """

    name = ENGINE
    kinds = (ResourceKind.DOMAIN,)
    stop_modes = frozenset(StopMode)
    # Leases, sizes of disks, and snapshots of stopped domains change without events.
    full_view_age: timedelta | None = timedelta(seconds=2)

    def __init__(
        self,
        uri: str = "qemu:///system",
        *,
        virt_type: VirtChoice = "auto",
        threads: int = 8,
        default_pool: str = "default",
        default_pool_path: str | None = None,
        media_dirs: Sequence[str] = MEDIA_DIRS,
        records: VolumeRecords | None = None,
        timing: LibvirtTiming = LibvirtTiming(),
    ) -> None:
        self.endpoint = redacted(uri)
        self.lacks = lacking(uri)
        self._parts = LibvirtComponents(
            uri,
            virt_type=virt_type,
            threads=threads,
            default_pool=default_pool,
            default_pool_path=default_pool_path or DEFAULT_POOL_PATH,
            media_dirs=tuple(media_dirs),
            records=records or LocalVolumeRecords(),
            timing=timing,
        )
        self.files = self._parts.files

    async def __aenter__(self) -> Self:
        """Start the driver's threads; make no call to libvirt."""
        self._parts.catalog.start()
        await self._parts.connection.start()
        self._parts.logs.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections; domains run on."""
        self._parts.subscriptions.end("the driver is closed")
        await self._parts.files.close()
        await self._parts.commands.close()
        await self._parts.logs.close()
        await self._parts.consoles.close()
        await self._parts.connection.close()

    # Driver

    async def probe(self) -> EngineInfo:
        """Return libvirt's version and host; connect if necessary."""
        return await self._parts.connection.call(self._parts.host.info, bulkhead=Bulkhead.READ)

    async def identity(self) -> EngineIdentity:
        """Return the UUID of the host, and which of its libvirtds it is."""
        return await self._parts.connection.call(self._parts.host.identity, bulkhead=Bulkhead.READ)

    async def list_resources(self, view: ResourceView = ResourceView.SUMMARY) -> list[Resource]:
        """Return all domains; a SUMMARY costs the same few calls for any number."""
        return await self._parts.reads.all(view)

    async def get_resource(self, id: str, view: ResourceView = ResourceView.FULL) -> Resource:
        """Return one domain."""
        return await self._parts.reads.one(id, view)

    async def find_id(self, name: str) -> str:
        """Return the UUID of the domain of that name."""
        return await self._parts.reads.find_id(name)

    @asynccontextmanager
    async def subscribe(self, on_event: OnEvent) -> AsyncIterator[asyncio.Future[Never]]:
        """Call `on_event` for each event of a domain; reconcile the records of volumes meanwhile."""
        async with self._parts.subscriptions.subscribed(on_event) as lost:
            reconciling = asyncio.create_task(self._parts.reconciler.run())
            try:
                yield lost
            finally:
                reconciling.cancel()

    async def start(self, id: str, options: StartOptions = StartOptions()) -> Resource:
        """Start a domain, or resume it."""
        return await self._parts.lifecycle.start(id, options)

    async def stop(
        self, id: str, options: StopOptions = StopOptions(), *, on_step: OnStep = ignore
    ) -> Resource:
        """Stop a domain; None means GRACEFUL within 60 s."""
        return await self._parts.stopper.stop(id, options, on_step)

    async def restart(
        self, id: str, options: RestartOptions = RestartOptions(), *, on_step: OnStep = ignore
    ) -> Resource:
        """Restart a domain; None means GRACEFUL within 60 s."""
        return await self._parts.stopper.restart(id, options, on_step)

    async def pause(self, id: str) -> Resource:
        """Pause a domain."""
        return await self._parts.lifecycle.transition(id, Verb.PAUSE)

    async def resume(self, id: str) -> Resource:
        """Resume a domain; wake it if it suspended itself."""
        return await self._parts.lifecycle.transition(id, Verb.RESUME)

    async def delete(
        self, id: str, options: DeleteOptions = DeleteOptions(), *, begin: Begin = at_once
    ) -> Resource:
        """Delete a domain, and the volumes that were created for it unless `keep_volumes`."""
        return await self._parts.deleter.delete(id, options, begin)

    # Domains

    async def domain_facts(self) -> DomainFacts:
        """Return the facts on which domain XML is judged."""
        return await self._parts.reads.facts()

    async def domain_documents(self, id: str, *, snapshot: str = "") -> tuple[DomainDocument, ...]:
        """Return all XML that a start, or a revert to a snapshot, would run."""
        return await self._parts.reads.documents(id, snapshot)

    async def create_domain(
        self,
        spec: DomainSpec,
        *,
        start: bool = False,
        announce: AnnounceFootprint = unannounced,
        judge: JudgeXml = unjudged,
    ) -> Resource:
        """Create a domain and its new volumes; start it if requested."""
        return await self._parts.creator.from_spec(
            spec, start=start, announce=announce, judge=judge
        )

    async def create_domain_from_xml(
        self,
        source: DomainXml,
        *,
        start: bool = False,
        announce: AnnounceFootprint = unannounced,
        judge: JudgeXml = unjudged,
    ) -> Resource:
        """Create a domain from XML; never change an existing one."""
        return await self._parts.creator.from_xml(
            source, start=start, announce=announce, judge=judge
        )

    async def find_running(self, runtime_id: int) -> str:
        """Return the UUID of the domain that runs under this number now."""
        return await self._parts.reads.find_running(runtime_id)

    async def get_domain_xml(self, id: str, *, inactive: bool = False) -> str:
        """Return a domain as XML, without passwords."""
        return await self._parts.reads.xml(id, inactive=inactive)

    # Snapshots

    async def list_snapshots(self, id: str) -> list[Snapshot]:
        """Return the snapshots of a domain, in any order."""
        return await self._parts.snapshots.list(id)

    async def get_snapshot(self, id: str, name: str) -> Snapshot:
        """Return one snapshot."""
        return await self._parts.snapshots.get(id, name)

    async def create_snapshot(
        self,
        id: str,
        spec: SnapshotSpec = SnapshotSpec(),
        *,
        announce: AnnounceFootprint = unannounced,
    ) -> Snapshot:
        """Take a snapshot, with memory if the domain is active."""
        return await self._parts.snapshots.create(id, spec, announce)

    async def revert_snapshot(
        self, id: str, name: str, state: RevertState | None = None
    ) -> Resource:
        """Revert a domain to a snapshot; None: to the state that it had then."""
        return await self._parts.snapshots.revert(id, name, state)

    async def delete_snapshot(self, id: str, name: str, *, children: bool = False) -> None:
        """Delete a snapshot, and with `children` those taken after it."""
        await self._parts.snapshots.delete(id, name, children=children)

    # Volumes

    async def list_volumes(self, pool: str = "") -> list[Volume]:
        """Return the volumes of a pool, or of all active pools."""
        return await self._parts.volumes.list(pool)

    async def create_volume(
        self, spec: VolumeSpec, *, announce: AnnounceFootprint = unannounced
    ) -> Volume:
        """Create a volume."""
        return await self._parts.volumes.create(spec, announce)

    async def delete_volume(
        self,
        pool: str,
        name: str,
        *,
        ignore_unreadable: Collection[str] = (),
        begin: Begin = at_once,
    ) -> None:
        """Delete a volume that is not in use."""
        await self._parts.volumes.delete(VolumeRef(pool=pool, name=name), ignore_unreadable, begin)

    async def record_volume(
        self, pool: str, name: str, *, ours: Collection[str] | None = None
    ) -> Volume:
        """Return a volume that is to have an owner; record it if Proa did not make it."""
        return await self._parts.volumes.record(VolumeRef(pool=pool, name=name), ours)

    async def recorded_volumes(self) -> Collection[str]:
        """Return the ids of the records of all volumes."""
        return await self._parts.volumes.recorded()

    # Recovery

    async def find_created(self, footprint: Footprint) -> Found | None:
        """Return what an interrupted create has made."""
        return await self._parts.recovery.find(footprint)

    async def undo_created(self, footprint: Footprint, *, force: bool = False) -> tuple[str, ...]:
        """Remove what an interrupted create has left."""
        return await self._parts.recovery.undo(footprint, force=force)

    # Updates

    async def plan_update(self, id: str, update: ResourceUpdate) -> UpdatePlan:
        """Return what an update would do."""
        return await self._parts.updater.plan(id, update)

    async def update(self, id: str, update: ResourceUpdate) -> Updated:
        """Change a domain: name, labels, title, description, memory, vCPUs, autostart."""
        return await self._parts.updater.update(id, update)

    # Stats

    async def stats(self, ids: Collection[str]) -> Mapping[str, ResourceStats]:
        """Return a sample of each of these domains that runs."""
        return await self._parts.stats.stats(ids)

    # Commands

    def read_log(
        self, id: str, options: LogOptions
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[LogLine]]]:
        """Read the log of a domain's serial port."""
        return self._parts.logs.read(id, options)

    def start_command(
        self, id: str, spec: CommandSpec, streams: CommandStreams
    ) -> AbstractAsyncContextManager[RunningCommand]:
        """Start a command by the guest agent of a domain."""
        return self._parts.commands.start(id, spec, streams)

    # Guests

    async def ask_guest(self, id: str) -> GuestInfo:
        """Return what the guest agent of a running domain says of its guest."""
        return await self._parts.guests.ask(id)

    # PortForwarding

    def connect_port(self, id: str, port: int) -> AbstractAsyncContextManager[PortConnection]:
        """Connect to a port of a domain."""
        return self._parts.ports.connect(id, port)

    # Consoles

    def attach(
        self, id: str, options: ConsoleOptions = ConsoleOptions()
    ) -> AbstractAsyncContextManager[Console]:
        """Attach to the serial console of a domain."""
        return self._parts.consoles.attach(id, options)

"""The components of the libvirt driver, and what connects them."""

from proad.drivers.libvirt.agent.agent import GuestAgents
from proad.drivers.libvirt.agent.commands import DomainCommands
from proad.drivers.libvirt.agent.files import DomainFiles
from proad.drivers.libvirt.agent.guests import DomainGuests
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.console.consoles import DomainConsoles
from proad.drivers.libvirt.create import DomainCreator
from proad.drivers.libvirt.delete import DomainDeleter
from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.libvirt.events import DomainEvent, DomainEvents, EventKind
from proad.drivers.libvirt.host.host import LibvirtHost
from proad.drivers.libvirt.host.virt import VirtChoice
from proad.drivers.libvirt.lifecycle import DomainLifecycle
from proad.drivers.libvirt.logs import DomainLogs
from proad.drivers.libvirt.port_forwarding import DomainPorts
from proad.drivers.libvirt.read_calls import ReadCalls
from proad.drivers.libvirt.reader import DomainReader
from proad.drivers.libvirt.recovery import DomainRecovery
from proad.drivers.libvirt.snapshot_calls import SnapshotCalls
from proad.drivers.libvirt.stats import StatsCollector
from proad.drivers.libvirt.stop import DomainStopper
from proad.drivers.libvirt.storage.catalog import VolumeCatalog
from proad.drivers.libvirt.storage.disk_images import DiskImages
from proad.drivers.libvirt.storage.finder import Finder
from proad.drivers.libvirt.storage.media import Media
from proad.drivers.libvirt.storage.reconcile import Reconciler
from proad.drivers.libvirt.storage.storage import Storage
from proad.drivers.libvirt.storage.volumes import VolumeCalls
from proad.drivers.libvirt.subscription import Subscriptions
from proad.drivers.libvirt.timing import LibvirtTiming
from proad.drivers.libvirt.update_calls import UpdateCalls
from proad.drivers.tolerant import Omissions
from proad.drivers.under_way import CreatesUnderWay
from proad.ports.records import VolumeRecords


class LibvirtComponents:
    """The components of a driver; nothing runs before the driver starts them.

    Args are those of `driver.LibvirtDriver`, without defaults.
    """

    def __init__(
        self,
        uri: str,
        *,
        virt_type: VirtChoice,
        threads: int,
        default_pool: str,
        default_pool_path: str,
        media_dirs: tuple[str, ...],
        records: VolumeRecords,
        timing: LibvirtTiming,
    ) -> None:
        omissions = Omissions(ENGINE)
        self.host = LibvirtHost(virt_type, uri, omissions)
        self.catalog = VolumeCatalog(records, self.host, timing.catalog)
        self.events = DomainEvents()
        self.connection = Connection(
            uri,
            threads=threads,
            on_event=self._on_event,
            on_loss=self._on_loss,
            timing=timing.connection,
        )
        self._reader = DomainReader(self.catalog, self.host.facts, omissions)
        self.reconciler = Reconciler(self.connection, self.catalog, timing.catalog)
        self.subscriptions = Subscriptions(self.connection, self._reader, timing.poll_interval)
        self.stats = StatsCollector(self.connection, omissions, timing.stats)
        storage = Storage(Finder(default_pool, default_pool_path), self.catalog)
        media = Media((*media_dirs, default_pool_path))
        images = DiskImages(self.catalog, storage.chains)
        under_way = CreatesUnderWay(ENGINE)
        self.reads = ReadCalls(
            self.connection,
            self._reader,
            self.host,
            images,
            omissions,
            media_dirs=media_dirs,
            finder=storage.find,
            timing=timing.stats,
        )
        self.volumes = VolumeCalls(self.connection, storage, under_way)
        self.snapshots = SnapshotCalls(self.connection, self._reader, omissions, under_way)
        self.updater = UpdateCalls(self.connection, self._reader, timing.resize)
        self.creator = DomainCreator(
            self.connection,
            self._reader,
            self.host,
            storage,
            media,
            images,
            under_way,
        )
        self.lifecycle = DomainLifecycle(self.connection, self._reader)
        self.stopper = DomainStopper(
            self.connection,
            self.events,
            self._reader,
            storage,
            self.catalog,
            timing.shutdown,
        )
        self.deleter = DomainDeleter(self.connection, self._reader, storage, self.catalog)
        self.recovery = DomainRecovery(
            self.connection,
            self._reader,
            storage,
            self.catalog,
            self.deleter,
            omissions,
            under_way,
        )
        agents = GuestAgents(self.connection, self._reader, omissions, timing.agent)
        self.commands = DomainCommands(agents)
        self.files = DomainFiles(agents, self.commands.start)
        self.guests = DomainGuests(agents)
        self.ports = DomainPorts(self.connection, self._reader, agents, omissions)
        self.logs = DomainLogs(self.connection, self.events, timing.log)
        self.consoles = DomainConsoles(self.connection, self._reader, timing.console)

    def _on_event(self, event: DomainEvent) -> None:
        if event.state_only:
            self._reader.forget_state(event.id)
        else:
            self._reader.forget(event.id)
        translated = event.translated()
        if event.kind is EventKind.AGENT or translated.ended:
            self.commands.tools.forget(event.id)
        if translated.ended:
            self.stats.forget(event.id)
        if translated.ended or translated.removed:
            self.logs.forget(event.id)
        self.events.publish(event)
        self.subscriptions.publish(translated)

    def _on_loss(self) -> None:
        self.subscriptions.end("the connection was lost")
        self.consoles.lose()
        self._reader.forget_all()
        self.commands.tools.forget_all()
        self.host.forget()

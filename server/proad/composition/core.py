"""The core over the drivers: what the servicers ask."""

from collections.abc import Sequence
from dataclasses import dataclass

from proad.config import Settings
from proad.config.protected_paths import protected_paths
from proad.core.engine_connection import EngineConnection
from proad.core.gate import PolicyGate
from proad.core.hosts import Hosts
from proad.core.image_ledger import ImageLedger
from proad.core.inventory import ChangeHistory, Inventory, RecordCache, Store
from proad.core.local_records import (
    LocalImageRecords,
    LocalResourceRecords,
    LocalVolumeOwners,
)
from proad.core.provisioning import Provisioning
from proad.core.quotas import Quotas
from proad.core.removals import Removals
from proad.core.resolver import Resolver
from proad.core.shielded_tasks import ShieldedTasks
from proad.core.slices import TimeSlicer
from proad.core.surroundings import SurroundingsReader
from proad.core.verb_runner import VerbRunner
from proad.core.volume_owner_cache import VolumeOwnerCache
from proad.core.volume_owner_reconciler import VolumeOwnerReconciler
from proad.core.volume_tenancy import VolumeTenancy
from proad.ports.records import ImageRecords, ResourceRecords, VolumeOwners
from proad.store.database import Database
from proad.store.owners import OwnerStore
from proad.timing import DaemonTiming


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The components of the core that several others use."""

    hosts: Hosts
    inventory: Inventory
    resolver: Resolver
    verbs: VerbRunner
    provisioning: Provisioning
    removals: Removals
    gate: PolicyGate
    quotas: Quotas
    ledger: ImageLedger
    owners: OwnerStore
    tenancy: VolumeTenancy
    volume_owners: VolumeOwnerReconciler
    slicer: TimeSlicer
    tasks: ShieldedTasks


async def compose_core(
    settings: Settings,
    database: Database,
    connections: Sequence[EngineConnection],
    timing: DaemonTiming,
    history_size: int,
    *,
    records: ResourceRecords | None,
    image_records: ImageRecords | None,
    volume_owners: VolumeOwners | None,
) -> Core:
    """Compose the core, and load what it knows of images; see `app.serving`."""
    hosts = Hosts(list(dict.fromkeys(each.ref.host for each in connections)), connections)
    slicer = TimeSlicer()
    owners = OwnerStore(database)
    record_cache = RecordCache(records or LocalResourceRecords(), owners, timing.inventory.records)
    store = Store(ChangeHistory(history_size), records=record_cache)
    inventory = Inventory(connections, store, slicer=slicer, timing=timing.inventory)
    resolver = Resolver(hosts, inventory, timing.resolver)
    tasks = ShieldedTasks()
    owner_cache = VolumeOwnerCache(volume_owners or LocalVolumeOwners())
    tenancy = VolumeTenancy(owner_cache, owners)
    surroundings = SurroundingsReader(inventory, connections, protected_paths(settings), tenancy)
    gate = PolicyGate(settings.policy, inventory, surroundings)
    verbs = VerbRunner(resolver, inventory, tasks, gate, timing.verbs)
    quotas = Quotas(inventory, tenancy, gate, timing.quotas)
    ledger = ImageLedger(image_records or LocalImageRecords())
    await ledger.load()
    return Core(
        hosts=hosts,
        inventory=inventory,
        resolver=resolver,
        verbs=verbs,
        provisioning=Provisioning(hosts, resolver, tasks, inventory, gate, tenancy, quotas, ledger),
        removals=Removals(hosts, timing.removals),
        gate=gate,
        quotas=quotas,
        ledger=ledger,
        owners=owners,
        tenancy=tenancy,
        volume_owners=VolumeOwnerReconciler(owner_cache, timing.volumes),
        slicer=slicer,
        tasks=tasks,
    )

"""The core over one driver, as in a daemon, and the changes that its history records."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proad.core.container_pruner import ContainerPruner
from proad.core.engine_connection import EngineConnection
from proad.core.gate import PolicyGate
from proad.core.hosts import Hosts
from proad.core.image_ledger import ImageLedger
from proad.core.inventory import ChangeHistory, Inventory, RecordCache, Store
from proad.core.inventory.history import Change
from proad.core.lifecycle import Lifecycle
from proad.core.local_records import LocalImageRecords, LocalVolumeOwners, NoOwners
from proad.core.provisioning import Provisioning
from proad.core.quotas import Quotas
from proad.core.recreation import Recreator
from proad.core.resolver import Resolver
from proad.core.shielded_tasks import ShieldedTasks
from proad.core.slices import TimeSlicer
from proad.core.snapshot_operations import SnapshotOperations
from proad.core.verb_runner import VerbRunner
from proad.core.view_supplements import ViewSupplements
from proad.core.volume_operations import VolumeOperations
from proad.core.volume_owner_cache import VolumeOwnerCache
from proad.core.volume_tenancy import VolumeTenancy
from proad.model import Resource
from proad.policy import Policy
from proad.ports import Driver
from relaxed_policy import RELAXED_POLICY


class CoreHarness:
    """Runs callers' verbs on a driver and keeps an inventory of the driver's engine."""

    def __init__(
        self,
        connection: EngineConnection,
        records: RecordCache | None = None,
        policy: Policy = RELAXED_POLICY,
    ) -> None:
        hosts, tasks = Hosts(["local"], [connection]), ShieldedTasks()
        self.inventory = Inventory([connection], Store(ChangeHistory(), records=records))
        self.connection = connection
        resolver = Resolver(hosts, self.inventory)
        gate = PolicyGate(policy, self.inventory)
        verbs = VerbRunner(resolver, self.inventory, tasks, gate)
        ledger = ImageLedger(LocalImageRecords())
        tenancy = VolumeTenancy(VolumeOwnerCache(LocalVolumeOwners()), NoOwners())
        quotas = Quotas(self.inventory, tenancy, gate)
        self.lifecycle = Lifecycle(
            resolver, verbs, self.inventory, gate, quotas, ViewSupplements(TimeSlicer())
        )
        self.recreator = Recreator(resolver, verbs, self.inventory, gate, tenancy, quotas, ledger)
        self.snapshots = SnapshotOperations(resolver, verbs, self.inventory, gate, quotas)
        self.provisioning = Provisioning(
            hosts, resolver, tasks, self.inventory, gate, tenancy, quotas, ledger
        )
        self.volumes = VolumeOperations(hosts, tasks, self.inventory, gate, tenancy, quotas)
        self.pruner = ContainerPruner(hosts, verbs, tasks, self.inventory, TimeSlicer())

    @classmethod
    @asynccontextmanager
    async def of(
        cls,
        driver: Driver,
        records: RecordCache | None = None,
        policy: Policy = RELAXED_POLICY,
    ) -> AsyncIterator["CoreHarness"]:
        """Run a harness on a driver until the block ends; `records` outlive it."""
        connection = EngineConnection("local", driver)
        await connection.probe()
        harness = cls(connection, records, policy)
        supervision = asyncio.create_task(connection.supervise())
        try:
            async with harness.inventory.following():
                yield harness
        finally:
            supervision.cancel()
            await asyncio.gather(supervision, return_exceptions=True)

    def changes_of(self, id: str) -> list[tuple[str, str, str]]:
        """Return (change, cause, actor) for each new state, new name and removal of a resource."""
        return [
            (what, entry.cause.value, entry.actor)
            for entry in self.inventory.history.after(0, self.inventory.history.revision)
            if isinstance(entry, Change) and (what := _of(entry, id))
        ]

    def changes_by_others(self, id: str) -> list[tuple[str, str, str]]:
        """Return the changes that are not attributed to ann."""
        return [each for each in self.changes_of(id) if each[1:] != ("API", "ann")]

    async def wait_for(self, id: str, what: str) -> None:
        """Wait until the history has a change of a resource."""
        history = self.inventory.history
        while what not in [became for became, *_ in self.changes_of(id)]:
            await history.beyond(history.revision)

    async def wait_for_step(self, id: str, words: str) -> None:
        """Wait until the current verb of a resource reports a step with these words."""
        history = self.inventory.history
        while not any(r.activity and words in r.activity.step for r in self._published(id)):
            await history.beyond(history.revision)

    def _published(self, id: str) -> list[Resource]:
        return [entry.published for entry in self.inventory.with_id(id)]


def _of(change: Change, id: str) -> str:
    before, after = change.before, change.after
    if id not in {before and before.id, after and after.id}:
        return ""
    if after is None:
        return "gone"
    if before is None or before.state is not after.state:
        return after.state.value
    return after.name if before.name != after.name else ""

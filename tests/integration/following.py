"""The core on one driver, as a daemon has it, and what it tells of each change."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proad.core.engine_connection import EngineConnection
from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.inventory.journal import Change
from proad.core.lifecycle import Lifecycle
from proad.core.operations import Operations
from proad.core.ports import Driver
from proad.core.resolve import Resolver
from proad.core.snapshots import Snapshots
from proad.core.verbs import Verbs
from proad.core.workloads import Workloads
from proad.model import Resource


class Following:
    """Does what callers ask for, and follows the driver's engine."""

    def __init__(self, connection: EngineConnection) -> None:
        hosts, operations = Hosts(["local"], [connection]), Operations()
        self.inventory = Inventory([connection])
        resolver = Resolver(hosts, self.inventory)
        verbs = Verbs(operations, self.inventory)
        self.lifecycle = Lifecycle(resolver, verbs, self.inventory)
        self.snapshots = Snapshots(resolver, verbs, self.inventory)
        self.workloads = Workloads(hosts, resolver, operations, self.inventory)

    @classmethod
    @asynccontextmanager
    async def of(cls, driver: Driver) -> AsyncIterator["Following"]:
        """Follow a driver for as long as the block lasts."""
        connection = EngineConnection("local", driver)
        await connection.probe()
        following = cls(connection)
        async with following.inventory.following():
            yield following

    def told(self, id: str) -> list[tuple[str, str, str]]:
        """Give what became of a resource, with cause and actor: its states, its names, its end."""
        return [
            (what, entry.cause.value, entry.actor)
            for entry in self.inventory.journal.after(0, self.inventory.journal.revision)
            if isinstance(entry, Change) and (what := _of(entry, id))
        ]

    def others(self, id: str) -> list[tuple[str, str, str]]:
        """Give of that what was not told as ann's doing."""
        return [each for each in self.told(id) if each[1:] != ("API", "ann")]

    async def until(self, id: str, what: str) -> None:
        """Wait until it is told that this became of a resource."""
        journal = self.inventory.journal
        while what not in [became for became, *_ in self.told(id)]:
            await journal.beyond(journal.revision)

    async def until_step(self, id: str, words: str) -> None:
        """Wait until the verb that is under way tells a step with these words."""
        journal = self.inventory.journal
        while not any(r.activity and words in r.activity.step for r in self._shown(id)):
            await journal.beyond(journal.revision)

    def _shown(self, id: str) -> list[Resource]:
        return [entry.published for entry in self.inventory.store.with_id(id)]


def _of(change: Change, id: str) -> str:
    before, after = change.before, change.after
    if id not in {before and before.id, after and after.id}:
        return ""
    if after is None:
        return "gone"
    if before is None or before.state is not after.state:
        return after.state.value
    return after.name if before.name != after.name else ""

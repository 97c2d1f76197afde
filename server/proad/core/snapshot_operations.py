"""Snapshots of resources."""

from collections.abc import Iterable
from dataclasses import dataclass

from proad.core import ports
from proad.core.hosts import require
from proad.core.inventory import Inventory
from proad.core.resolver import ResolvedResource, Resolver
from proad.core.verbs import Verbs
from proad.model import (
    Resource,
    RevertState,
    Snapshot,
    SnapshotSpec,
    Verb,
)


@dataclass(frozen=True, slots=True)
class PositionedSnapshot:
    """A snapshot, and where it stands among the others of its resource.

    `position` is of plain strings, so that a page token can carry it.
    """

    snapshot: Snapshot
    position: tuple[str, str, str]


def sort_by_age(snapshots: Iterable[Snapshot]) -> list[PositionedSnapshot]:
    """Sort by age. libvirt counts in seconds: of two in one second the parent is the older."""
    by_name = {snapshot.name: snapshot for snapshot in snapshots}

    def position(snapshot: Snapshot) -> tuple[str, str, str]:
        # Of one second only: one of another that is deleted between two pages shifts nothing.
        time, ancestors = snapshot.create_time, 0
        above = by_name.get(snapshot.parent)
        while above is not None and above.create_time == time and ancestors < len(by_name):
            ancestors += 1
            above = by_name.get(above.parent)
        return time.isoformat() if time else "", f"{ancestors:09}", snapshot.name

    positioned = [PositionedSnapshot(snapshot, position(snapshot)) for snapshot in by_name.values()]
    return sorted(positioned, key=lambda each: each.position)


class SnapshotOperations:
    """What SnapshotService does; the errors are those of the port and of finding."""

    def __init__(self, resolver: Resolver, verbs: Verbs, inventory: Inventory) -> None:
        self._resolver = resolver
        self._verbs = verbs
        self._inventory = inventory

    async def list(self, ref: str) -> list[PositionedSnapshot]:
        """Give the snapshots of a resource, oldest first."""
        found, driver = await self._find(ref)
        return sort_by_age(
            await found.connection.read(lambda: driver.list_snapshots(found.resource.id))
        )

    async def get(self, ref: str, name: str) -> Snapshot:
        """Give one snapshot."""
        found, driver = await self._find(ref)
        return await found.connection.read(lambda: driver.get_snapshot(found.resource.id, name))

    async def create(self, ref: str, spec: SnapshotSpec) -> Snapshot:
        """Take a snapshot."""
        found, driver = await self._find(ref)
        return await self._verbs.do(
            Verb.CREATE_SNAPSHOT, found, lambda id, _: driver.create_snapshot(id, spec)
        )

    async def revert(self, ref: str, name: str, state: RevertState | None) -> Resource:
        """Take a resource back to a snapshot."""
        found, driver = await self._find(ref)
        resource = await self._verbs.do(
            Verb.REVERT_SNAPSHOT, found, lambda id, _: driver.revert_snapshot(id, name, state)
        )
        return self._inventory.complete(found.connection, resource)

    async def delete(self, ref: str, name: str, *, children: bool) -> None:
        """Delete a snapshot; the resource itself stays as it is."""
        found, driver = await self._find(ref)
        await self._verbs.do(
            Verb.UPDATE, found, lambda id, _: driver.delete_snapshot(id, name, children=children)
        )

    async def _find(self, ref: str) -> tuple[ResolvedResource, ports.Snapshots]:
        found = await self._resolver.find(ref)
        return found, require(found.connection.driver, ports.Snapshots)

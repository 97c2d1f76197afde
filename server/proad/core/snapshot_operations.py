"""Snapshots of resources."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

from proad import ports
from proad.core.charges import AfterRevert
from proad.core.gate import PolicyGate
from proad.core.hosts import require
from proad.core.inventory import Entry, Inventory
from proad.core.quotas import Quotas
from proad.core.requests import announce, is_only_checked
from proad.core.resolver import ResolvedResource, Resolver
from proad.core.verb_runner import VerbRunner, verb_method
from proad.model import (
    Footprint,
    Resource,
    RevertState,
    Snapshot,
    SnapshotSpec,
    Verb,
)


@dataclass(frozen=True, slots=True)
class PositionedSnapshot:
    """A snapshot, and its position among the snapshots of its resource.

    The position is a tuple of strings, so that a page token can carry it.
    """

    snapshot: Snapshot
    position: tuple[str, str, str]


def sort_by_age(snapshots: Iterable[Snapshot]) -> list[PositionedSnapshot]:
    """Sort by age. libvirt counts seconds: of two snapshots in one second, the parent is older."""
    by_name = {snapshot.name: snapshot for snapshot in snapshots}

    def position(snapshot: Snapshot) -> tuple[str, str, str]:
        # Count only ancestors of the same second: otherwise the deletion of an older snapshot
        # between two pages would shift the positions of all that descend from it.
        time, ancestors = snapshot.create_time, 0
        above = by_name.get(snapshot.parent)
        while above is not None and above.create_time == time and ancestors < len(by_name):
            ancestors += 1
            above = by_name.get(above.parent)
        return time.isoformat() if time else "", f"{ancestors:09}", snapshot.name

    positioned = [PositionedSnapshot(snapshot, position(snapshot)) for snapshot in by_name.values()]
    return sorted(positioned, key=lambda each: each.position)


async def find_snapshot(resolved: ResolvedResource, name: str, _entry: Entry) -> None:
    """Check that a snapshot is there, for a verb that is only checked; others find it themselves.

    Raises:
        CapabilityMissingError: the resource can have no snapshots.
        SnapshotNotFoundError: it has none of this name.
    """
    if name and is_only_checked():
        driver = require(resolved.driver, ports.Snapshots)
        await resolved.connection.read(lambda: driver.get_snapshot(resolved.resource.id, name))


class SnapshotOperations:
    """Lists, takes, reverts to and deletes the snapshots of a resource.

    Errors are those of `Resolver.find`, of `VerbRunner.run` and of the port.
    """

    def __init__(
        self,
        resolver: Resolver,
        verbs: VerbRunner,
        inventory: Inventory,
        gate: PolicyGate,
        quotas: Quotas,
    ) -> None:
        self._gate = gate
        self._quotas = quotas
        self._resolver = resolver
        self._verbs = verbs
        self._inventory = inventory

    async def list(self, ref: str) -> list[PositionedSnapshot]:
        """Return the snapshots of a resource, oldest first."""
        resolved, driver = await self._find(ref)
        return sort_by_age(
            await resolved.connection.read(lambda: driver.list_snapshots(resolved.resource.id))
        )

    async def get(self, ref: str, name: str) -> Snapshot:
        """Return one snapshot."""
        resolved, driver = await self._find(ref)
        return await resolved.connection.read(
            lambda: driver.get_snapshot(resolved.resource.id, name)
        )

    @verb_method
    async def create(self, ref: str, spec: SnapshotSpec) -> Snapshot:
        """Take a snapshot."""
        resolved, driver = await self._find(ref)

        async def count() -> int:
            there = partial(driver.list_snapshots, resolved.resource.id)
            return len(await resolved.connection.read(there))

        async def admit(entry: Entry) -> None:
            await self._gate.admit_snapshot(entry, count)

        async with self._verbs.run(
            resolved, Verb.CREATE_SNAPSHOT, announces=False, prepare=admit
        ) as run:

            async def begin(footprint: Footprint) -> None:
                name = footprint.snapshot
                await announce(replace(run.intent, name=name, footprint=footprint))

            return await driver.create_snapshot(run.id, spec, announce=begin)

    @verb_method
    async def revert(self, ref: str, name: str, state: RevertState | None) -> Resource:
        """Take a resource back to a snapshot."""
        resolved, driver = await self._find(ref)
        after = AfterRevert(resolved, name)

        def reserve(entry: Entry) -> AbstractContextManager[None]:
            runs = state is not None or after.runs
            return self._quotas.changing(entry, runs=runs, after=after.charge)

        async with (
            self._verbs.run(
                resolved, Verb.REVERT_SNAPSHOT, name=name, reserve=reserve, prepare=after.read
            ) as run,
            self._inventory.recorder.changing(run.connection, run.entry, after.changes),
        ):
            reverted = await driver.revert_snapshot(run.id, name, state)
        return self._inventory.complete(run.connection, reverted)

    @verb_method
    async def delete(self, ref: str, name: str, *, children: bool) -> None:
        """Delete a snapshot; the resource itself stays as it is."""
        resolved, driver = await self._find(ref)
        finding = partial(find_snapshot, resolved, name)
        async with self._verbs.run(
            resolved, Verb.DELETE_SNAPSHOT, name=name, prepare=finding
        ) as run:
            await driver.delete_snapshot(run.id, name, children=children)

    async def _find(self, ref: str) -> tuple[ResolvedResource, ports.Snapshots]:
        resolved = await self._resolver.find(ref)
        return resolved, require(resolved.driver, ports.Snapshots)

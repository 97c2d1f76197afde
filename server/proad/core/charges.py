"""What resources count for in quotas."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from proad.core.hosts import require
from proad.core.inventory import Entry
from proad.core.requests import is_only_checked
from proad.core.resolver import ResolvedResource
from proad.model import (
    ACTIVE,
    Amounts,
    Charge,
    ContainerSpec,
    Footprint,
    QuotaName,
    Resource,
    ResourceUpdate,
)
from proad.policy import Profile
from proad.ports import Snapshots
from proad.ports.records import ResourceRecord


def charge_of(spec: ContainerSpec) -> Charge:
    """Return what a container of this specification counts for."""
    limits = spec.resources
    return Charge(
        cpus=limits.cpus or None, memory_bytes=limits.memory_bytes or None, ports=len(spec.ports)
    )


def charge_of_domain(footprint: Footprint) -> Charge:
    """Return what a domain counts for that is about to be made."""
    return Charge(cpus=footprint.vcpus, memory_bytes=footprint.memory_bytes)


def charge_after(entry: Entry, update: ResourceUpdate) -> Charge | None:
    """Return what a resource counts for after an update; None: as before."""
    spec, paths = update.spec, update.paths
    if isinstance(spec, ContainerSpec):
        limits = spec.resources
        wanted = {"resources.cpus": limits.cpus, "resources.memory_bytes": limits.memory_bytes}
    else:
        wanted = {"vcpus": spec.vcpus, "memory_bytes": spec.memory_bytes}
    changes: dict[str, Any] = {
        path.removeprefix("resources.").replace("vcpus", "cpus"): amount or None
        for path, amount in wanted.items()
        if path in paths
    }
    recorded = None if entry.record is None else entry.record.charge
    return replace(recorded or _shown(entry.published), **changes) if changes else None


def amounts_of(charge: Charge, profile: Profile) -> Amounts:
    """Return what a charge counts for; where it has no limit, the profile's default."""
    return {
        QuotaName.CPUS: charge.cpus or profile.quota_default_cpus or math.inf,
        QuotaName.MEMORY_BYTES: (
            charge.memory_bytes or profile.quota_default_memory_bytes or math.inf
        ),
        QuotaName.PORTS: charge.ports,
    }


def present(record: ResourceRecord, shown: Resource | None, profile: Profile) -> Amounts:
    """Return what a resource counts for.

    What was made without a limit before there was a quota counts as far as is known.

    Args:
        record: its record.
        shown: the resource; None: no engine shows it.
        profile: has the defaults.
    """
    amounts = amounts_of(_largest(record.charge, shown), profile)
    return {name: 0 if math.isinf(amount) else amount for name, amount in amounts.items()}


def added(entry: Entry, after: Charge, profile: Profile) -> Amounts:
    """Return how much more a resource counts for after a change."""
    recorded = None if entry.record is None else entry.record.charge
    had = amounts_of(_largest(recorded, entry.published), profile)
    # What had no limit before, and has none now, adds nothing.
    return {
        name: amount if math.isinf(had[name]) else max(amount - had[name], 0)
        for name, amount in amounts_of(after, profile).items()
        if amount != had[name]
    }


class AfterRevert:
    """What a domain counts for after a revert: the snapshot has the size that it had then.

    Args:
        resolved: the domain.
        name: name of the snapshot; empty: nothing is reverted.
    """

    def __init__(self, resolved: ResolvedResource, name: str) -> None:
        self.charge: Charge | None = None
        self.runs = False
        self._resolved = resolved
        self._name = name

    @property
    def changes(self) -> Mapping[str, Any]:
        """The changes of the domain's record."""
        return {} if self.charge is None else {"charge": self.charge}

    async def read(self, entry: Entry) -> None:
        """Read the snapshot.

        Raises:
            CapabilityMissingError: the resource can have no snapshots.
            SnapshotNotFoundError: it has none of this name.
        """
        driver = self._resolved.driver
        if not self._name or not (isinstance(driver, Snapshots) or is_only_checked()):
            return  # the driver refuses what it cannot do
        snapshots = require(driver, Snapshots)
        snapshot = await self._resolved.connection.read(
            lambda: snapshots.get_snapshot(entry.observed.id, self._name)
        )
        self.charge = snapshot.charge
        self.runs = snapshot.state in ACTIVE


def _largest(recorded: Charge | None, resource: Resource | None) -> Charge:
    """Return the larger of what is recorded and what an engine shows.

    The size of a domain may change at its next start only: it counts from when it was asked for.
    """
    asked = recorded or Charge()
    if resource is None or resource.domain is None:
        return asked
    shown = resource.domain.charge
    return Charge(
        cpus=max(shown.cpus or 0, asked.cpus or 0),
        memory_bytes=max(shown.memory_bytes or 0, asked.memory_bytes or 0),
    )


def _shown(resource: Resource) -> Charge:
    """Return what a domain counts for as libvirt has it; nothing of a container is shown."""
    return Charge() if resource.domain is None else resource.domain.charge

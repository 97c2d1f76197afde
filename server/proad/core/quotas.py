"""Quotas: sums over all that belongs to one owner, held against the limits of a profile.

A reservation is made before a call has its first effect, and holds until the inventory shows what
came of it. Nothing waits between the sum and the reservation, so that calls that race see each
other. What outlives the daemon is the record of the resource, which is written before the engine is
asked: a record whose resource has not been seen counts for as long as an engine may take to show it.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from proad.core.actor import current_subject
from proad.core.gate import PolicyGate
from proad.core.inventory import Entry, Inventory
from proad.core.tenancy import current_owner_id, current_owners
from proad.core.volume_tenancy import VolumeTenancy
from proad.errors import QuotaExceededError
from proad.model import (
    ACTIVE,
    Amounts,
    Charge,
    ContainerSpec,
    PlannedVolume,
    Quota,
    QuotaName,
    Resource,
    ResourceUpdate,
)
from proad.policy import Profile

UNSEEN_FOR = timedelta(minutes=5)
"""How long a record counts whose resource has not been seen, since its create may have died."""

_SETTINGS: Mapping[QuotaName, str] = MappingProxyType(
    {name: f"quota_{name.lower()}" for name in QuotaName}
)


@dataclass(frozen=True, slots=True, eq=False)
class _Reservation:
    """What a call is about to add.

    Attributes:
        owner_id: whose it will be.
        amounts: what is added.
        marks: marks of records and ids of volumes that the amounts stand for.
        starts: path of the resource that is started; empty: none.
    """

    owner_id: str
    amounts: Amounts
    marks: Collection[str]
    starts: str


class Quotas:
    """The quotas of owners.

    Args:
        inventory: has the resources and their records.
        volumes: has the volumes.
        gate: has the profile of the caller.
    """

    def __init__(self, inventory: Inventory, volumes: VolumeTenancy, gate: PolicyGate) -> None:
        self._inventory = inventory
        self._volumes = volumes
        self._gate = gate
        self._reserved: set[_Reservation] = set()

    def usage(self) -> list[Quota]:
        """Return the quotas of the caller, or of the caller's team, and what is used of them."""
        profile = self._gate.profile()
        limits = {} if profile is None else _limits(profile)
        used = self._used(current_owner_id(), profile or Profile())
        return [Quota(name=name, used=used[name], limit=limits.get(name)) for name in QuotaName]

    @contextmanager
    def creating(
        self,
        *,
        marks: Collection[str] = (),
        charge: Charge = Charge(),
        start: bool = False,
        volumes: Collection[PlannedVolume] = (),
        resources: int = 1,
    ) -> Iterator[None]:
        """Reserve what a create of the caller's adds, until the end of the block.

        Args:
            marks: the marks of the resource that is made.
            charge: what the resource counts for.
            start: whether the resource is to run.
            volumes: the volumes that are made.
            resources: how many resources are made.

        Raises:
            QuotaExceededError: the caller, or the caller's team, would have too much.
        """
        profile = self._gate.profile()
        if profile is None or not _limits(profile):
            yield
            return
        amounts = {
            QuotaName.RESOURCES: resources,
            QuotaName.RUNNING: int(start),
            QuotaName.DISK_BYTES: sum(volume.capacity_bytes for volume in volumes),
            **(_charged(charge, profile) if resources else {}),
        }
        ids = {*marks, *(volume.id for volume in volumes)}
        with self._reserve(profile, _Reservation(current_owner_id(), amounts, ids, "")):
            yield

    @contextmanager
    def changing(
        self,
        entry: Entry,
        *,
        start: bool = False,
        after: Charge | None = None,
        marks: Collection[str] = (),
    ) -> Iterator[None]:
        """Reserve what a change of a resource of the caller's adds, until the end of the block.

        What belongs to others is not held against their quotas, which the caller cannot know.

        Args:
            entry: the resource.
            start: whether the change makes the resource run.
            after: what the resource counts for afterwards; None: as before.
            marks: the mark of the resource that takes its place.

        Raises:
            QuotaExceededError: the caller, or the caller's team, would have too much.
        """
        profile, owner_id = self._gate.profile(), entry.published.owner_id
        if profile is None or owner_id not in current_owners() or not _limits(profile):
            yield
            return
        starts = start and entry.published.state not in ACTIVE
        amounts = {QuotaName.RUNNING: float(starts)}
        if after is not None:
            before = _of_resource(entry.published, _charge_of(entry), profile)
            amounts |= {
                name: max(amount - before.get(name, 0), 0)
                for name, amount in _charged(after, profile).items()
            }
        path = entry.path if starts else ""
        with self._reserve(profile, _Reservation(owner_id, amounts, marks, path)):
            yield

    @contextmanager
    def _reserve(self, profile: Profile, wanted: _Reservation) -> Iterator[None]:
        used, subject = self._used(wanted.owner_id, profile), current_subject()
        for name, limit in _limits(profile).items():
            amount = wanted.amounts.get(name, 0)
            if amount and used[name] + amount > limit:
                raise QuotaExceededError(
                    name.lower(),
                    wanted="" if math.isinf(amount) else _as_text(amount),
                    used=_as_text(used[name]),
                    limit=_as_text(limit),
                    setting=_SETTINGS[name],
                    profile="" if subject is None else subject.profile,
                )
        self._reserved.add(wanted)
        try:
            yield
        finally:
            self._reserved.discard(wanted)

    def _used(self, owner_id: str, profile: Profile) -> Counter[QuotaName]:
        """Return what an owner has, and what calls under way are about to add."""
        used: Counter[QuotaName] = Counter()
        if not owner_id:
            return used
        reserved = [each for each in self._reserved if each.owner_id == owner_id]
        marks = {mark for each in reserved for mark in each.marks}
        started = {each.starts for each in reserved}
        for entry in self._inventory.owned(owner_id):
            record = entry.record
            if record is None or record.mark in marks:
                continue
            used[QuotaName.RESOURCES] += 1
            runs = entry.published.state in ACTIVE and entry.path not in started
            used[QuotaName.RUNNING] += int(runs)
            _add(used, _of_resource(entry.published, record.charge, profile))
        since = datetime.now(UTC) - UNSEEN_FOR
        for record in self._inventory.unseen(owner_id):
            if record.mark not in marks and record.create_time > since:
                used[QuotaName.RESOURCES] += 1
                used[QuotaName.RUNNING] += 1
                _add(used, _charged(record.charge or Charge(), profile))
        used[QuotaName.DISK_BYTES] += self._volumes.capacity_of(owner_id, besides=marks)
        for each in reserved:
            _add(used, each.amounts)
        return used


def charge_of(spec: ContainerSpec) -> Charge:
    """Return what a container of this specification counts for."""
    limits = spec.resources
    return Charge(
        cpus=limits.cpus or None, memory_bytes=limits.memory_bytes or None, ports=len(spec.ports)
    )


def charge_after(entry: Entry, update: ResourceUpdate) -> Charge | None:
    """Return what a resource counts for after an update; None: as before."""
    spec, paths = update.spec, update.paths
    if isinstance(spec, ContainerSpec):
        charge, limits = _charge_of(entry) or Charge(), spec.resources
        if "resources.cpus" in paths:
            charge = replace(charge, cpus=limits.cpus or None)
        if "resources.memory_bytes" in paths:
            charge = replace(charge, memory_bytes=limits.memory_bytes or None)
        return charge if paths & {"resources.cpus", "resources.memory_bytes"} else None
    domain = entry.published.domain
    if domain is None or not paths & {"vcpus", "memory_bytes"}:
        return None
    return Charge(
        cpus=spec.vcpus if "vcpus" in paths else domain.vcpus,
        memory_bytes=spec.memory_bytes if "memory_bytes" in paths else domain.memory_bytes,
    )


def _charge_of(entry: Entry) -> Charge | None:
    return None if entry.record is None else entry.record.charge


def _as_text(amount: float) -> str:
    """Return an amount as users write it: whole unless it is of parts of a processor."""
    return f"{amount:.0f}" if float(amount).is_integer() else f"{amount:.12g}"


def _limits(profile: Profile) -> dict[QuotaName, float]:
    """Return the limits that a profile has."""
    limits = {name: getattr(profile, setting) for name, setting in _SETTINGS.items()}
    return {name: limit for name, limit in limits.items() if limit}


def _charged(charge: Charge, profile: Profile) -> Amounts:
    """Return what a charge counts for; where it has no limit, the profile's default."""
    cpus = charge.cpus or profile.quota_default_cpus or math.inf
    memory = charge.memory_bytes or profile.quota_default_memory_bytes or math.inf
    return {
        QuotaName.CPUS: cpus,
        QuotaName.MEMORY_BYTES: memory,
        QuotaName.PORTS: charge.ports,
    }


def _of_resource(resource: Resource, charge: Charge | None, profile: Profile) -> Amounts:
    """Return what a resource counts for: a domain as libvirt has it, a container as recorded."""
    if (domain := resource.domain) is not None:
        return {QuotaName.CPUS: domain.vcpus, QuotaName.MEMORY_BYTES: domain.memory_bytes}
    return {
        # What was made without a limit before there was a quota counts as far as is known.
        name: 0 if math.isinf(amount) else amount
        for name, amount in _charged(charge or Charge(), profile).items()
    }


def _add(used: Counter[QuotaName], amounts: Amounts) -> None:
    for name, amount in amounts.items():
        used[name] += amount  # type: ignore[assignment]

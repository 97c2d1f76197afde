"""Quotas: sums over all that belongs to one owner, held against the owner's limits.

A reservation is made before a call has its first effect, and holds until the inventory shows what
came of it. Nothing waits between the sum and the reservation, so that calls that race see each
other. What outlives the daemon is the record of the resource, which is written before the engine is
asked. What is summed up are the records, so that what an engine does not show counts as well: a
record whose resource has never been seen counts for as long as an engine may take to show it.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from proad.core.actor import current_subject
from proad.core.charges import added, amounts_of, present
from proad.core.gate import PolicyGate
from proad.core.inventory import Entry, Inventory
from proad.core.tenancy import current_owner_id, current_owners
from proad.core.volume_tenancy import VolumeTenancy
from proad.errors import QuotaExceededError
from proad.model import (
    ACTIVE,
    Amounts,
    Charge,
    Limits,
    PlannedVolume,
    Quota,
    QuotaName,
)
from proad.policy import Profile

_SETTINGS: Mapping[QuotaName, str] = MappingProxyType(
    {name: f"quota_{name.lower()}" for name in QuotaName}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaTiming:
    """Durations of quotas.

    Attributes:
        unseen_for: how long a record counts whose resource has not been seen: the create may have
            died with the daemon, and its engine may still finish it.
    """

    unseen_for: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Reservation:
    """What a call is about to have.

    Attributes:
        owner_id: whose it will be.
        amounts: what counts for the call, until the inventory shows it.
        marks: marks of records and ids of volumes that the amounts stand for.
    """

    owner_id: str
    amounts: Amounts
    marks: Collection[str]


class Quotas:
    """The quotas of owners.

    Args:
        inventory: has the resources and their records.
        volumes: has the volumes.
        gate: has the profile of the caller.
        timing: durations.
    """

    def __init__(
        self,
        inventory: Inventory,
        volumes: VolumeTenancy,
        gate: PolicyGate,
        timing: QuotaTiming = QuotaTiming(),
    ) -> None:
        self._inventory = inventory
        self._volumes = volumes
        self._gate = gate
        self._timing = timing
        self._reserved: set[_Reservation] = set()

    async def ready(self) -> None:
        """Wait until what is counted has been read, of all engines that answer."""
        await self._volumes.load(self._inventory.engines)

    def usage(self) -> list[Quota]:
        """Return the quotas of the caller, or of the caller's team, and what is used of them."""
        profile, owner_id = self._gate.profile(), current_owner_id()
        limits = {} if profile is None else self._limits(owner_id, profile)
        used = self._used(owner_id, profile or Profile())
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
        if profile is None:
            yield
            return
        amounts = {
            QuotaName.RESOURCES: resources,
            QuotaName.RUNNING: int(start),
            QuotaName.DISK_BYTES: sum(volume.capacity_bytes for volume in volumes),
            **(amounts_of(charge, profile) if resources else {}),
        }
        ids = {*marks, *(volume.id for volume in volumes)}
        wanted = _Reservation(owner_id=current_owner_id(), amounts=amounts, marks=ids)
        with self._reserve(profile, wanted, amounts):
            yield

    @contextmanager
    def changing(
        self,
        entry: Entry,
        *,
        runs: bool = False,
        after: Charge | None = None,
        marks: Collection[str] = (),
    ) -> Iterator[None]:
        """Reserve what a change of a resource adds, until the end of the block.

        In the block the resource counts as what it was and is to be at most, though the change may
        stop or remove it in between, and may fail. What belongs to others is not held against their
        quotas, which the caller cannot know.

        Args:
            entry: the resource.
            runs: whether the resource runs after the change.
            after: what the resource counts for afterwards; None: as before.
            marks: the mark of the resource that takes its place.

        Raises:
            QuotaExceededError: the caller, or the caller's team, would have too much.
        """
        profile = self._gate.profile()
        owner_id, record = entry.published.owner_id, entry.record
        if profile is None or record is None or not owner_id:
            yield
            return
        active = entry.published.state in ACTIVE
        more = Counter({} if after is None else added(entry, after, profile))
        more[QuotaName.RUNNING] = int(runs and not active)
        amounts = Counter({QuotaName.RESOURCES: 1, QuotaName.RUNNING: int(active)})
        _add(amounts, present(record, entry.published, profile))
        _add(amounts, more)
        wanted = _Reservation(owner_id=owner_id, amounts=amounts, marks={record.mark, *marks})
        foreign = owner_id not in current_owners()
        with self._reserve(profile, wanted, {} if foreign else more):
            yield

    @contextmanager
    def _reserve(self, profile: Profile, wanted: _Reservation, more: Amounts) -> Iterator[None]:
        """Reserve what a call wants, of which `more` must not exceed the limits."""
        limits, subject = self._limits(wanted.owner_id, profile), current_subject()
        used = self._used(wanted.owner_id, profile) if limits and any(more.values()) else Counter()
        for name, limit in limits.items():
            amount = more.get(name, 0)
            if amount and used[name] + amount > limit:
                own = name in _own_limits(wanted.owner_id)
                raise QuotaExceededError(
                    name.lower(),
                    wanted="" if math.isinf(amount) else _as_text(amount),
                    used=_as_text(used[name]),
                    limit=_as_text(limit),
                    setting="" if own or subject is None else _SETTINGS[name],
                    profile="" if own or subject is None else subject.profile,
                )
        self._reserved.add(wanted)
        try:
            yield
        finally:
            self._reserved.discard(wanted)

    def _limits(self, owner_id: str, profile: Profile) -> Limits:
        """Return the limits of an owner: its own, within the ceiling, or else the profile's."""
        limits = {name: getattr(profile, setting) for name, setting in _SETTINGS.items()}
        for name, limit in _own_limits(owner_id).items():
            limits[name] = min(limit, getattr(self._gate.ceiling, _SETTINGS[name]) or limit)
        return {name: limit for name, limit in limits.items() if limit}

    def _used(self, owner_id: str, profile: Profile) -> Counter[QuotaName]:
        """Return what an owner has, and what calls under way are about to add."""
        used: Counter[QuotaName] = Counter()
        if not owner_id:
            return used
        reserved = [each for each in self._reserved if each.owner_id == owner_id]
        marks = {mark for each in reserved for mark in each.marks}
        since = datetime.now(UTC) - self._timing.unseen_for
        for record, entry in self._inventory.owned(owner_id):
            never_seen = entry is None and not record.id
            if record.mark in marks or (never_seen and record.create_time <= since):
                continue
            used[QuotaName.RESOURCES] += 1
            used[QuotaName.RUNNING] += int(entry is None or entry.published.state in ACTIVE)
            shown = None if entry is None else entry.published
            _add(used, present(record, shown, profile))
        used[QuotaName.DISK_BYTES] += self._volumes.capacity_of(owner_id, besides=marks)
        for each in reserved:
            _add(used, each.amounts)
        return used


def _as_text(amount: float) -> str:
    """Return an amount as users write it: whole unless it is of parts of a processor."""
    return f"{amount:.0f}" if float(amount).is_integer() else f"{amount:.12g}"


def _own_limits(owner_id: str) -> Limits:
    subject = current_subject()
    return {} if subject is None else subject.limits.get(owner_id, {})


def _add(used: Counter[QuotaName], amounts: Amounts) -> None:
    for name, amount in amounts.items():
        # Who has no limit of it may have reserved any amount.
        used[name] += 0 if math.isinf(amount) else amount  # type: ignore[assignment]

"""All resources as last observed. Pure: asks no engine and waits for nothing.

Observations are ordered by a logical clock. One counts only if nothing was applied to its
resource since it began: then it is later than all that was applied before. One that was
overtaken says nothing of which of the two is later, and another read has to decide.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from proad.core.inventory.attribution import Attribution
from proad.core.inventory.clock import LogicalClock
from proad.core.inventory.entry import Entry, StoredEntry, recorded
from proad.core.inventory.entry_table import EntryTable
from proad.core.inventory.history import Change, ChangeHistory
from proad.core.inventory.index import Key
from proad.core.inventory.records import RecordCache
from proad.core.local_records import LocalResourceRecords, NoOwners
from proad.model import (
    ACTIVE,
    Activity,
    ChangeCause,
    EngineEvent,
    EngineRef,
    Lifetime,
    Resource,
    path_of,
    replaced,
)

_NOTHING = EngineEvent(id="")


class Store:
    """All resources, each as it was read last; every change goes to the history.

    Args:
        history: receives the changes.
        now: returns the time in seconds.
        records: has what engines cannot tell; None: in this process alone.
    """

    def __init__(
        self,
        history: ChangeHistory,
        now: Callable[[], float] = time.monotonic,
        records: RecordCache | None = None,
    ) -> None:
        self.history = history
        self.records = records or RecordCache(LocalResourceRecords(), NoOwners())
        self.attribution = Attribution()
        self.entries = EntryTable()
        self.now = now
        self._clock = LogicalClock()
        # What is not there, and since when: until every read begun before has ended.
        self._tombstones: OrderedDict[Key, int] = OrderedDict()
        self._listed: dict[EngineRef, int] = {}

    @property
    def tombstones(self) -> int:
        """The number of removed resources that are remembered."""
        return len(self._tombstones)

    def begin(self) -> int:
        """Return the number of a verb that begins now."""
        return self._clock.tick()

    @contextmanager
    def reading(self) -> Iterator[int]:
        """Return the number of a read or list that begins here and ends with the block."""
        try:
            with self._clock.reading() as begun:
                yield begun
        finally:
            while self._tombstones:
                key = next(iter(self._tombstones))
                if self._tombstones[key] > self._clock.oldest:
                    break
                del self._tombstones[key]

    def overtaken(self, engine: EngineRef, id: str, begun: int) -> bool:
        """Return whether something was applied to a resource since `begun`."""
        entry = self.entries.get(engine, id)
        if entry is not None:
            return entry.applied > begun
        removed = self._tombstones.get((engine, id), 0)
        return max(removed, self._listed.get(engine, 0)) > begun

    def touched(self, engine: EngineRef, id: str, begun: int) -> bool:
        """Return whether something happened to a resource since `begun`."""
        entry = self.entries.get(engine, id)
        heard = entry is not None and entry.dirtied > begun
        return heard or self.overtaken(engine, id, begun)

    def mark_dirty(self, engine: EngineRef, event: EngineEvent) -> None:
        """Note that something happened: FULL views that were begun before may be stale."""
        entry = self.entries.get(engine, event.id)
        if entry is not None:
            entry.dirtied = self._clock.tick()
            if event.reconfigured:
                entry.reconfigured = entry.dirtied

    def apply(
        self,
        engine: EngineRef,
        observed: Resource,
        begun: int,
        *,
        event: EngineEvent = _NOTHING,
        detail: Resource | None = None,
    ) -> bool:
        """Apply a SUMMARY that was read; return whether nothing had overtaken the read.

        Args:
            engine: the engine.
            observed: the resource.
            begun: the number of the read.
            event: what the engine said has happened before.
            detail: the FULL view, if that was read as well.
        """
        if self.overtaken(engine, observed.id, begun):
            return False
        entry = self.entries.get(engine, observed.id)
        if entry is not None and _is_another(entry.observed, observed, event):
            self.records.end(engine, observed.id)
            self._remove(entry)
            entry = None
        if entry is None:
            entry = StoredEntry(engine, observed, observed)
            self.entries.add(entry)
            self._publish(entry, new=True)
        else:
            changed = entry.observed != observed
            self.entries.observe(entry, observed)
            if changed or (event.reconfigured and (detail is None or detail != entry.detail)):
                self._publish(entry)
        entry.applied = self._clock.tick()
        if event.reconfigured:
            entry.compared = begun
        if detail is not None:
            _keep(entry, detail, begun, self.now())
        return True

    def apply_absence(
        self, engine: EngineRef, id: str, begun: int, *, listed: bool = False
    ) -> bool:
        """Remove what a read did not find; return whether nothing had overtaken the read.

        A list may leave out what cannot be read: the record then stays until a read of the
        resource itself finds none.
        """
        if self.overtaken(engine, id, begun):
            return False
        if not listed:
            self.records.end(engine, id)
        if (entry := self.entries.get(engine, id)) is not None:
            self._remove(entry)
        else:
            self._bury(engine, id)
        return True

    def apply_list(
        self, engine: EngineRef, found: Iterable[Resource], begun: int
    ) -> Iterator[tuple[str, bool]]:
        """Apply a list of all resources of an engine, one by one.

        Others may read and apply between two resources: the caller can pause there.

        Yields:
            An id, and whether nothing had overtaken the list there.
        """
        there = set[str]()
        for observed in found:
            there.add(observed.id)
            yield observed.id, self.apply(engine, observed, begun)
        known = (entry.observed.id for entry in self.entries.of(engine))
        gone = [id for id in known if id not in there]
        # What is not known now was not there, and FULL views may be of before.
        self._listed[engine] = self._clock.tick()
        for id in gone:
            yield id, self.apply_absence(engine, id, begun, listed=True)

    def remove(self, entry: Entry, actor: str) -> None:
        """Remove a resource that a caller of ours has just removed."""
        if (stored := self._stored(entry)) is not None:
            self.records.end(stored.engine, stored.observed.id)
            self._remove(stored, actor)

    def finish(self, entry: Entry, observed: Resource, actor: str | None = None) -> None:
        """Apply what a verb read at its end.

        Args:
            entry: the resource.
            observed: what was read.
            actor: whose verb it was that shows no activity; None: the activity that shows is
                the verb's and ends with it, as one change.
        """
        stored = self._stored(entry)
        if stored is None:
            return
        changed, ends = stored.observed != observed, False
        if actor is None and stored.activity is not None:
            actor, ends = stored.activity.actor, True
            self._end_activity(stored)
        self.entries.observe(stored, observed)
        if changed or ends:
            self._publish(stored, changed=changed, actor=actor)
        stored.applied = stored.dirtied = self._clock.tick()

    def set_activity(self, entry: Entry, activity: Activity | None) -> None:
        """Note what is being done to a resource, or that it is over."""
        stored = self._stored(entry)
        if stored is None or stored.activity == activity:
            return
        actor = next((a.actor for a in (activity, stored.activity) if a is not None), None)
        if activity is None:
            self._end_activity(stored)
        stored.activity = activity
        self._publish(stored, changed=False, actor=actor)

    def touch(self, entry: Entry) -> None:
        """Note that a resource changed in something that its engine's SUMMARY does not show."""
        if (stored := self._stored(entry)) is not None:
            self._publish(stored)

    def is_recorded(self, entry: Entry) -> bool:
        """Return whether a resource is published with what is recorded of it now."""
        return self.records.find(entry.engine, entry.observed) == entry.record

    def complete(self, engine: EngineRef, view: Resource) -> Resource:
        """Return a driver's view of a resource, completed with what only the inventory knows."""
        entry = self.entries.get(engine, view.id)
        if entry is not None:
            return entry.completed(view)
        return replaced(view, engine=engine, path=path_of(engine, view))

    def in_full(self, entry: Entry, max_age: timedelta | None) -> Resource | None:
        """Return the FULL view of a resource, unless it may be stale."""
        stored = self._stored(entry)
        if stored is None or stored.detail is None:
            return None
        if stored.detail_begun < self._stale_before(stored):
            return None
        if max_age is not None and self.now() - stored.detail_time >= max_age.total_seconds():
            return None
        if stored.full is None:
            stored.full = stored.completed(stored.detail)
        return stored.full

    def keep_detail(self, entry: Entry, detail: Resource, begun: int) -> None:
        """Keep a FULL view that a caller asked for.

        An event may have told of a change that only the FULL view shows: then it is compared
        with the last one.
        """
        stored = self._stored(entry)
        if stored is None or begun < max(stored.detail_begun, self._stale_before(stored)):
            return
        if stored.reconfigured > stored.compared:
            stored.compared = begun
            if detail != stored.detail:
                self._publish(stored)
        _keep(stored, detail, begun, self.now())

    def note_change(self, entry: Entry, detail: Resource | None, begun: int) -> None:
        """Note that a verb of ours changed a resource.

        FULL views that were begun before may be stale. The one that the verb gave is kept for
        comparison alone: events of the verb then show no difference.
        """
        if (stored := self._stored(entry)) is not None:
            if detail is not None:
                _keep(stored, detail, begun, self.now())
            stored.dirtied = self._clock.tick()

    def note_fault(self, entry: Entry) -> bool:
        """Note that the driver fails with a resource; return whether that is news."""
        stored = self._stored(entry)
        if stored is None or stored.fault_logged:
            return False
        stored.fault_logged = True
        return True

    def _stored(self, entry: Entry) -> StoredEntry | None:
        """Return an entry for writing, unless it was removed."""
        stored = self.entries.get(entry.engine, entry.observed.id)
        return stored if stored is entry else None

    def _stale_before(self, entry: StoredEntry) -> int:
        """Return the number before which a FULL view of a resource must not have begun."""
        return max(entry.dirtied, self._listed.get(entry.engine, 0))

    def _remove(self, entry: StoredEntry, actor: str | None = None) -> None:
        self.entries.remove(entry)
        self._bury(entry.engine, entry.observed.id)
        self._record(entry, entry.published, None, actor)

    def _bury(self, engine: EngineRef, id: str) -> None:
        self._tombstones[engine, id] = self._clock.tick()
        self._tombstones.move_to_end((engine, id))

    def _end_activity(self, entry: StoredEntry) -> None:
        entry.activity = None
        entry.idle_since = self.now()

    def _publish(
        self,
        entry: StoredEntry,
        *,
        new: bool = False,
        changed: bool = True,
        actor: str | None = None,
    ) -> None:
        before = None if new else entry.published
        revision = self.history.next_revision()
        entry.full = None
        entry.record = record = self.records.find(entry.engine, entry.observed)
        view = entry.observed
        ours = {} if record is None else recorded(view, record, self.records.owner(record))
        self.entries.index.own(entry.engine, view.id, "" if record is None else record.owner)
        entry.published = replaced(
            view,
            **ours,
            engine=entry.engine,
            allowed_verbs=entry.allowed_verbs,
            activity=entry.activity,
            etag=f"{self.history.epoch}-{revision}" if changed else entry.published.etag,
            epoch=self.history.epoch,
            revision=revision,
            observe_time=datetime.now(UTC) if changed else entry.published.observe_time,
            path=entry.path,
        )
        self._record(entry, before, entry.published, actor)

    def _record(
        self,
        entry: StoredEntry,
        before: Resource | None,
        after: Resource | None,
        actor: str | None,
    ) -> None:
        if actor is None:
            actor = self.attribution.actor_of(entry)
        self.history.append(
            Change(
                revision=self.history.next_revision(),
                before=before,
                after=after,
                cause=ChangeCause.EXTERNAL if actor is None else ChangeCause.API,
                actor=actor or "",
            )
        )


def _is_another(old: Resource, new: Resource, event: EngineEvent) -> bool:
    """Return whether what is found under an id is not what was there before."""
    if event.removed:
        # A domain that is undefined while it runs goes on as a transient one.
        return not (new.lifetime is Lifetime.TRANSIENT and new.state in ACTIVE)
    if old.create_time is not None and new.create_time is not None:
        return old.create_time != new.create_time
    return event.ended and old.lifetime is Lifetime.TRANSIENT


def _keep(entry: StoredEntry, detail: Resource, begun: int, now: float) -> None:
    entry.detail, entry.detail_begun, entry.detail_time = detail, begun, now
    entry.full = None

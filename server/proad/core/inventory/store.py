"""What is known of each resource. Pure: asks nobody and waits for nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from proad.core.inventory.deeds import Deed
from proad.core.inventory.index import ResourceIndex
from proad.core.inventory.journal import Change, Journal
from proad.model import (
    ACTIVE,
    Activity,
    ChangeCause,
    EngineEvent,
    Lifetime,
    Resource,
    ResourceState,
    Verb,
    verbs_of,
)

_NOTHING = EngineEvent(id="")


@dataclass(slots=True, eq=False)
class Entry:
    """One resource.

    Attributes:
        engine: the engine that has it, as HOST/DRIVER.
        host: the host connection.
        observed: the SUMMARY as its driver gave it.
        published: the same, completed: what callers get.
        activity: what is being done to it through us.
        reads: how many reads of it have been applied.
        epoch: how many events of it there were.
        detail: the FULL view as its driver gave it, since the last event.
        detail_time: the event loop's time when that was read.
        full: `detail`, completed; made when first asked for.
        last_detail: the last FULL view, however old: tells whether an event changed it.
        unsettled: an event may have changed it, and nobody has compared yet.
        deed: what a call of ours makes of it, or made: the create that is under way, or
            what ended last.
        fault_told: whether the log was told that the driver fails with it.
    """

    engine: str
    host: str
    observed: Resource
    published: Resource
    activity: Activity | None = None
    reads: int = 0
    epoch: int = 0
    detail: Resource | None = None
    detail_time: float = 0.0
    full: Resource | None = None
    last_detail: Resource | None = None
    unsettled: bool = False
    deed: Deed | None = None
    fault_told: bool = False

    @property
    def key(self) -> str:
        """Tells it from all others: an id is unique on its host alone."""
        return f"{self.engine}/{self.observed.id}"

    def did_by(self, before: Resource, after: Resource | None) -> str | None:
        """Tell by whose call it came from `before` to `after`; None: by nobody's."""
        activity, deed = self.activity, self.deed
        if activity is not None and Deed(activity.verb, activity.actor).did(before, after):
            return activity.actor
        if deed is None:
            return None
        if after is not None and not deed.outlives(before, after):
            self.deed = None
        return deed.actor if deed.did(before, after) else None

    def drop_detail(self) -> None:
        """Forget the FULL view: something happened."""
        self.epoch += 1
        self.detail = self.full = None

    def in_full(self) -> Resource | None:
        """Give the FULL view, if it is known."""
        if self.full is None and self.detail is not None:
            self.full = self.completed(self.detail)
        return self.full

    def completed(self, view: Resource) -> Resource:
        """Add to what a driver gave what only the inventory knows."""
        return replace(
            view,
            host=self.host,
            allowed_verbs=self.published.allowed_verbs,
            activity=self.published.activity,
            etag=self.published.etag,
            revision=self.published.revision,
            observe_time=self.published.observe_time,
        )


@dataclass(slots=True)
class Store:
    """All resources, by engine and id, and by name; every change goes to the journal."""

    journal: Journal
    index: ResourceIndex = field(default_factory=ResourceIndex)
    _by_engine: dict[str, dict[str, Entry]] = field(default_factory=dict)
    _by_name: dict[str, dict[str, Entry]] = field(default_factory=dict)
    _making: dict[str, Deed] = field(default_factory=dict)

    def get(self, engine: str, id: str) -> Entry | None:
        """Give what is known of a resource."""
        return self._by_engine.get(engine, {}).get(id)

    def of(self, engine: str) -> Iterator[Entry]:
        """Give all resources of an engine."""
        return iter(self._by_engine.get(engine, {}).values())

    def named(self, name: str) -> Iterator[Entry]:
        """Give all resources of that name."""
        return iter(self._by_name.get(name, {}).values())

    def with_id(self, id: str) -> Iterator[Entry]:
        """Give all resources of that full id."""
        return (there[id] for there in self._by_engine.values() if id in there)

    def starting(self, digits: str) -> Iterator[Entry]:
        """Return all resources whose full id, without hyphens, starts so; none for no digits."""
        keys = self.index.starting(digits) if digits else ()
        return (self._by_engine[engine][id] for engine, id in keys)

    def put(
        self,
        engine: str,
        host: str,
        observed: Resource,
        *,
        event: EngineEvent = _NOTHING,
        detail: Resource | None = None,
        actor: str | None = None,
    ) -> Entry:
        """Take a SUMMARY that was read from the engine.

        Args:
            engine: the engine, as HOST/DRIVER.
            host: the host connection.
            observed: the resource.
            event: what the engine said has happened to it before it was read.
            detail: the FULL view, if that was read as well.
            actor: whose call it was, if it was one and no activity says so.
        """
        entry = self.get(engine, observed.id)
        if entry is not None and _is_another(entry.observed, observed, event):
            self.remove(engine, observed.id, actor=actor)
            entry = None
        if entry is None:
            entry = Entry(engine, host, observed, observed)
            entry.deed = self._making.get(entry.key)
            if actor is None and entry.deed is not None:
                actor = entry.deed.actor
            self._index(entry)
            self._publish(entry, before=None, changed=True, actor=actor)
        else:
            same = entry.observed == observed
            self._observe(entry, observed)
            if not same or (event.reconfigured and (detail is None or detail != entry.last_detail)):
                self._publish(entry, before=entry.published, changed=True, actor=actor)
        entry.last_detail = detail or entry.last_detail
        if event.reconfigured:
            entry.unsettled = False
        entry.reads += 1
        return entry

    def remove(self, engine: str, id: str, *, actor: str | None = None) -> None:
        """Forget a resource that is gone."""
        entry = self.get(engine, id)
        if entry is None:
            return
        self._unindex(entry)
        if actor is None:
            actor = entry.did_by(entry.published, None)
        self.journal.append(
            Change(
                revision=self.journal.next_revision(),
                before=entry.published,
                after=None,
                cause=_cause(actor),
                actor=actor or "",
            )
        )

    def begin_making(self, engine: str, id: str, deed: Deed) -> None:
        """Note that a call makes the resource that will be found under this id."""
        self._making[f"{engine}/{id}"] = deed

    def end_making(
        self, engine: str, id: str, deed: Deed, failure: BaseException | None = None
    ) -> None:
        """Note that the call is over, and how it failed if it did."""
        key = f"{engine}/{id}"
        if self._making.get(key) is deed:  # it may be made anew by now
            del self._making[key]
        entry = self.get(engine, id)
        if entry is not None and entry.deed is deed:
            entry.deed = deed.ended(failure)

    def set_activity(
        self, entry: Entry, activity: Activity | None, *, failure: BaseException | None = None
    ) -> None:
        """Note what is being done to a resource, or that it is over, and how it failed."""
        if entry.activity == activity:
            return
        before, ended = entry.published, entry.activity
        actor = next((a.actor for a in (activity, ended) if a is not None), None)
        entry.activity = activity
        if activity is None:
            _leave(entry, ended, failure)
        if self.get(entry.engine, entry.observed.id) is entry:
            self._publish(entry, before=before, changed=False, actor=actor)

    def touch(self, entry: Entry) -> None:
        """Note that a resource changed in something that its SUMMARY does not show."""
        self._publish(entry, before=entry.published, changed=True, actor=None)

    def finish(self, entry: Entry, observed: Resource) -> None:
        """Take what a verb read at its end, and that it is done, as one change."""
        activity, before = entry.activity, entry.published
        entry.activity = None
        _leave(entry, activity, None)
        if self.get(entry.engine, observed.id) is not entry:
            return  # it was deleted meanwhile
        same = entry.observed == observed
        self._observe(entry, observed)
        entry.reads += 1
        entry.drop_detail()
        self._publish(
            entry, before=before, changed=not same, actor=activity.actor if activity else None
        )

    def keep_detail(self, entry: Entry, detail: Resource, epoch: int, now: float) -> None:
        """Keep a FULL view, unless something happened since `epoch`, when it was asked for."""
        if entry.epoch == epoch:
            entry.detail, entry.full, entry.detail_time = detail, None, now
            if not entry.unsettled:
                entry.last_detail = detail

    def _publish(
        self, entry: Entry, *, before: Resource | None, changed: bool, actor: str | None
    ) -> None:
        revision = self.journal.next_revision()
        entry.full = None
        entry.published = replace(
            entry.observed,
            host=entry.host,
            allowed_verbs=_allowed(entry),
            activity=entry.activity,
            etag=f"{self.journal.run_id}-{revision}" if changed else entry.published.etag,
            revision=revision,
            observe_time=datetime.now(UTC) if changed else entry.published.observe_time,
        )
        if actor is None and before is not None:
            actor = entry.did_by(before, entry.published)
        self.journal.append(
            Change(
                revision=revision,
                before=before,
                after=entry.published,
                cause=_cause(actor),
                actor=actor or "",
            )
        )

    def _observe(self, entry: Entry, observed: Resource) -> None:
        if entry.observed.name == observed.name:
            entry.observed = observed
            self.index.put(entry.engine, entry.host, observed)
            return
        self._unindex(entry)
        entry.observed = observed
        self._index(entry)

    def _index(self, entry: Entry) -> None:
        self._by_engine.setdefault(entry.engine, {})[entry.observed.id] = entry
        self.index.put(entry.engine, entry.host, entry.observed)
        self._by_name.setdefault(entry.observed.name, {})[entry.key] = entry

    def _unindex(self, entry: Entry) -> None:
        del self._by_engine[entry.engine][entry.observed.id]
        self.index.remove(entry.engine, entry.observed.id)
        named = self._by_name[entry.observed.name]
        del named[entry.key]
        if not named:
            del self._by_name[entry.observed.name]


def _is_another(old: Resource, new: Resource, event: EngineEvent) -> bool:
    """Tell whether what is found under an id is not what was there before."""
    if event.removed:
        # A domain that is undefined while it runs goes on as a transient one.
        return not (new.lifetime is Lifetime.TRANSIENT and new.state in ACTIVE)
    if old.create_time is not None and new.create_time is not None:
        return old.create_time != new.create_time
    return event.ended and old.lifetime is Lifetime.TRANSIENT


def _leave(entry: Entry, ended: Activity | None, failure: BaseException | None) -> None:
    left = Deed(ended.verb, ended.actor).ended(failure) if ended is not None else None
    entry.deed = left or entry.deed  # a refusal is no end of what was asked for before


def _cause(actor: str | None) -> ChangeCause:
    return ChangeCause.EXTERNAL if actor is None else ChangeCause.API


def _allowed(entry: Entry) -> tuple[Verb, ...]:
    if entry.activity is None:
        return verbs_of(entry.observed)
    stoppable = (
        entry.observed.state in ACTIVE and entry.observed.state is not ResourceState.REMOVING
    )
    if stoppable and entry.activity.verb in {Verb.STOP, Verb.RESTART}:
        return (Verb.STOP,)
    return ()
